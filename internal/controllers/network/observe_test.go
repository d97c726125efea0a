package network

import (
	"net"
	"net/netip"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestLinkStatus(t *testing.T) {
	t.Parallel()

	attrs := netlink.LinkAttrs{
		Name: "eth0.100", Index: 3, ParentIndex: 2, MTU: 1500, EncapType: "ether", OperState: netlink.OperUp,
		RawFlags: unix.IFF_UP | unix.IFF_LOWER_UP, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1},
	}

	got := linkStatus(&netlink.Vlan{LinkAttrs: attrs, VlanId: 100, VlanProtocol: netlink.VLAN_PROTOCOL_8021Q}, nil)
	want := network.LinkStatus{
		Index: 3, LinkIndex: 2, MTU: 1500, Type: 1, Kind: "vlan", Flags: network.LinkFlags(attrs.RawFlags), LinkState: true,
		HardwareAddr: network.MAC{2, 0, 0, 0, 0, 1}, BroadcastAddr: network.MAC{255, 255, 255, 255, 255, 255}, OperationalState: network.OperationalStateUp,
		Port: network.PortOther, Duplex: network.DuplexUnknown, VLAN: network.VLANSpec{VID: 100, Protocol: 0x8100},
	}

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}

	if kind := linkStatus(&netlink.Device{LinkAttrs: attrs}, nil).Kind; kind != "" {
		t.Errorf("a plain device is of kind %q", kind)
	}
}

func TestAddressStatus(t *testing.T) {
	t.Parallel()

	_, peer, _ := net.ParseCIDR("10.9.0.1/32")

	for _, test := range []struct {
		name    string
		address netlink.Addr
		want    string
		local   string
	}{
		{"on a network", netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 5, 0, 2), Mask: net.CIDRMask(24, 32)}}, "10.5.0.2/24", "10.5.0.2"},
		{
			"on a point-to-point link",
			netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 9, 0, 2), Mask: net.CIDRMask(32, 32)}, Peer: peer}, "10.9.0.1/32", "10.9.0.2",
		},
	} {
		got := addressStatus(test.address, "eth0")
		if got.Address.String() != test.want || got.Local.String() != test.local || got.Family != network.FamilyInet4 {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

func TestRouteStatus(t *testing.T) {
	t.Parallel()

	_, everything, _ := net.ParseCIDR("0.0.0.0/0")
	_, local, _ := net.ParseCIDR("10.5.0.2/32")
	names := map[int]string{2: "eth0"}

	for _, test := range []struct {
		route netlink.Route
		id    string
		dst   netip.Prefix
	}{
		{
			netlink.Route{Family: 2, Dst: everything, Gw: net.IPv4(10, 5, 0, 1), LinkIndex: 2, Table: 254, Priority: 1024},
			"eth0/inet4/10.5.0.1//1024", netip.Prefix{},
		},
		{
			netlink.Route{Family: 2, Dst: local, LinkIndex: 2, Table: 255},
			"local/eth0/inet4//10.5.0.2/32/0", netip.MustParsePrefix("10.5.0.2/32"),
		},
	} {
		got := routeStatus(test.route, names)
		if id := routeID(got); id != test.id || got.Destination != test.dst {
			t.Errorf("route %s to %s, want %s to %s", id, got.Destination, test.id, test.dst)
		}
	}
}

func TestLinkStatusOfMasters(t *testing.T) {
	t.Parallel()

	names := map[int]string{2: "eth0", 7: "ve1"}

	bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
	bond.Mode, bond.Primary, bond.Miimon = netlink.BOND_MODE_ACTIVE_BACKUP, 2, 100

	got := linkStatus(bond, names).BondMaster
	if got.Mode != network.BondModeActiveBackup || got.Primary != "eth0" || *got.PrimaryIndex != 2 || got.MIIMon != 100 || got.UpDelay != 0 {
		t.Errorf("bond %+v", got)
	}

	near := netlink.LinkAttrs{Name: "ve0", ParentIndex: 7, NetNsID: -1}
	if got := linkStatus(&netlink.Veth{LinkAttrs: near}, names).Veth.PeerName; got != "ve1" {
		t.Errorf("peer %q", got)
	}

	near.NetNsID = 0
	if got := linkStatus(&netlink.Veth{LinkAttrs: near}, names).Veth.PeerName; got != "" {
		t.Errorf("a peer in another namespace is %q", got)
	}
}

func TestDescribeDevice(t *testing.T) {
	t.Parallel()

	sys := fstest.MapFS{
		"bus/pci/devices/0000:00:03.0/vendor": {Data: []byte("0x1af4\n")},
		"bus/pci/devices/0000:00:03.0/device": {Data: []byte("0x1000\n")},
	}

	for bus, want := range map[string]string{"0000:00:03.0": "1AF4:1000", "usb-0000:00:14.0-1": "", "../etc": "", "": ""} {
		got := network.LinkStatus{BusPath: bus}
		if describeDevice(sys, &got); got.PCIID != want {
			t.Errorf("%q: PCI ID %q, want %q", bus, got.PCIID, want)
		}
	}
}
