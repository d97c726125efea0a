package apply

import (
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

// counting counts what is changed, by what it is.
type counting struct {
	Netlink

	changes []string
}

func (c *counting) AddLink(l netlink.Link) error {
	c.changes = append(c.changes, "add link "+l.Attrs().Name)

	return c.Netlink.AddLink(l)
}

func (c *counting) DeleteLink(l netlink.Link) error {
	c.changes = append(c.changes, "delete link "+l.Attrs().Name)

	return c.Netlink.DeleteLink(l)
}

func (c *counting) SetUp(l netlink.Link, up bool) error {
	c.changes = append(c.changes, "set state of "+l.Attrs().Name)

	return c.Netlink.SetUp(l, up)
}

func (c *counting) SetMTU(l netlink.Link, mtu uint32) error {
	c.changes = append(c.changes, "set MTU of "+l.Attrs().Name)

	return c.Netlink.SetMTU(l, mtu)
}

func (c *counting) SetHardwareAddr(l netlink.Link, address []byte) error {
	c.changes = append(c.changes, "set hardware address of "+l.Attrs().Name)

	return c.Netlink.SetHardwareAddr(l, address)
}

func (c *counting) SetAlias(l netlink.Link, alias string) error {
	c.changes = append(c.changes, "set alias of "+l.Attrs().Name)

	return c.Netlink.SetAlias(l, alias)
}

func (c *counting) SetMaster(l netlink.Link, master int) error {
	c.changes = append(c.changes, "set master of "+l.Attrs().Name)

	return c.Netlink.SetMaster(l, master)
}

func (c *counting) SetSetting(path, value string) error {
	c.changes = append(c.changes, "set "+path)

	return c.Netlink.SetSetting(path, value)
}

func (c *counting) AddAddress(l netlink.Link, a *netlink.Addr) error {
	c.changes = append(c.changes, "add address "+a.String())

	return c.Netlink.AddAddress(l, a)
}

func (c *counting) AddRoute(r *netlink.Route) error {
	c.changes = append(c.changes, "add route "+r.String())

	return c.Netlink.AddRoute(r)
}

func (c *counting) AddRule(r *netlink.Rule) error {
	c.changes = append(c.changes, "add rule "+r.String())

	return c.Netlink.AddRule(r)
}

// settle applies twice: the second time there is nothing to do.
func settle[T any](t *testing.T, kernel *counting, apply func([]T) error, specs ...T) {
	t.Helper()

	if err := apply(specs); err != nil {
		if errors.Is(err, unix.EOPNOTSUPP) {
			t.Skip("the kernel does not have this:", err)
		}

		t.Fatal(err)
	}

	kernel.changes = nil

	if err := apply(specs); err != nil {
		t.Fatal(err)
	}

	if len(kernel.changes) > 0 {
		t.Errorf("applied again, it changes %s", strings.Join(kernel.changes, ", "))
	}
}

func link(t *testing.T, name string) netlink.Link {
	t.Helper()

	l, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatalf("finding %s: %v", name, err)
	}

	return l
}

// pair are the specs of two connected links.
func pair(a, b string) []network.LinkSpec {
	return []network.LinkSpec{
		{Name: a, Logical: true, Kind: "veth", Up: true, Veth: network.VethSpec{PeerName: b}},
		{Name: b, Logical: true, Kind: "veth", Up: true, Veth: network.VethSpec{PeerName: a}},
	}
}

func undo(t *testing.T, l links, specs []network.LinkSpec) {
	t.Helper()

	for _, spec := range specs {
		if err := l.undo(spec, nil); err != nil {
			t.Errorf("undoing %s: %v", spec.Name, err)
		}

		if _, err := netlink.LinkByName(spec.Name); err == nil {
			t.Errorf("%s is still there", spec.Name)
		}
	}
}

func TestVLANs(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l := links{kernel}
	tag := func(id uint16) network.VLANSpec {
		return network.VLANSpec{VID: id, Protocol: network.VLANProtocol8021Q}
	}
	specs := append(pair("a0", "a1"),
		// The inner VLAN stands before the outer one.
		network.LinkSpec{Name: "inner", Logical: true, Kind: "vlan", Up: true, ParentName: "outer", VLAN: tag(7)},
		network.LinkSpec{Name: "outer", Logical: true, Kind: "vlan", Up: true, ParentName: "a0", VLAN: tag(100)})

	t.Cleanup(func() { undo(t, l, specs) })
	settle(t, kernel, l.apply, specs...)

	inner, ok := link(t, "inner").(*netlink.Vlan)
	if !ok || inner.VlanId != 7 || inner.ParentIndex != link(t, "outer").Attrs().Index || inner.RawFlags&unix.IFF_UP == 0 {
		t.Errorf("inner VLAN %+v", inner)
	}

	// Another number needs another VLAN.
	specs[2].VLAN = tag(8)
	settle(t, kernel, l.apply, specs...)

	if inner, ok := link(t, "inner").(*netlink.Vlan); !ok || inner.VlanId != 8 {
		t.Errorf("inner VLAN %+v", inner)
	}
}

