package network

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/controllers/network/hostdns"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

func config(t *testing.T, docs ...any) *machineconfig.Config {
	t.Helper()

	cfg, err := machineconfig.New(docs...)
	if err != nil {
		t.Fatal(err)
	}

	return cfg
}

func TestHostname(t *testing.T) {
	t.Parallel()

	named := config(t, &document.HostnameConfig{Hostname: "cp-1.example.com"})
	unnamed := config(t, &document.HostnameConfig{Auto: "stable"})

	for _, test := range []struct {
		name         string
		cfg          *machineconfig.Config
		platform, id string
		want         network.HostnameSpec
		ok           bool
	}{
		{"configured", named, "docker", "x", network.HostnameSpec{Hostname: "cp-1", Domainname: "example.com", ConfigLayer: network.ConfigLayerConfiguration}, true},
		{"of the platform", unnamed, "node-1", "x", network.HostnameSpec{Hostname: "node-1", ConfigLayer: network.ConfigLayerPlatform}, true},
		{"before there is a configuration", nil, "node-1", "", network.HostnameSpec{Hostname: "node-1", ConfigLayer: network.ConfigLayerPlatform}, true},
		{"of the identity", unnamed, "localhost", "x", network.HostnameSpec{Hostname: "talos-2d7-116", ConfigLayer: network.ConfigLayerDefault}, true},
		{"none", unnamed, "(none)", "", network.HostnameSpec{}, false},
	} {
		got, ok := hostname(test.cfg, test.platform, test.id)
		if diff := cmp.Diff(test.want, got); diff != "" || ok != test.ok {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, ok, diff)
		}
	}
}

func TestResolvers(t *testing.T) {
	t.Parallel()

	yes := true
	configured := &document.ResolverConfig{
		Nameservers:   []document.Nameserver{{Address: netip.MustParseAddr("10.0.0.1"), Protocol: "DoT", TLSServerName: "dns.example.com"}},
		SearchDomains: &document.SearchDomains{Domains: []string{"example.com"}, DisableDefault: &yes},
	}

	got, err := resolvers(config(t, configured))
	if err != nil {
		t.Fatal(err)
	}

	want := network.ResolverSpec{
		DNSServers:    []netip.Addr{netip.MustParseAddr("10.0.0.1")},
		NameServers:   []network.NameServerSpec{{Addr: netip.MustParseAddr("10.0.0.1"), Protocol: network.DNSProtocolDoT, TLSServerName: "dns.example.com"}},
		ConfigLayer:   network.ConfigLayerConfiguration,
		SearchDomains: []string{"example.com"}, SearchDomainsOverridden: true,
	}
	if diff := cmp.Diff(want, got, comparePrefix); diff != "" {
		t.Errorf("resolvers (-want +got):\n%s", diff)
	}

	got, err = resolvers(config(t, &document.ResolverConfig{}))
	if err != nil || len(got.DNSServers) != 2 || got.ConfigLayer != network.ConfigLayerDefault {
		t.Errorf("default resolvers: %v, %v", got, err)
	}
}

func TestRenderedFiles(t *testing.T) {
	t.Parallel()

	servers := []netip.Addr{
		netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("fd00::1"), netip.MustParseAddr("10.0.0.4"),
	}

	want := "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver fd00::1\n\nsearch example.com a.example.com\n"
	if diff := cmp.Diff(want, resolvConf(servers, []string{"example.com", "a.example.com"})); diff != "" {
		t.Errorf("resolv.conf (-want +got):\n%s", diff)
	}

	got := hosts(network.HostnameStatus{Hostname: "cp-1", Domainname: "example.com"}, netip.MustParseAddr("10.5.0.2"),
		[]*resource.Resource[network.StaticHost]{
			resource.New("a.example.com", network.StaticHost{Addresses: []netip.Addr{netip.MustParseAddr("10.9.0.1")}}),
			resource.New("b.example.com", network.StaticHost{Addresses: []netip.Addr{netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.8.0.1")}}),
		})

	want = `127.0.0.1       localhost
10.5.0.2        cp-1.example.com cp-1
::1             localhost ip6-localhost ip6-loopback
ff02::1         ip6-allnodes
ff02::2         ip6-allrouters
10.8.0.1        b.example.com
10.9.0.1        a.example.com b.example.com
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestHostDNSConfig(t *testing.T) {
	t.Parallel()

	yes := true

	for _, test := range []struct {
		name   string
		doc    *document.ResolverConfig
		want   bool
		listen int
	}{
		{"off", &document.ResolverConfig{}, false, 1},
		{"for the node", &document.ResolverConfig{HostDNS: &document.HostDNS{Enabled: &yes}}, true, 1},
		{"for pods too", &document.ResolverConfig{HostDNS: &document.HostDNS{Enabled: &yes, ForwardKubeDNSToHost: &yes}}, true, 2},
	} {
		got := hostDNSConfig(config(t, test.doc))
		if got.Enabled != test.want || len(got.ListenAddresses) != test.listen || got.ServiceHostDNSAddress.IsValid() != (test.listen == 2) {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestUpstreamsAreNotOurselves(t *testing.T) {
	t.Parallel()

	got := upstreams(
		[]network.NameServerSpec{{Addr: hostDNSLocal}, {Addr: netip.MustParseAddr("10.0.0.1"), Protocol: network.DNSProtocolDoH}},
		[]netip.AddrPort{netip.AddrPortFrom(hostDNSLocal, 53)})
	want := []hostdns.Nameserver{{Address: netip.MustParseAddr("10.0.0.1"), Protocol: hostdns.DoH}}

	if diff := cmp.Diff(want, got, comparePrefix); diff != "" {
		t.Errorf("upstreams (-want +got):\n%s", diff)
	}
}

func TestMemberNames(t *testing.T) {
	t.Parallel()

	addresses := []netip.Addr{netip.MustParseAddr("10.5.0.3")}
	got := memberNames([]*resource.Resource[cluster.Member]{
		resource.New("worker-1", cluster.Member{Hostname: "Worker-1.example.com", Addresses: addresses}),
	})

	want := map[string][]netip.Addr{"worker-1": addresses, "worker-1.example.com": addresses}
	if diff := cmp.Diff(want, got, comparePrefix); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestConnected(t *testing.T) {
	t.Parallel()

	gateway := network.RouteStatus{Gateway: netip.MustParseAddr("10.5.0.1"), Table: network.RoutingTableMain}
	local := network.RouteStatus{Destination: netip.MustParsePrefix("10.5.0.0/24"), Table: network.RoutingTableMain}
	other := gateway
	other.Table = 100

	for _, test := range []struct {
		name   string
		routes []network.RouteStatus
		probes []bool
		want   bool
	}{
		{"nothing", nil, nil, false},
		{"a default route", []network.RouteStatus{local, gateway}, nil, true},
		{"no default route", []network.RouteStatus{local}, nil, false},
		{"in another table", []network.RouteStatus{other}, nil, false},
		{"all probes succeed", nil, []bool{true, true}, true},
		{"a probe fails", []network.RouteStatus{gateway}, []bool{true, false}, false},
	} {
		var routes []*resource.Resource[network.RouteStatus]
		for _, r := range test.routes {
			routes = append(routes, resource.New("r", r))
		}

		var probes []*resource.Resource[network.ProbeStatus]
		for _, p := range test.probes {
			probes = append(probes, resource.New("p", network.ProbeStatus{Success: p}))
		}

		if got := connected(routes, probes); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
