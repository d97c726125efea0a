package k8s

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/pki"
	secretsresource "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}

	return out
}

func authority(t *testing.T) *secrets.CA {
	t.Helper()

	ca, err := secrets.NewCA(secrets.CAOptions{Algorithm: secrets.ECDSAP256})
	if err != nil {
		t.Fatal(err)
	}

	return ca
}

func TestPrepareKubelet(t *testing.T) {
	t.Parallel()

	ca, other := authority(t), authority(t)

	join := func(ca *secrets.CA, server string) secretsresource.Kubelet {
		return secretsresource.Kubelet{
			Endpoint:         &url.URL{Scheme: "https", Host: server},
			AcceptedCAs:      []*pki.Certificate{{Crt: pki.PEM(ca.CertPEM())}},
			BootstrapTokenID: "abcdef", BootstrapTokenSecret: "0123456789abcdef",
		}
	}

	for _, test := range []struct {
		name        string
		node        string
		join        secretsresource.Kubelet
		later       time.Duration
		certificate bool // whether it is kept
		kubeconfig  bool
	}{
		{name: "nothing changed", node: "worker-1", join: join(ca, "127.0.0.1:7445"), certificate: true, kubeconfig: true},
		{name: "another server", node: "worker-1", join: join(ca, "10.5.0.1:6443"), certificate: true},
		{name: "another name", node: "worker-2", join: join(ca, "127.0.0.1:7445")},
		{name: "another cluster", node: "worker-1", join: join(other, "127.0.0.1:7445")},
		{name: "long off", node: "worker-1", join: join(ca, "127.0.0.1:7445"), later: 400 * 24 * time.Hour},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			files := KubeletFiles{Root: t.TempDir()}

			pair, err := ca.IssueClient(secrets.Request{CommonName: "system:node:worker-1", TTL: 365 * 24 * time.Hour})
			if err != nil {
				t.Fatal(err)
			}

			if err := files.write(kubelet.ClientCertificate, append(pair.Cert, pair.Key...), 0o600); err != nil {
				t.Fatal(err)
			}

			kubeconfig, err := bootstrapKubeconfig(join(ca, "127.0.0.1:7445"))
			if err != nil {
				t.Fatal(err)
			}

			if err := files.write(kubelet.Kubeconfig, kubeconfig, 0o600); err != nil {
				t.Fatal(err)
			}

			spec := k8s.KubeletSpec{ExpectedNodename: test.node, Config: map[string]any{"port": 10250}}
			if err := files.prepare(spec, test.join, time.Now().Add(test.later)); err != nil {
				t.Fatal(err)
			}

			for path, want := range map[string]bool{
				kubelet.ConfigFile: true, kubelet.CAFile: true, kubelet.BootstrapKubeconfig: true,
				kubelet.ClientCertificate: test.certificate, kubelet.Kubeconfig: test.kubeconfig,
			} {
				_, err := os.Stat(filepath.Join(files.Root, path))
				if (err == nil) != want {
					t.Errorf("%s: %v", path, err)
				}
			}
		})
	}
}
