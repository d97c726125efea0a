package layer_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
)

const (
	defaults = network.ConfigLayerDefault
	cmdline  = network.ConfigLayerCmdline
	operator = network.ConfigLayerOperator
	machine  = network.ConfigLayerConfiguration
)

var comparers = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func check(t *testing.T, got, want any) {
	t.Helper()

	if diff := cmp.Diff(want, got, comparers); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
}

func TestMergeLinks(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name  string
		specs []network.LinkSpec
		want  network.LinkSpec
	}{
		{
			"a higher layer wins, whatever the order",
			[]network.LinkSpec{{Name: "eth0", Up: true, MTU: 9000, ConfigLayer: machine}, {Name: "eth0", MTU: 1400, ConfigLayer: cmdline}},
			network.LinkSpec{Name: "eth0", Up: true, MTU: 9000, ConfigLayer: machine},
		},
		{
			"a higher layer takes the link down",
			[]network.LinkSpec{{Name: "eth0", Up: true, ConfigLayer: defaults}, {Name: "eth0", ConfigLayer: machine}},
			network.LinkSpec{Name: "eth0", ConfigLayer: machine},
		},
		{
			"what it leaves open stays",
			[]network.LinkSpec{
				{Name: "eth0", Up: true, MTU: 1400, HardwareAddress: network.MAC{2, 0, 0, 0, 0, 1}, ConfigLayer: defaults},
				{Name: "eth0", Up: true, ConfigLayer: machine},
			},
			network.LinkSpec{Name: "eth0", Up: true, MTU: 1400, HardwareAddress: network.MAC{2, 0, 0, 0, 0, 1}, ConfigLayer: machine},
		},
		{
			"parts of one layer add up",
			[]network.LinkSpec{
				{Name: "eth0", Up: true, MTU: 1400, ConfigLayer: machine},
				{Name: "eth0", BondSlave: network.BondSlave{MasterName: "bond0", SlaveIndex: 1}, ConfigLayer: machine},
			},
			network.LinkSpec{
				Name: "eth0", Up: true, MTU: 1400, BondSlave: network.BondSlave{MasterName: "bond0", SlaveIndex: 1}, ConfigLayer: machine,
			},
		},
		{
			"a link has one master",
			[]network.LinkSpec{
				{Name: "eth0", BondSlave: network.BondSlave{MasterName: "bond0"}, ConfigLayer: cmdline},
				{Name: "eth0", BridgeSlave: network.BridgeSlave{MasterName: "br0"}, ConfigLayer: machine},
			},
			network.LinkSpec{Name: "eth0", BridgeSlave: network.BridgeSlave{MasterName: "br0"}, ConfigLayer: machine},
		},
		{
			"a virtual link is made as the highest says",
			[]network.LinkSpec{
				{Name: "net", Logical: true, Kind: "vlan", ParentName: "eth0", VLAN: network.VLANSpec{VID: 5}, ConfigLayer: cmdline},
				{Name: "net", Logical: true, Kind: "bridge", ConfigLayer: machine},
			},
			network.LinkSpec{Name: "net", Logical: true, Kind: "bridge", ConfigLayer: machine},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			check(t, layer.MergeLinks(test.specs), map[string]network.LinkSpec{test.want.Name: test.want})
		})
	}
}

func TestMergeByIdentity(t *testing.T) {
	t.Parallel()

	address := netip.MustParsePrefix("10.5.0.2/24")
	low := network.AddressSpec{LinkName: "eth0", Address: address, ConfigLayer: operator}
	high := network.AddressSpec{LinkName: "eth0", Address: address, Priority: 7, ConfigLayer: machine}
	other := network.AddressSpec{LinkName: "eth1", Address: address, ConfigLayer: operator}

	check(t, layer.MergeAddresses([]network.AddressSpec{high, low, other}), map[string]network.AddressSpec{
		"eth0/10.5.0.2/24": high, "eth1/10.5.0.2/24": other,
	})

	gateway := netip.MustParseAddr("10.5.0.1")
	route := network.RouteSpec{Family: network.FamilyInet4, Gateway: gateway, OutLinkName: "eth0", Table: network.RoutingTableMain, Priority: 1024}
	routeHigh := route
	routeHigh.ConfigLayer, routeHigh.MTU = machine, 1400
	vrf := route
	vrf.Table = 100

	check(t, layer.MergeRoutes([]network.RouteSpec{route, routeHigh, vrf}), map[string]network.RouteSpec{
		"eth0/inet4/10.5.0.1//1024": routeHigh, "100/eth0/inet4/10.5.0.1//1024": vrf,
	})

	rule := network.RoutingRuleSpec{Family: network.FamilyInet6, Priority: 100, Table: 5, ConfigLayer: machine}
	check(t, layer.MergeRules([]network.RoutingRuleSpec{rule}), map[string]network.RoutingRuleSpec{"inet6/100": rule})

	dhcp := network.OperatorSpec{Operator: network.OperatorDHCP4, LinkName: "eth0"}
	dhcpHigh := network.OperatorSpec{
		Operator: network.OperatorDHCP4, LinkName: "eth0", DHCP4: network.DHCP4OperatorSpec{RouteMetric: 5}, ConfigLayer: machine,
	}
	check(t, layer.MergeOperators([]network.OperatorSpec{dhcpHigh, dhcp}), map[string]network.OperatorSpec{"dhcp4/eth0": dhcpHigh})
}

func TestMergeHostnames(t *testing.T) {
	t.Parallel()

	check(t, layer.MergeHostnames([]network.HostnameSpec{
		{Hostname: "stable", ConfigLayer: defaults}, {Hostname: "leased", ConfigLayer: operator}, {ConfigLayer: machine},
	}), map[string]network.HostnameSpec{network.HostnameID: {Hostname: "leased", ConfigLayer: operator}})

	check(t, layer.MergeHostnames([]network.HostnameSpec{{}}), map[string]network.HostnameSpec{})
}

func TestMergeResolvers(t *testing.T) {
	t.Parallel()

	a, b, c := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr("10.0.0.3")

	check(t, layer.MergeResolvers([]network.ResolverSpec{
		{DNSServers: []netip.Addr{c}, SearchDomains: []string{"never"}, ConfigLayer: defaults},
		{DNSServers: []netip.Addr{a}, SearchDomains: []string{"one.test"}, ConfigLayer: operator},
		{DNSServers: []netip.Addr{b, a}, ConfigLayer: operator},
		{SearchDomains: []string{"mine.test"}, SearchDomainsOverridden: true, ConfigLayer: machine},
	}), map[string]network.ResolverSpec{network.ResolverID: {
		DNSServers: []netip.Addr{a, b}, NameServers: []network.NameServerSpec{{Addr: a}, {Addr: b}},
		SearchDomains: []string{"mine.test"}, SearchDomainsOverridden: true, ConfigLayer: machine,
	}})

	check(t, layer.MergeResolvers(nil), map[string]network.ResolverSpec(nil))
}

func TestMergeTimeServers(t *testing.T) {
	t.Parallel()

	check(t, layer.MergeTimeServers([]network.TimeServerSpec{
		{NTPServers: []string{"default.test"}, ConfigLayer: defaults},
		{NTPServers: []string{"a.test"}, ConfigLayer: operator},
		{NTPServers: []string{"b.test", "a.test"}, ConfigLayer: operator},
		{ConfigLayer: machine},
	}), map[string]network.TimeServerSpec{network.TimeServerID: {NTPServers: []string{"a.test", "b.test"}, ConfigLayer: operator}})
}
