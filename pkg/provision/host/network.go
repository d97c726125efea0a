package host

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
)

// BridgeName is the name of a cluster's bridge on the hosting machine.
func BridgeName(cluster string) string { return linkName("bslt", cluster) }

// LinkName is the name of the link that joins a node to its cluster's bridge.
func LinkName(node string) string { return linkName("bv", node) }

// linkName derives a link's name from a name that may be longer than the 15
// bytes which the kernel allows.
func linkName(prefix, name string) string {
	hash := fnv.New32a()
	hash.Write([]byte(name)) //nolint:errcheck // never fails

	return fmt.Sprintf("%s%08x", prefix, hash.Sum32())
}

// bridgeMAC is a bridge's hardware address. Without one of its own, it would
// take another whenever a node comes or goes, and nodes would send to the old
// one for a while.
func bridgeMAC(cluster string) net.HardwareAddr {
	hash := fnv.New32a()
	hash.Write([]byte(cluster)) //nolint:errcheck // never fails

	return hash.Sum([]byte{0x02, 0xba}) // of local administration
}

// tableName is the nftables table of a cluster.
func tableName(cluster string) string { return "basalt-" + cluster }

// createNetwork makes the cluster's bridge with the gateway's address, and
// lets nodes reach beyond it under the host's address if the host forwards.
// What is there already is kept.
func createNetwork(spec *provision.Spec) error {
	name := BridgeName(spec.Name)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: bridgeMAC(spec.Name)}}

	if spec.Machines != nil {
		bridge.MTU = spec.Machines.MTU
	}

	if err := netlink.LinkAdd(bridge); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("adding bridge %s: %w", name, err)
	}

	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("finding bridge %s: %w", name, err)
	}

	address := &netlink.Addr{IPNet: ipNet(spec.Gateway(), spec.Network.Bits())}
	if err := netlink.AddrReplace(link, address); err != nil {
		return fmt.Errorf("adding address %s to %s: %w", address, name, err)
	}

	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting %s up: %w", name, err)
	}

	return masquerade(spec)
}

// removeNetwork undoes createNetwork; it is no error when nothing is there.
func removeNetwork(cluster string) error {
	errs := []error{removeBridge(BridgeName(cluster))}

	conn := &nftables.Conn{}

	tables, err := conn.ListTablesOfFamily(nftables.TableFamilyIPv4)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("listing nftables tables: %w", err))...)
	}

	for _, table := range tables {
		if table.Name == tableName(cluster) {
			conn.DelTable(table)
		}
	}

	if err := conn.Flush(); err != nil {
		errs = append(errs, fmt.Errorf("deleting nftables table %s: %w", tableName(cluster), err))
	}

	return errors.Join(errs...)
}

// removeBridge deletes a bridge and the links of nodes that it joins. The kernel
// does the latter by itself once a node's network namespace is gone, but takes
// its time: the link would outlive the cluster for a moment.
func removeBridge(name string) error {
	bridge, err := netlink.LinkByName(name)
	if err != nil {
		return nil // there is none
	}

	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	var errs []error

	for _, link := range append(links, bridge) {
		if link.Attrs().MasterIndex != bridge.Attrs().Index && link != bridge {
			continue
		}

		if err := netlink.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
			errs = append(errs, fmt.Errorf("deleting link %s: %w", link.Attrs().Name, err))
		}
	}

	return errors.Join(errs...)
}

// masquerade rewrites the source of what leaves the cluster's network.
func masquerade(spec *provision.Spec) error {
	const (
		sourceOffset      = 12 // of the source address in an IPv4 header
		destinationOffset = 16
		addressSize       = 4
	)

	network := spec.Network.Masked()
	mask := net.CIDRMask(network.Bits(), network.Addr().BitLen())

	// inNetwork compares the address at an offset with the network.
	inNetwork := func(offset uint32, op expr.CmpOp) []expr.Any {
		return []expr.Any{
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: addressSize},
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: addressSize, Mask: mask, Xor: binaryutil.NativeEndian.PutUint32(0)},
			&expr.Cmp{Op: op, Register: 1, Data: network.Addr().AsSlice()},
		}
	}

	conn := &nftables.Conn{}
	table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: tableName(spec.Name)})
	conn.FlushTable(table)

	chain := conn.AddChain(&nftables.Chain{
		Name:     "postrouting",
		Table:    table,
		Type:     nftables.ChainTypeNAT,
		Hooknum:  nftables.ChainHookPostrouting,
		Priority: nftables.ChainPriorityNATSource,
	})

	rule := append(inNetwork(sourceOffset, expr.CmpOpEq), inNetwork(destinationOffset, expr.CmpOpNeq)...)
	conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(rule, &expr.Masq{})})

	if err := conn.Flush(); err != nil {
		return fmt.Errorf("adding nftables table %s: %w", table.Name, err)
	}

	return nil
}

// AttachLink makes a link a port of the cluster's bridge and sets it up.
func AttachLink(cluster string, link netlink.Link) error {
	name := link.Attrs().Name

	bridge, err := netlink.LinkByName(BridgeName(cluster))
	if err != nil {
		return fmt.Errorf("finding bridge %s: %w", BridgeName(cluster), err)
	}

	if err := netlink.LinkSetMaster(link, bridge); err != nil {
		return fmt.Errorf("joining %s to bridge %s: %w", name, bridge.Attrs().Name, err)
	}

	if err := netlink.LinkSetUp(link); err != nil {
		return fmt.Errorf("setting %s up: %w", name, err)
	}

	return nil
}

func ipNet(address netip.Addr, bits int) *net.IPNet {
	return &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(bits, address.BitLen())}
}
