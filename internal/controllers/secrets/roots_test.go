package secrets

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/resources/network"
	resources "github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func TestRoots(t *testing.T) {
	t.Parallel()

	bundle, err := secrets.NewBundle(secrets.Options{})
	if err != nil {
		t.Fatal(err)
	}

	out, err := machineconfig.Generate(machineconfig.Input{
		ClusterName: "test", Endpoint: "https://10.5.0.1:6443", Secrets: bundle, AdditionalSANs: []string{"cp.example.com", "192.0.2.1"},
	})
	if err != nil {
		t.Fatal(err)
	}

	root, err := kubernetesRoot(out.ControlPlane)
	if err != nil {
		t.Fatal(err)
	}

	if root.LocalEndpoint.String() != "https://127.0.0.1:7445" || root.IssuerURL != "https://10.5.0.1:6443" || len(root.APIAudiences) != 1 {
		t.Errorf("local endpoint %s, issuer %s, audiences %v", root.LocalEndpoint, root.IssuerURL, root.APIAudiences)
	}

	if root.BootstrapTokenID+"."+root.BootstrapTokenSecret != bundle.Secrets.BootstrapToken {
		t.Error("the bootstrap token is another one")
	}

	for _, cfg := range []*machineconfig.Config{out.ControlPlane, out.Worker} {
		os, err := osRoot(cfg)
		if err != nil {
			t.Fatal(err)
		}

		if (os.IssuingCA != nil) != cfg.Machine().IsControlPlane() || len(os.AcceptedCAs) != 1 {
			t.Errorf("%s: issuing authority %v, %d accepted ones", cfg.Machine().Type, os.IssuingCA != nil, len(os.AcceptedCAs))
		}

		join, err := kubelet(cfg)
		if err != nil || len(join.AcceptedCAs) != 1 || join.Endpoint.Host != "127.0.0.1:7445" {
			t.Errorf("%s: kubelet joins %v with %d authorities, error %v", cfg.Machine().Type, join.Endpoint, len(join.AcceptedCAs), err)
		}
	}

	if _, err := kubernetesRoot(out.Worker); err == nil {
		t.Error("a worker has the authority of Kubernetes")
	}
}

func TestSANs(t *testing.T) {
	t.Parallel()

	node := identity{
		host: network.HostnameStatus{Hostname: "cp-1", Domainname: "example.com"}, addresses: []netip.Addr{netip.MustParseAddr("10.5.0.2")},
	}

	got := apiSANs(resources.OSRoot{CertSANDNSNames: []string{"api.example.com"}}, node)
	want := resources.CertSAN{
		IPs:      []netip.Addr{netip.MustParseAddr("10.5.0.2"), netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()},
		DNSNames: []string{"api.example.com", "cp-1", "cp-1.example.com", "localhost"},
		FQDN:     "cp-1.example.com",
	}

	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("names of the OS API (-want +got):\n%s", diff)
	}
}

func TestSplitToken(t *testing.T) {
	t.Parallel()

	for token, ok := range map[string]bool{"abcdef.0123456789abcdef": true, "abcdef": false, "": false, "ABCDEF.0123456789abcdef": false} {
		if _, _, err := splitToken(token); (err == nil) != ok {
			t.Errorf("%q: error = %v", token, err)
		}
	}
}
