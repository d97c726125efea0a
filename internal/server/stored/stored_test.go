package stored_test

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/pki"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/server/stored"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func put[T resource.Spec](t *testing.T, store *resource.Store, id string, spec T) {
	t.Helper()
	if err := store.Create(t.Context(), resource.New(id, spec), ""); err != nil {
		t.Fatal(err)
	}
}

func authority(t *testing.T) *secrets.CA {
	t.Helper()
	ca, err := secrets.NewCA(secrets.CAOptions{Organization: "talos"})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func inResource(pair secrets.KeyPair) *pki.CertificateAndKey {
	return &pki.CertificateAndKey{Crt: pki.PEM(pair.Cert), Key: pki.PEM(pair.Key)}
}

func members(t *testing.T, store *resource.Store) {
	put(t, store, "cp", cluster.Member{
		Hostname: "cp", MachineType: machinetype.ControlPlane,
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
	})
	put(t, store, "worker", cluster.Member{
		Hostname: "worker", MachineType: machinetype.Worker, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")},
	})
}

func TestClientConfig(t *testing.T) {
	store, ca := resource.NewStore(), authority(t)
	other := authority(t)
	put(t, store, resources.OSRootID, resources.OSRoot{
		IssuingCA:   inResource(ca.KeyPair()),
		AcceptedCAs: []*pki.Certificate{{Crt: pki.PEM(other.CertPEM())}},
	})
	put(t, store, resources.KubernetesRootID, resources.KubernetesRoot{Name: "prod"})
	members(t, store)
	got, err := stored.New(store).ClientConfig(t.Context(), []string{"os:reader"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := secrets.ParseCertificate(got.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := secrets.Pool(ca.CertPEM())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff([]string{"os:reader"}, certificate.Subject.Organization); diff != "" {
		t.Errorf("roles (-want +got):\n%s", diff)
	}
	if left := time.Until(certificate.NotAfter); left > time.Hour+time.Minute || left < time.Hour-time.Minute {
		t.Errorf("the certificate is valid for %v", left)
	}
	file, err := clientconfig.Parse(got.Config)
	if err != nil {
		t.Fatal(err)
	}
	entry := file.Contexts[file.Context]
	if file.Context != "prod" || !cmp.Equal(entry.Endpoints, []string{"10.0.0.1"}) {
		t.Errorf("got context %q with endpoints %q", file.Context, entry.Endpoints)
	}
	if authorities, err := secrets.ParseCertificates(entry.CA); err != nil || len(authorities) != 2 {
		t.Errorf("got %d authorities, %v", len(authorities), err)
	}
}

func TestWhatIsMissing(t *testing.T) {
	for _, test := range []struct {
		kind machinetype.Type
		want error
	}{
		{machinetype.Worker, server.ErrPrecondition},
		{machinetype.ControlPlane, server.ErrNotReady},
		{machinetype.Unknown, server.ErrNotReady},
	} {
		t.Run(test.kind.String(), func(t *testing.T) {
			store := resource.NewStore()
			if test.kind != machinetype.Unknown {
				put(t, store, config.MachineTypeID, config.MachineType{Type: test.kind})
			}
			facts := stored.New(store)
			_, kubeconfig := facts.Kubeconfig(t.Context())
			_, etcd := facts.Local(t.Context())
			_, kubernetes := facts.Kubernetes(t.Context(), "")
			for name, err := range map[string]error{"kubeconfig": kubeconfig, "etcd": etcd, "kubernetes": kubernetes} {
				if test.kind != machinetype.Unknown && !errors.Is(err, test.want) {
					t.Errorf("%s: got %v, want %v", name, err, test.want)
				}
				if err == nil {
					t.Errorf("%s: there was no error", name)
				}
			}
		})
	}
}

func TestAWorkerHasNoKeyToIssueWith(t *testing.T) {
	store := resource.NewStore()
	pair := authority(t).KeyPair()
	pair.Key = nil
	put(t, store, resources.OSRootID, resources.OSRoot{IssuingCA: inResource(pair)})
	_, err := stored.New(store).ClientConfig(t.Context(), []string{"os:reader"}, time.Hour)
	if !errors.Is(err, server.ErrPrecondition) {
		t.Errorf("got %v", err)
	}
}

func TestEtcdEndpoints(t *testing.T) {
	store, ca := resource.NewStore(), authority(t)
	admin, err := ca.IssueClient(secrets.Request{CommonName: "admin"})
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, resources.EtcdRootID, resources.EtcdRoot{EtcdCA: inResource(ca.KeyPair())})
	put(t, store, resources.EtcdID, resources.Etcd{EtcdAdmin: inResource(admin)})
	members(t, store)
	facts := stored.New(store)
	for name, test := range map[string]struct {
		connect func() (server.EtcdClient, error)
		want    []string
	}{
		"local":   {func() (server.EtcdClient, error) { return facts.Local(t.Context()) }, []string{"https://127.0.0.1:2379"}},
		"cluster": {func() (server.EtcdClient, error) { return facts.Cluster(t.Context()) }, []string{"https://127.0.0.1:2379", "https://10.0.0.1:2379"}},
	} {
		client, err := test.connect()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, client.Endpoints()); diff != "" {
			t.Errorf("%s: endpoints (-want +got):\n%s", name, diff)
		}
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMembersAndTimeServers(t *testing.T) {
	store := resource.NewStore()
	members(t, store)
	facts := stored.New(store)
	if servers, _, err := facts.Servers(t.Context()); err != nil || len(servers) != 0 {
		t.Errorf("got %q, %v", servers, err)
	}
	put(t, store, network.TimeServerID, network.TimeServerStatus{NTPServers: []string{"ntp.example"}})
	if servers, _, err := facts.Servers(t.Context()); err != nil || !cmp.Equal(servers, []string{"ntp.example"}) {
		t.Errorf("got %q, %v", servers, err)
	}
	got, err := facts.Members(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []server.Member{
		{Hostname: "cp", Addresses: []string{"10.0.0.1", "fd00::1"}, ControlPlane: true},
		{Hostname: "worker", Addresses: []string{"10.0.0.2"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}
