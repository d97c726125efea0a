package operator

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

var comparers = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func dhcp4(link string) network.OperatorSpec {
	return network.OperatorSpec{
		Operator: network.OperatorDHCP4, LinkName: link, RequireUp: true, DHCP4: network.DHCP4OperatorSpec{RouteMetric: 1024},
	}
}

// Operators run on the link that has a name or an alias, once.
func TestWanted(t *testing.T) {
	t.Parallel()

	const low, high = network.ConfigLayerDefault, network.ConfigLayerConfiguration

	on := func(link string, l network.ConfigLayer) *resource.Resource[network.OperatorSpec] {
		spec := dhcp4(link)
		spec.ConfigLayer = l

		return resource.New(layer.OperatorID(spec), spec)
	}
	links := []*resource.Resource[network.LinkStatus]{
		resource.New("eth0", network.LinkStatus{Alias: "net0", LinkState: true}),
		resource.New("eth1", network.LinkStatus{Alias: "net1"}),
	}
	vip := on("eth0", high)
	vip.Spec.Operator = network.OperatorVIP

	for _, test := range []struct {
		name  string
		specs []*resource.Resource[network.OperatorSpec]
		want  map[string]string
	}{
		{"by its own name", []*resource.Resource[network.OperatorSpec]{on("eth0", low)}, map[string]string{"dhcp4/eth0": "eth0"}},
		{"by an alias", []*resource.Resource[network.OperatorSpec]{on("net0", high)}, map[string]string{"dhcp4/net0": "eth0"}},
		{"by both", []*resource.Resource[network.OperatorSpec]{on("eth0", low), on("net0", high)}, map[string]string{"dhcp4/net0": "eth0"}},
		{"by both, the other way", []*resource.Resource[network.OperatorSpec]{on("net0", high), on("eth0", low)}, map[string]string{"dhcp4/net0": "eth0"}},
		{"a link without a signal", []*resource.Resource[network.OperatorSpec]{on("net1", high)}, nil},
		{"a link that is not there", []*resource.Resource[network.OperatorSpec]{on("net2", high)}, nil},
		{"another kind", []*resource.Resource[network.OperatorSpec]{vip}, nil},
	} {
		m := New(slog.New(slog.DiscardHandler), SystemClock{}, map[network.Operator]Run{network.OperatorDHCP4: DHCP4})

		got := map[string]string{}
		for id, spec := range m.wanted(test.specs, links) {
			got[id] = spec.LinkName
		}

		if diff := cmp.Diff(test.want, got, comparers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func answer(options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	ack := &dhcpv4.DHCPv4{YourIPAddr: net.IPv4(10, 5, 0, 2), Options: dhcpv4.Options{}}
	for _, o := range options {
		ack.UpdateOption(o)
	}

	return ack
}

func TestFromACK(t *testing.T) {
	t.Parallel()

	mask := dhcpv4.OptSubnetMask(net.CIDRMask(24, 32))
	address := network.AddressSpec{
		Address: netip.MustParsePrefix("10.5.0.2/24"), LinkName: "eth0", Family: network.FamilyInet4,
		Flags: network.AddressFlagPermanent, Priority: 1024,
	}
	via := network.RouteSpec{
		Family: network.FamilyInet4, Source: netip.MustParseAddr("10.5.0.2"), Gateway: netip.MustParseAddr("10.5.0.1"), OutLinkName: "eth0",
		Table: network.RoutingTableMain, Priority: 1024, Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolDHCP,
	}
	outside, onLink := via, via
	outside.Gateway = netip.MustParseAddr("10.9.0.1")
	onLink.Gateway, onLink.Scope, onLink.Destination = netip.Addr{}, network.ScopeLink, netip.MustParsePrefix("10.9.0.1/32")

	for _, test := range []struct {
		name string
		ack  *dhcpv4.DHCPv4
		skip bool
		want layer.Specs
	}{
		{
			"all",
			answer(mask, dhcpv4.OptRouter(net.IPv4(10, 5, 0, 1)), dhcpv4.OptHostName("one"), dhcpv4.OptDomainName("test"),
				dhcpv4.OptDNS(net.IPv4(10, 5, 0, 3)), dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{"a.test"}}),
				dhcpv4.OptNTPServers(net.IPv4(10, 5, 0, 4)), dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{5, 120})),
			false,
			layer.Specs{
				Links: []network.LinkSpec{{Name: "eth0", Up: true, MTU: 1400}}, Addresses: []network.AddressSpec{address},
				Routes: []network.RouteSpec{via}, Hostnames: []network.HostnameSpec{{Hostname: "one", Domainname: "test"}},
				Resolvers:   []network.ResolverSpec{{DNSServers: []netip.Addr{netip.MustParseAddr("10.5.0.3")}, SearchDomains: []string{"a.test"}}},
				TimeServers: []network.TimeServerSpec{{NTPServers: []string{"10.5.0.4"}}},
			},
		},
		{
			"neither routes nor name", answer(mask, dhcpv4.OptRouter(net.IPv4(10, 5, 0, 1)), dhcpv4.OptHostName("one")), true,
			layer.Specs{Addresses: []network.AddressSpec{address}},
		},
		{
			"a router outside", answer(mask, dhcpv4.OptRouter(net.IPv4(10, 9, 0, 1))), false,
			layer.Specs{Addresses: []network.AddressSpec{address}, Routes: []network.RouteSpec{onLink, outside}},
		},
		{
			"routes before routers",
			answer(mask, dhcpv4.OptRouter(net.IPv4(10, 5, 0, 9)), dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{
				Dest: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, Router: net.IPv4(10, 5, 0, 1),
			})), false,
			layer.Specs{Addresses: []network.AddressSpec{address}, Routes: []network.RouteSpec{via}},
		},
	} {
		spec := dhcp4("eth0")
		spec.DHCP4.SkipRoutes, spec.DHCP4.SkipHostnameRequest = test.skip, test.skip

		got, err := fromACK(spec, test.ack)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(test.want, got, comparers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}

	if _, err := fromACK(dhcp4("eth0"), &dhcpv4.DHCPv4{YourIPAddr: net.IPv4zero}); err == nil {
		t.Error("an answer without an address is taken")
	}
}

