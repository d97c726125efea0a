package cmdline_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/controllers/network/cmdline"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
)

const own = network.ConfigLayerCmdline

var comparers = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func up(name string) network.LinkSpec {
	return network.LinkSpec{Name: name, Up: true, ConfigLayer: own}
}

func dhcp4(link string) network.OperatorSpec {
	return network.OperatorSpec{
		Operator: network.OperatorDHCP4, LinkName: link, RequireUp: true,
		DHCP4: network.DHCP4OperatorSpec{RouteMetric: cmdline.DefaultMetric}, ConfigLayer: own,
	}
}

func address(link, prefix string, family network.Family) network.AddressSpec {
	return network.AddressSpec{
		Address: netip.MustParsePrefix(prefix), LinkName: link, Family: family, Flags: network.AddressFlagPermanent, ConfigLayer: own,
	}
}

func via(link, gateway string, family network.Family) network.RouteSpec {
	return network.RouteSpec{
		Family: family, Gateway: netip.MustParseAddr(gateway), OutLinkName: link, Table: network.RoutingTableMain,
		Priority: cmdline.DefaultMetric, Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolBoot, ConfigLayer: own,
	}
}

func TestParse(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		text string
		want layer.Specs
	}{
		{"quiet talos.platform=metal ip= bond=", layer.Specs{}},
		{"ip=dhcp", layer.Specs{Links: []network.LinkSpec{up("")}, Operators: []network.OperatorSpec{dhcp4("")}}},
		{"ip=eth1:dhcp", layer.Specs{Links: []network.LinkSpec{up("eth1")}, Operators: []network.OperatorSpec{dhcp4("eth1")}}},
		{"ip=:::::eth1:dhcp", layer.Specs{Links: []network.LinkSpec{up("eth1")}, Operators: []network.OperatorSpec{dhcp4("eth1")}}},
		{
			"ip=172.20.0.2::172.20.0.1:255.255.255.0:master1.example.org:eth1:none:10.0.0.1:10.0.0.2:10.0.0.3",
			layer.Specs{
				Links:     []network.LinkSpec{up("eth1")},
				Addresses: []network.AddressSpec{address("eth1", "172.20.0.2/24", network.FamilyInet4)},
				Routes:    []network.RouteSpec{via("eth1", "172.20.0.1", network.FamilyInet4)},
				Hostnames: []network.HostnameSpec{{Hostname: "master1", Domainname: "example.org", ConfigLayer: own}},
				Resolvers: []network.ResolverSpec{{
					DNSServers: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}, ConfigLayer: own,
				}},
				TimeServers: []network.TimeServerSpec{{NTPServers: []string{"10.0.0.3"}, ConfigLayer: own}},
			},
		},
		{
			"ip=[2001:db8::2]::[2001:db8::1]:64::eth0:none",
			layer.Specs{
				Links:     []network.LinkSpec{up("eth0")},
				Addresses: []network.AddressSpec{address("eth0", "2001:db8::2/64", network.FamilyInet6)},
				Routes:    []network.RouteSpec{via("eth0", "2001:db8::1", network.FamilyInet6)},
			},
		},
		{
			"vlan=eth0.0100:eth0",
			layer.Specs{Links: []network.LinkSpec{
				{
					Name: "eth0.0100", Logical: true, Up: true, Kind: "vlan", Type: network.LinkTypeEther, ParentName: "eth0",
					VLAN: network.VLANSpec{VID: 100, Protocol: network.VLANProtocol8021Q}, ConfigLayer: own,
				},
				up("eth0"),
			}},
		},
		{
			`"bridge=br0:eth0,eth1"`,
			layer.Specs{Links: []network.LinkSpec{
				{Name: "br0", Logical: true, Up: true, Kind: "bridge", Type: network.LinkTypeEther, ConfigLayer: own},
				{Name: "eth0", Up: true, BridgeSlave: network.BridgeSlave{MasterName: "br0"}, ConfigLayer: own},
				{Name: "eth1", Up: true, BridgeSlave: network.BridgeSlave{MasterName: "br0"}, ConfigLayer: own},
			}},
		},
		{
			"bond=bond1:eth3,eth4:mode=802.3ad,xmit_hash_policy=layer2+3,miimon=100,arp_ip_target=10.0.0.1;10.0.0.2,use_carrier=0:1450",
			layer.Specs{Links: []network.LinkSpec{
				{
					Name: "bond1", Logical: true, Up: true, Kind: "bond", Type: network.LinkTypeEther, MTU: 1450, ConfigLayer: own,
					BondMaster: network.BondMasterSpec{
						Mode: network.BondMode8023AD, HashPolicy: network.BondXmitHashPolicyLayer23, MIIMon: 100,
						ARPIPTargets: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")},
					},
				},
				{Name: "eth3", Up: true, BondSlave: network.BondSlave{MasterName: "bond1"}, ConfigLayer: own},
				{Name: "eth4", Up: true, BondSlave: network.BondSlave{MasterName: "bond1", SlaveIndex: 1}, ConfigLayer: own},
			}},
		},
		{
			"talos.hostname=one",
			layer.Specs{Hostnames: []network.HostnameSpec{{Hostname: "one", ConfigLayer: own}}},
		},
	} {
		t.Run(test.text, func(t *testing.T) {
			t.Parallel()

			got, err := cmdline.Parse(test.text)
			if err != nil {
				t.Fatal(err)
			}

			if diff := cmp.Diff(test.want, got.Specs, comparers); diff != "" {
				t.Errorf("specs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ text, message string }{
		{"ip=10.0.0.300", "expected an address"},
		{"ip=10.0.0.3:::255.0.255.0", "expected ones and then zeros"},
		{"ip=10.0.0.3:::33", "expected at most 32 bits"},
		{"ip=10.0.0.3::2001--1:24", "expected an address of the family"},
		{"ip=:::::eth0:magic", "expected a way of configuration"},
		{"ip=:::::a/b:dhcp", "expected the name of a link"},
		{"ip=:::::eth0:dhcp:nobody", "name server"},
		{"vlan=eth0.5000:eth0", "from 1 to 4094"},
		{"vlan=eth0.5", "names of a VLAN"},
		{"bridge=br0", "expected the name of a link"},
		{"bond=bond0:eth0:mode=9", "mode="},
		{"bond=bond0:eth0:color=red", "option of a bond"},
		{"bond=bond0:eth0::big", "expected a number"},
	} {
		got, err := cmdline.Parse(test.text + " ip=eth7:dhcp")
		if err == nil || !strings.Contains(err.Error(), test.message) {
			t.Errorf("%s: error %v, want %q", test.text, err, test.message)
		}

		// The rest is read all the same.
		if len(got.Specs.Operators) != 1 || got.Specs.Operators[0].LinkName != "eth7" {
			t.Errorf("%s: operators %v", test.text, got.Specs.Operators)
		}
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()

	settings, err := cmdline.Parse("ip=dhcp ip=:::::enx020000000007:dhcp ip=:::::enx02000000ffff:dhcp ip=eth9:dhcp talos.network.interface.ignore=eth5")
	if err != nil {
		t.Fatal(err)
	}

	got := settings.Resolve(map[string]network.LinkStatus{
		"lo":   {Index: 1, Type: network.LinkTypeLoopback},
		"br0":  {Index: 2, Type: network.LinkTypeEther, Kind: "bridge"},
		"eth1": {Index: 4, Type: network.LinkTypeEther, HardwareAddr: network.MAC{2, 0, 0, 0, 0, 7}},
		"eth0": {Index: 3, Type: network.LinkTypeEther},
	})

	want := []network.OperatorSpec{dhcp4("eth0"), dhcp4("eth1"), dhcp4("eth9")}
	if diff := cmp.Diff(want, got.Operators, comparers); diff != "" {
		t.Errorf("operators (-want +got):\n%s", diff)
	}

	if none := settings.Resolve(nil).Operators; len(none) != 1 {
		t.Errorf("without links there are operators %v", none)
	}

	if diff := cmp.Diff([]string{"eth5"}, settings.Ignored); diff != "" {
		t.Errorf("ignored (-want +got):\n%s", diff)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"ip=172.20.0.2::172.20.0.1:255.255.255.0:a:eth1:none:10.0.0.1:10.0.0.2:10.0.0.3", "ip=[fe80::1]::[::]:64::eth0:none",
		"bond=bond1:eth3,eth4:mode=1,miimon=100:1450", "vlan=vlan5:eth0", "bridge=br0:eth0", `"ip=dhcp`, "ip=]]:[",
	} {
		f.Add(seed)
	}

	f.Fuzz(func(t *testing.T, text string) {
		settings, _ := cmdline.Parse(text)

		for _, link := range settings.Specs.Links {
			if strings.ContainsAny(link.Name, "/ \n") || len(link.Name) > 15 {
				t.Errorf("link %q", link.Name)
			}
		}

		for _, a := range settings.Specs.Addresses {
			if !a.Address.IsValid() {
				t.Errorf("address %v", a)
			}
		}

		settings.Resolve(map[string]network.LinkStatus{"eth0": {Type: network.LinkTypeEther}})
	})
}
