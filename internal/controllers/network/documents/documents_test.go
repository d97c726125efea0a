package documents_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/basalt-os/basalt/internal/controllers/network/documents"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

const (
	own  = network.ConfigLayerConfiguration
	main = network.RoutingTableMain
)

var comparers = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func load(t *testing.T, text string) *machineconfig.Config {
	t.Helper()

	var all strings.Builder

	for part := range strings.SplitSeq(text, "---\n") {
		all.WriteString("---\napiVersion: v1alpha1\n" + part)
	}

	cfg, err := machineconfig.Load([]byte(all.String()), machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	return cfg
}

func physical(name string) network.LinkSpec {
	return network.LinkSpec{Name: name, Up: true, ConfigLayer: own}
}

func virtual(name, kind string) network.LinkSpec {
	return network.LinkSpec{Name: name, Logical: true, Up: true, Kind: kind, Type: network.LinkTypeEther, ConfigLayer: own}
}

func with(s network.LinkSpec, change func(*network.LinkSpec)) network.LinkSpec {
	change(&s)

	return s
}

var cases = map[string]struct {
	text string
	want layer.Specs
}{
	"link": {
		`kind: LinkConfig
name: eth0
mtu: 1400
addresses: [{address: 10.5.0.2/24, routePriority: 5}, {address: "fe80::2/64"}]
routes:
  - gateway: 10.5.0.1
  - {destination: 10.8.0.1/16, metric: 7, table: 100}
  - {destination: "::/0", gateway: "fe80::1", mtu: 1300}
`, layer.Specs{
			Links: []network.LinkSpec{with(physical("eth0"), func(s *network.LinkSpec) { s.MTU = 1400 })},
			Addresses: []network.AddressSpec{
				{
					Address: netip.MustParsePrefix("10.5.0.2/24"), LinkName: "eth0", Family: network.FamilyInet4,
					Flags: network.AddressFlagPermanent, Priority: 5, ConfigLayer: own,
				},
				{
					Address: netip.MustParsePrefix("fe80::2/64"), LinkName: "eth0", Family: network.FamilyInet6,
					Scope: network.ScopeLink, Flags: network.AddressFlagPermanent, ConfigLayer: own,
				},
			},
			Routes: []network.RouteSpec{
				{
					Family: network.FamilyInet4, Gateway: netip.MustParseAddr("10.5.0.1"), OutLinkName: "eth0", Table: main, Priority: 1024,
					Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolStatic, ConfigLayer: own,
				},
				{
					Family: network.FamilyInet4, Destination: netip.MustParsePrefix("10.8.0.0/16"), OutLinkName: "eth0", Table: 100, Priority: 7,
					Scope: network.ScopeLink, Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolStatic, ConfigLayer: own,
				},
				{
					Family: network.FamilyInet6, Gateway: netip.MustParseAddr("fe80::1"), OutLinkName: "eth0", Table: main, Priority: 1024, MTU: 1300,
					Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolStatic, ConfigLayer: own,
				},
			},
		},
	},
	"link that is down": {
		"kind: LinkConfig\nname: eth0\nup: false\n",
		layer.Specs{Links: []network.LinkSpec{{Name: "eth0", ConfigLayer: own}}},
	},
	"bond": {
		`kind: BondConfig
name: bond0
links: [eth0, eth1]
bondMode: 802.3ad
lacpRate: fast
xmitHashPolicy: layer3+4
miimon: 100
hardwareAddr: "02:00:00:00:00:01"
`, layer.Specs{Links: []network.LinkSpec{
			with(virtual("bond0", "bond"), func(s *network.LinkSpec) {
				s.HardwareAddress = network.MAC{2, 0, 0, 0, 0, 1}
				s.BondMaster = network.BondMasterSpec{
					Mode: network.BondMode8023AD, LACPRate: network.LACPRateFast, HashPolicy: network.BondXmitHashPolicyLayer34,
					MIIMon: 100, UseCarrier: true,
				}
			}),
			with(physical("eth0"), func(s *network.LinkSpec) { s.BondSlave.MasterName = "bond0" }),
			with(physical("eth1"), func(s *network.LinkSpec) { s.BondSlave = network.BondSlave{MasterName: "bond0", SlaveIndex: 1} }),
		}},
	},
	"bridge": {
		"kind: BridgeConfig\nname: br0\nlinks: [eth0]\nstp: {enabled: true}\nvlan: {filtering: true}\n",
		layer.Specs{Links: []network.LinkSpec{
			with(virtual("br0", "bridge"), func(s *network.LinkSpec) {
				s.BridgeMaster.STP.Enabled, s.BridgeMaster.VLAN.FilteringEnabled = true, true
			}),
			with(physical("eth0"), func(s *network.LinkSpec) { s.BridgeSlave.MasterName = "br0" }),
		}},
	},
	"vrf, whose routes are in its table": {
		"kind: VRFConfig\nname: red\nlinks: [eth0]\ntable: 100\nroutes: [{gateway: 10.0.0.1}]\n",
		layer.Specs{
			Links: []network.LinkSpec{
				with(virtual("red", "vrf"), func(s *network.LinkSpec) { s.VRFMaster.Table = 100 }),
				with(physical("eth0"), func(s *network.LinkSpec) { s.VRFSlave.MasterName = "red" }),
			},
			Routes: []network.RouteSpec{{
				Family: network.FamilyInet4, Gateway: netip.MustParseAddr("10.0.0.1"), OutLinkName: "red", Table: 100, Priority: 1024,
				Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolStatic, ConfigLayer: own,
			}},
		},
	},
	"vlan, dummy and veth": {
		`kind: VLANConfig
name: net
vlanID: 100
vlanMode: 802.1ad
parent: eth0
---
kind: DummyLinkConfig
name: dummy0
---
kind: VethConfig
name: near
peer: {name: far, up: false}
`, layer.Specs{Links: []network.LinkSpec{
			with(virtual("net", "vlan"), func(s *network.LinkSpec) {
				s.ParentName, s.VLAN = "eth0", network.VLANSpec{VID: 100, Protocol: network.VLANProtocol8021AD}
			}),
			virtual("dummy0", "dummy"),
			with(virtual("near", "veth"), func(s *network.LinkSpec) { s.Veth.PeerName = "far" }),
			with(virtual("far", "veth"), func(s *network.LinkSpec) { s.Veth.PeerName, s.Up = "near", false }),
		}},
	},
	"wireguard": {
		`kind: WireguardConfig
name: wg0
privateKey: 2B0JhSqwNsVJBPT9qZKIjKXmkHDSFqnGLYZ1IHo8RVo=
listenPort: 51820
peers:
  - publicKey: a+wSZmEMKyQ3HDMkXYGVYyJw12pP+bqJGN1yG0qN0h4=
    endpoint: 10.0.0.1:51820
    persistentKeepaliveInterval: 25s
    allowedIPs: [10.9.0.0/24]
`, layer.Specs{Links: []network.LinkSpec{{
			Name: "wg0", Logical: true, Up: true, Kind: "wireguard", Type: network.LinkTypeNohdr, ConfigLayer: own,
			Wireguard: network.WireguardSpec{
				PrivateKey: "2B0JhSqwNsVJBPT9qZKIjKXmkHDSFqnGLYZ1IHo8RVo=", ListenPort: 51820,
				Peers: []network.WireguardPeer{{
					PublicKey: "a+wSZmEMKyQ3HDMkXYGVYyJw12pP+bqJGN1yG0qN0h4=", Endpoint: "10.0.0.1:51820",
					PersistentKeepaliveInterval: 25 * time.Second, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24")},
				}},
			},
		}}},
	},
	"dhcp": {
		`kind: DHCPv4Config
name: eth0
ignoreHostname: true
ignoreRoutes: true
clientIdentifier: none
---
kind: DHCPv6Config
name: eth0
routeMetric: 5
clientIdentifier: duid
duidRaw: "00:03:00:01:02"
`, layer.Specs{Operators: []network.OperatorSpec{
			{
				Operator: network.OperatorDHCP4, LinkName: "eth0", RequireUp: true, ConfigLayer: own,
				DHCP4: network.DHCP4OperatorSpec{RouteMetric: 1024, SkipHostnameRequest: true, SkipRoutes: true},
			},
			{
				Operator: network.OperatorDHCP6, LinkName: "eth0", RequireUp: true, ConfigLayer: own,
				DHCP6: network.DHCP6OperatorSpec{RouteMetric: 5, ClientIdentifier: network.ClientIdentifierSpec{
					ClientIdentifier: network.ClientIdentifierDUID, DUIDRawHex: "0003000102",
				}},
			},
		}},
	},
	"routes and rules": {
		`kind: BlackholeRouteConfig
name: 10.9.1.0/24
---
kind: RoutingRuleConfig
name: "100"
src: 10.0.0.0/8
table: 5
action: prohibit
---
kind: RoutingRuleConfig
name: "101"
fwMark: 7
table: 6
`, layer.Specs{
			Routes: []network.RouteSpec{{
				Family: network.FamilyInet4, Destination: netip.MustParsePrefix("10.9.1.0/24"), Table: main, Priority: 1024,
				Type: network.RouteTypeBlackhole, Protocol: network.RouteProtocolStatic, ConfigLayer: own,
			}},
			Rules: []network.RoutingRuleSpec{
				{
					Family: network.FamilyInet4, Src: netip.MustParsePrefix("10.0.0.0/8"), Table: 5, Priority: 100,
					Action: network.RoutingRuleActionProhibit, ConfigLayer: own,
				},
				{Family: network.FamilyInet4, Table: 6, Priority: 101, Action: network.RoutingRuleActionUnicast, FwMark: 7, ConfigLayer: own},
				{Family: network.FamilyInet6, Table: 6, Priority: 101, Action: network.RoutingRuleActionUnicast, FwMark: 7, ConfigLayer: own},
			},
		},
	},
	"names": {
		`kind: HostnameConfig
hostname: one.example.org
---
kind: ResolverConfig
nameservers: [{address: 10.0.0.1, protocol: DoT, tlsServerName: dns.test}]
searchDomains: {domains: [a.test], disableDefault: true}
---
kind: TimeSyncConfig
ntp: {servers: [10.0.0.3], useNTS: true}
`, layer.Specs{
			Hostnames: []network.HostnameSpec{{Hostname: "one", Domainname: "example.org", ConfigLayer: own}},
			Resolvers: []network.ResolverSpec{{
				DNSServers:    []netip.Addr{netip.MustParseAddr("10.0.0.1")},
				NameServers:   []network.NameServerSpec{{Addr: netip.MustParseAddr("10.0.0.1"), Protocol: network.DNSProtocolDoT, TLSServerName: "dns.test"}},
				SearchDomains: []string{"a.test"}, SearchDomainsOverridden: true, ConfigLayer: own,
			}},
			TimeServers: []network.TimeServerSpec{{NTPServers: []string{"10.0.0.3"}, UseNTS: true, ConfigLayer: own}},
		},
	},
	"nothing": {"kind: HostnameConfig\nauto: stable\n", layer.Specs{}},
}

func TestSpecs(t *testing.T) {
	t.Parallel()

	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			got, err := documents.Specs(load(t, test.text))
			if err != nil {
				t.Fatal(err)
			}

			// The public key follows from the private one.
			for i, link := range got.Links {
				if link.Kind == "wireguard" && len(link.Wireguard.PublicKey) != 44 {
					t.Errorf("public key %q", link.Wireguard.PublicKey)
				}

				got.Links[i].Wireguard.PublicKey = ""
			}

			if diff := cmp.Diff(test.want, got, comparers); diff != "" {
				t.Errorf("specs (-want +got):\n%s", diff)
			}
		})
	}
}