func TestBridge(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l := links{kernel}
	specs := append(pair("d0", "d1"), network.LinkSpec{
		Name: "br0", Logical: true, Kind: "bridge", Up: true, MTU: 1400, HardwareAddress: network.MAC{2, 0, 0, 0, 0, 9},
		BridgeMaster: network.BridgeMasterSpec{STP: network.STPSpec{Enabled: true}},
	})
	specs[1].BridgeSlave.MasterName = "br0"

	t.Cleanup(func() { undo(t, l, specs) })
	settle(t, kernel, l.apply, specs...)

	bridge := link(t, "br0").Attrs()
	if bridge.MTU != 1400 || bridge.HardwareAddr.String() != "02:00:00:00:00:09" {
		t.Errorf("bridge %+v", bridge)
	}

	if stp, err := kernel.Setting("/sys/class/net/br0/bridge/stp_state"); err != nil || stp != "1" {
		t.Errorf("STP %q, %v", stp, err)
	}

	if got := link(t, "d1").Attrs().MasterIndex; got != bridge.Index {
		t.Errorf("master %d, want %d", got, bridge.Index)
	}

	// Out of the bridge, and down.
	specs[1].BridgeSlave.MasterName = ""
	specs[2].Up, specs[2].BridgeMaster.STP.Enabled = false, false
	settle(t, kernel, l.apply, specs...)

	if a := link(t, "d1").Attrs(); a.MasterIndex != 0 {
		t.Errorf("d1 is still in the bridge")
	}

	if link(t, "br0").Attrs().RawFlags&unix.IFF_UP != 0 {
		t.Errorf("the bridge is still up")
	}
}

func TestVLANFiltering(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l := links{kernel}
	specs := []network.LinkSpec{{
		Name: "br1", Logical: true, Kind: "bridge", BridgeMaster: network.BridgeMasterSpec{VLAN: network.BridgeVLANSpec{FilteringEnabled: true}},
	}}

	t.Cleanup(func() { undo(t, l, specs) })
	settle(t, kernel, l.apply, specs...)

	if bridge, ok := link(t, "br1").(*netlink.Bridge); !ok || !*bridge.VlanFiltering {
		t.Errorf("bridge %+v", bridge)
	}
}

func TestMissingParent(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	settle(t, kernel, links{kernel}.apply, network.LinkSpec{
		Name: "later", Logical: true, Kind: "vlan", ParentName: "absent", VLAN: network.VLANSpec{VID: 7, Protocol: network.VLANProtocol8021Q},
	}, network.LinkSpec{Name: "absent", Up: true, BondSlave: network.BondSlave{MasterName: "none"}})

	if _, err := netlink.LinkByName("later"); err == nil {
		t.Error("a VLAN without a parent")
	}
}

func TestBond(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l := links{kernel}
	specs := append(pair("b0", "b1"), network.LinkSpec{
		Name: "bond7", Logical: true, Kind: "bond", Up: true,
		BondMaster: network.BondMasterSpec{Mode: network.BondModeActiveBackup, MIIMon: 100, UpDelay: 200, UseCarrier: true, Primary: "b0"},
	})
	specs[0].BondSlave.MasterName, specs[1].BondSlave = "bond7", network.BondSlave{MasterName: "bond7", SlaveIndex: 1}

	settle(t, kernel, l.apply, specs...)

	bond, ok := link(t, "bond7").(*netlink.Bond)
	if !ok || bond.Mode != netlink.BOND_MODE_ACTIVE_BACKUP || bond.Miimon != 100 || bond.UpDelay != 200 {
		t.Errorf("bond %+v", bond)
	}

	for _, name := range []string{"b0", "b1"} {
		if link(t, name).Attrs().MasterIndex != bond.Index {
			t.Errorf("%s is not in the bond", name)
		}
	}

	specs[2].BondMaster = network.BondMasterSpec{
		Mode: network.BondMode8023AD, LACPRate: network.LACPRateFast, HashPolicy: network.BondXmitHashPolicyLayer34, MIIMon: 100, UseCarrier: true,
	}
	settle(t, kernel, l.apply, specs...)

	if bond, ok := link(t, "bond7").(*netlink.Bond); !ok || bond.Mode != netlink.BOND_MODE_802_3AD || bond.LacpRate != netlink.BOND_LACP_RATE_FAST {
		t.Errorf("bond %+v", bond)
	}

	undo(t, l, specs)
}

func TestVRF(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l := links{kernel}
	specs := append(pair("v0", "v1"), network.LinkSpec{
		Name: "red", Logical: true, Kind: "vrf", Up: true, VRFMaster: network.VRFMasterSpec{Table: 100},
	})
	specs[0].VRFSlave.MasterName = "red"

	t.Cleanup(func() { undo(t, l, specs) })
	settle(t, kernel, l.apply, specs...)

	if vrf, ok := link(t, "red").(*netlink.Vrf); !ok || vrf.Table != 100 || link(t, "v0").Attrs().MasterIndex != vrf.Index {
		t.Errorf("VRF %+v", vrf)
	}
}

