package cluster

import (
	"encoding/base64"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

var compareAddr = cmpopts.EquateComparable(netip.Addr{})

func TestIdentityStays(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "node-identity.yaml")

	first, err := loadIdentity(path)
	if err != nil || first.NodeID == "" {
		t.Fatalf("first identity %v, %v", first, err)
	}

	second, err := loadIdentity(path)
	if err != nil || second != first {
		t.Errorf("second identity %v, %v; want %v", second, err, first)
	}

	for _, text := range []string{"", "nodeId: ''", "nodeId: x\nother: y"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}

		// A broken file must not turn the node into another one.
		if got, err := loadIdentity(path); err == nil {
			t.Errorf("identity of %q is %v", text, got)
		}
	}
}

func TestServiceAddress(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]string{
		"https://discovery.example.com/":     "discovery.example.com:443",
		"https://discovery.example.com:8443": "discovery.example.com:8443",
		"http://10.5.0.1:3000":               "10.5.0.1:3000 insecure",
		"http://10.5.0.1":                    "10.5.0.1:80 insecure",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}

		got, insecure := serviceAddress(*u)
		if insecure {
			got += " insecure"
		}

		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestDiscoveryConfig(t *testing.T) {
	t.Parallel()

	endpoint, err := document.ParseURL("http://10.5.0.1:3000")
	if err != nil {
		t.Fatal(err)
	}

	service := &document.DiscoveryServiceConfig{Name: "default", Endpoint: endpoint}
	identity := func(secret string) *document.DiscoveryIdentityConfig {
		return &document.DiscoveryIdentityConfig{ClusterID: "id", ClusterSecret: secret}
	}
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))

	for _, test := range []struct {
		name    string
		docs    []any
		enabled bool
		err     bool
	}{
		{"no service", []any{identity(key)}, false, false},
		{"no identity", []any{service}, false, false},
		{"both", []any{service, identity(key)}, true, false},
		{"a short secret", []any{service, identity("AAAA")}, false, true},
	} {
		cfg, err := machineconfig.New(test.docs...)
		if err != nil {
			t.Fatal(err)
		}

		got, err := discoveryConfig(cfg)
		if got.DiscoveryEnabled != test.enabled || (err != nil) != test.err {
			t.Errorf("%s: %v, %v", test.name, got.DiscoveryEnabled, err)
		}

		if test.enabled && (got.ServiceEndpoint != "10.5.0.1:3000" || !got.ServiceEndpointInsecure) {
			t.Errorf("%s: service %s, insecure %v", test.name, got.ServiceEndpoint, got.ServiceEndpointInsecure)
		}
	}
}

func TestMergeAffiliates(t *testing.T) {
	t.Parallel()

	a1, a2, b1 := netip.MustParseAddr("10.5.0.2"), netip.MustParseAddr("10.6.0.2"), netip.MustParseAddr("10.5.0.3")

	got := mergeAffiliates([]*resource.Resource[cluster.Affiliate]{
		resource.New("local/a", cluster.Affiliate{NodeID: "a", Hostname: "cp", Addresses: []netip.Addr{a1}}),
		resource.New("service/a", cluster.Affiliate{
			NodeID: "a", Hostname: "old", Nodename: "cp", MachineType: machinetype.ControlPlane, Addresses: []netip.Addr{a2, a1},
		}),
		resource.New("service/b", cluster.Affiliate{NodeID: "b", Nodename: "worker", MachineType: machinetype.Worker, Addresses: []netip.Addr{b1}}),
	})

	want := map[string]cluster.Affiliate{
		"a": {NodeID: "a", Hostname: "cp", Nodename: "cp", MachineType: machinetype.ControlPlane, Addresses: []netip.Addr{a1, a2}},
		"b": {NodeID: "b", Nodename: "worker", MachineType: machinetype.Worker, Addresses: []netip.Addr{b1}},
	}
	if diff := cmp.Diff(want, got, compareAddr); diff != "" {
		t.Errorf("affiliates (-want +got):\n%s", diff)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()

	address := []netip.Addr{netip.MustParseAddr("10.5.0.2")}

	got := members([]*resource.Resource[cluster.Affiliate]{
		resource.New("a", cluster.Affiliate{NodeID: "a", Nodename: "cp", MachineType: machinetype.ControlPlane, Addresses: address}),
		resource.New("b", cluster.Affiliate{NodeID: "b", MachineType: machinetype.Worker, Addresses: address}),
		resource.New("c", cluster.Affiliate{NodeID: "c", Nodename: "c", Addresses: address}),
		resource.New("d", cluster.Affiliate{NodeID: "d", Nodename: "d", MachineType: machinetype.Worker}),
	})

	want := map[string]cluster.Member{"cp": {NodeID: "a", MachineType: machinetype.ControlPlane, Addresses: address}}
	if diff := cmp.Diff(want, got, compareAddr); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}