// A link that is named by a pattern stands for those that have its aliases.
func TestNumbered(t *testing.T) {
	t.Parallel()

	in := []network.LinkSpec{physical("eth0"), with(physical("net%dx"), func(s *network.LinkSpec) { s.BondSlave.MasterName = "bond0" })}

	for _, test := range []struct {
		aliases, want []string
	}{
		{nil, []string{"eth0"}},
		{[]string{"net10x", "net2x", "net2", "net02x", "netx", "other"}, []string{"eth0", "net2x", "net10x"}},
	} {
		var got []string

		for _, spec := range documents.Numbered(in, test.aliases) {
			got = append(got, spec.Name)

			if (spec.BondSlave.MasterName == "") != (spec.Name == "eth0") {
				t.Errorf("%s is in bond %q", spec.Name, spec.BondSlave.MasterName)
			}
		}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("links (-want +got):\n%s", diff)
		}
	}
}

// The older document comes to the same.
func TestLegacy(t *testing.T) {
	t.Parallel()

	cfg, err := machineconfig.Load([]byte(`
version: v1alpha1
machine:
  type: worker
  network:
    hostname: one
    nameservers: [10.0.0.1]
    interfaces:
      - interface: eth0
        vlans: [{vlanId: 7, dhcp: true}]
cluster: {}
`), machineconfig.Options{})
	if err != nil {
		t.Fatal(err)
	}

	got, err := documents.Specs(cfg)
	if err != nil {
		t.Fatal(err)
	}

	names := []string{got.Hostnames[0].Hostname, got.Resolvers[0].DNSServers[0].String(), got.Operators[0].LinkName}
	for _, link := range got.Links {
		names = append(names, link.Name)
	}

	if diff := cmp.Diff([]string{"one", "10.0.0.1", "eth0.7", "eth0", "eth0.7"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestKeyStaysSecret(t *testing.T) {
	t.Parallel()

	_, err := documents.Specs(load(t, "kind: WireguardConfig\nname: wg0\nprivateKey: notakey\npeers: []\n"))
	if err == nil || strings.Contains(err.Error(), "notakey") {
		t.Errorf("error %v", err)
	}
}