func TestDummy(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l := links{kernel}
	specs := []network.LinkSpec{{Name: "nowhere", Logical: true, Kind: "dummy", Up: true}}
	settle(t, kernel, l.apply, specs...)
	undo(t, l, specs)
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func TestAddressesAndRoutes(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	l, a, r := links{kernel}, addresses{kernel}, routes{kernel}
	specs := pair("c0", "c1")
	gateway, gateway6 := netip.MustParseAddr("10.5.0.1"), netip.MustParseAddr("fd00:5::1")

	t.Cleanup(func() { undo(t, l, specs) })

	addrs := []network.AddressSpec{
		{Address: prefix("10.5.0.2/24"), LinkName: "c0", Family: network.FamilyInet4, Flags: network.AddressFlagPermanent},
		{Address: prefix("10.6.0.2/24"), LinkName: "c0", Family: network.FamilyInet4, Priority: 77},
		{Address: prefix("fd00:5::2/64"), LinkName: "c0", Family: network.FamilyInet6, Flags: network.AddressFlagNoDAD},
	}
	unicast := network.RouteSpec{
		Family: network.FamilyInet4, Gateway: gateway, OutLinkName: "c0", Table: network.RoutingTableMain, Priority: 1024,
		Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolStatic,
	}
	six := unicast
	six.Family, six.Gateway = network.FamilyInet6, gateway6
	blackhole := network.RouteSpec{
		Family: network.FamilyInet4, Destination: prefix("10.9.0.0/16"), Table: 100, Priority: 5,
		Type: network.RouteTypeBlackhole, Protocol: network.RouteProtocolStatic,
	}
	wanted := []network.RouteSpec{unicast, six, blackhole}

	// Nothing can be done before the link is there, and that is no error.
	settle(t, kernel, a.apply, addrs...)
	settle(t, kernel, r.apply, unicast)
	settle(t, kernel, l.apply, specs...)
	settle(t, kernel, a.apply, addrs...)
	settle(t, kernel, r.apply, wanted...)

	if got := routesTo(t, "10.6.0.0/24"); len(got) != 1 || got[0].Priority != 77 {
		t.Errorf("routes to the second network: %v", got)
	}

	// What is changed is made anew, beside one that differs by the next hop.
	wanted[0].MTU = 1300
	other := unicast
	other.Gateway = netip.MustParseAddr("10.6.0.1")
	settle(t, kernel, r.apply, append(wanted, other)...)

	defaults := routesTo(t, "0.0.0.0/0")
	if len(defaults) != 2 || defaults[0].MTU+defaults[1].MTU != 1300 {
		t.Errorf("default routes %v", defaults)
	}

	for _, route := range append(wanted, other) {
		if err := r.undo(route, nil); err != nil {
			t.Error(err)
		}
	}

	if got := append(routesTo(t, "0.0.0.0/0"), routesTo(t, "10.9.0.0/16")...); len(got) > 0 {
		t.Errorf("routes left: %v", got)
	}

	for _, address := range addrs {
		if err := a.undo(address, nil); err != nil {
			t.Error(err)
		}
	}

	if left, err := netlink.AddrList(link(t, "c0"), netlink.FAMILY_V4); err != nil || len(left) > 0 {
		t.Errorf("addresses left: %v, %v", left, err)
	}
}

func routesTo(t *testing.T, destination string) []netlink.Route {
	t.Helper()

	all, err := Netlink{}.Routes()
	if err != nil {
		t.Fatal(err)
	}

	var out []netlink.Route

	for _, r := range all {
		if r.Dst != nil && r.Dst.String() == destination {
			out = append(out, r)
		}
	}

	return out
}

func TestRules(t *testing.T) {
	netnstest.Need(t)

	kernel := &counting{}
	r := rules{kernel}
	specs := []network.RoutingRuleSpec{
		{Family: network.FamilyInet4, Src: prefix("10.0.0.0/8"), Table: 100, Priority: 500, Action: network.RoutingRuleActionUnicast},
		{Family: network.FamilyInet4, FwMark: 0x20, FwMask: 0xf0, Table: 101, Priority: 501, Action: network.RoutingRuleActionUnicast},
		{Family: network.FamilyInet6, Dst: prefix("fd00::/8"), IIFName: "lo", Priority: 502, Action: network.RoutingRuleActionProhibit},
	}

	settle(t, kernel, r.apply, specs...)

	specs[0].Table = 102
	settle(t, kernel, r.apply, specs...)

	for _, spec := range specs {
		if err := r.undo(spec, nil); err != nil {
			t.Error(err)
		}
	}

	left, err := netlink.RuleList(netlink.FAMILY_ALL)
	if err != nil {
		t.Fatal(err)
	}

	for _, rule := range left {
		if rule.Priority >= 500 && rule.Priority <= 502 {
			t.Errorf("rule left: %v", rule)
		}
	}
}