func FuzzFromACK(f *testing.F) {
	f.Add(answer(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)), dhcpv4.OptRouter(net.IPv4(10, 9, 0, 1))).ToBytes())

	f.Fuzz(func(t *testing.T, data []byte) {
		ack, err := dhcpv4.FromBytes(data)
		if err != nil {
			return
		}

		specs, err := fromACK(dhcp4("eth0"), ack)
		if err == nil && (len(specs.Addresses) != 1 || !specs.Addresses[0].Address.IsValid()) {
			t.Errorf("addresses %v", specs.Addresses)
		}
	})
}

func reply6(options ...dhcpv6.Modifier) *dhcpv6.Message {
	reply := &dhcpv6.Message{MessageType: dhcpv6.MessageTypeReply}
	for _, o := range options {
		o(reply)
	}

	return reply
}

func TestFromReply(t *testing.T) {
	t.Parallel()

	spec := network.OperatorSpec{Operator: network.OperatorDHCP6, LinkName: "eth0", DHCP6: network.DHCP6OperatorSpec{RouteMetric: 1024}}
	own := dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("2001:db8::5"), ValidLifetime: time.Hour}
	address := network.AddressSpec{
		Address: netip.MustParsePrefix("2001:db8::5/128"), LinkName: "eth0", Family: network.FamilyInet6,
		Flags: network.AddressFlagPermanent, Priority: 1024,
	}
	over := own
	over.ValidLifetime = 0

	for _, test := range []struct {
		name  string
		reply *dhcpv6.Message
		skip  bool
		want  layer.Specs
		fails bool
	}{
		{"an address", reply6(dhcpv6.WithIANA(own)), false, layer.Specs{Addresses: []network.AddressSpec{address}}, false},
		{
			"a name", reply6(dhcpv6.WithIANA(own), dhcpv6.WithFQDN(0, "one.test")), false,
			layer.Specs{Addresses: []network.AddressSpec{address}, Hostnames: []network.HostnameSpec{{Hostname: "one", Domainname: "test"}}}, false,
		},
		{
			"a name that is not wanted", reply6(dhcpv6.WithIANA(own), dhcpv6.WithFQDN(0, "one.test")), true,
			layer.Specs{Addresses: []network.AddressSpec{address}}, false,
		},
		{
			"servers alone", reply6(dhcpv6.WithDNS(net.ParseIP("2001:db8::53"))), false,
			layer.Specs{Resolvers: []network.ResolverSpec{{DNSServers: []netip.Addr{netip.MustParseAddr("2001:db8::53")}}}}, false,
		},
		{"an address that ends now", reply6(dhcpv6.WithIANA(over)), false, layer.Specs{}, true},
		{
			"a refusal", reply6(dhcpv6.WithOption(&dhcpv6.OptStatusCode{StatusCode: iana.StatusNoBinding})), false, layer.Specs{}, true,
		},
	} {
		spec := spec
		spec.DHCP6.SkipHostnameRequest = test.skip

		got, err := fromReply(spec, test.reply)
		if (err != nil) != test.fails {
			t.Errorf("%s: %v", test.name, err)
		}

		if diff := cmp.Diff(test.want, got, comparers); err == nil && diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

func FuzzFromReply(f *testing.F) {
	f.Add(reply6(dhcpv6.WithIANA(dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP("2001:db8::5"), ValidLifetime: time.Hour}),
		dhcpv6.WithFQDN(0, "one.test"), dhcpv6.WithDNS(net.ParseIP("2001:db8::53"))).ToBytes())

	f.Fuzz(func(t *testing.T, data []byte) {
		message, err := dhcpv6.MessageFromBytes(data)
		if err != nil {
			return
		}

		specs, err := fromReply(network.OperatorSpec{LinkName: "eth0"}, message)
		if err != nil {
			return
		}

		for _, a := range specs.Addresses {
			if !a.Address.IsValid() || !a.Address.Addr().Is6() {
				t.Errorf("address %v", a.Address)
			}
		}
	})
}
