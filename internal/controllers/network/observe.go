package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// observed is a controller that shows what the kernel has.
func observed[T resource.Spec](name string, kernel Kernel, compute func() (map[string]T, error)) reconcile.Controller {
	return derive.Watched(derive.All(name, nil, func(context.Context, *reconcile.Runtime) (map[string]T, error) {
		return compute()
	}), kernel.Watch)
}

// LinkStatus shows the links of the node.
func LinkStatus(kernel Kernel) reconcile.Controller {
	return observed("network.LinkStatusController", kernel, func() (map[string]network.LinkStatus, error) {
		links, err := kernel.Links()
		if err != nil {
			return nil, err
		}

		queues, err := kernel.QueueDisciplines()
		if err != nil {
			return nil, err
		}

		names := make(map[int]string, len(links))
		for _, link := range links {
			names[link.Attrs().Index] = link.Attrs().Name
		}

		out := make(map[string]network.LinkStatus, len(links))

		for _, link := range links {
			status := linkStatus(link, names)
			status.QueueDisc = queues[link.Attrs().Index]

			// A link can go while it is looked at.
			if err := kernel.Describe(link, &status); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("looking at link %s: %w", link.Attrs().Name, err)
			}

			out[link.Attrs().Name] = status
		}

		return out, nil
	})
}

// linkTypes are the types of links by the kernel's number that the netlink library
// gives names to.
var linkTypes = map[string]network.LinkType{
	"ether": 1, "loopback": 772, "ipip": 768, "tunnel6": 769, "sit": 776, "gre": 778, "ip6gre": 823, "none": 65534,
}

// linkStatus is what the kernel's list says of a link. The names are those of all
// links by index.
func linkStatus(link netlink.Link, names map[int]string) network.LinkStatus {
	attrs := link.Attrs()

	status := network.LinkStatus{
		Alias:            attrs.Alias,
		AltNames:         attrs.AltNames,
		Index:            uint32(attrs.Index),
		Type:             linkTypes[attrs.EncapType],
		LinkIndex:        uint32(attrs.ParentIndex),
		Flags:            network.LinkFlags(attrs.RawFlags),
		HardwareAddr:     network.MAC(attrs.HardwareAddr),
		PermanentAddr:    network.MAC(attrs.PermHWAddr),
		MTU:              uint32(attrs.MTU),
		MasterIndex:      uint32(attrs.MasterIndex),
		OperationalState: network.OperationalState(attrs.OperState),
		LinkState:        attrs.RawFlags&unix.IFF_LOWER_UP != 0,
		Port:             network.PortOther,
		Duplex:           network.DuplexUnknown,
	}

	if attrs.Slave != nil {
		status.SlaveKind = attrs.Slave.SlaveType()
	}

	switch status.Type {
	case network.LinkTypeEther:
		status.BroadcastAddr = network.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	case network.LinkTypeLoopback:
		status.BroadcastAddr = make(network.MAC, 6)
	}

	// A plain device is no virtual kind.
	if kind := link.Type(); kind != "device" {
		status.Kind = kind
	}

	switch l := link.(type) {
	case *netlink.Vlan:
		status.VLAN = network.VLANSpec{VID: uint16(l.VlanId), Protocol: network.VLANProtocol(l.VlanProtocol)}
	case *netlink.Bridge:
		status.BridgeMaster.VLAN.FilteringEnabled = l.VlanFiltering != nil && *l.VlanFiltering
	case *netlink.Vrf:
		status.VRFMaster.Table = network.RoutingTable(l.Table)
	case *netlink.Bond:
		status.BondMaster = bondStatus(l, names)
	case *netlink.Veth:
		// An end in another namespace has an index of there.
		if attrs.NetNsID < 0 {
			status.Veth.PeerName = names[attrs.ParentIndex]
		}
	}

	return status
}

// HardwareAddr shows the hardware address that identifies the machine: that of
// its first Ethernet link that is not made of others.
func HardwareAddr(kernel Kernel) reconcile.Controller {
	return observed("network.HardwareAddrController", kernel, func() (map[string]network.HardwareAddr, error) {
		links, err := kernel.Links()
		if err != nil {
			return nil, err
		}

		for _, link := range links {
			attrs := link.Attrs()
			if attrs.EncapType != "ether" || attrs.MasterIndex != 0 || (link.Type() != "device" && link.Type() != "veth") {
				continue
			}

			return map[string]network.HardwareAddr{
				network.FirstHardwareAddrID: {Name: attrs.Name, HardwareAddr: network.MAC(attrs.HardwareAddr)},
			}, nil
		}

		return nil, nil
	})
}

// AddressStatus shows the addresses of the node's links.
func AddressStatus(kernel Kernel) reconcile.Controller {
	return observed("network.AddressStatusController", kernel, func() (map[string]network.AddressStatus, error) {
		names, err := linkNames(kernel)
		if err != nil {
			return nil, err
		}

		addresses, err := kernel.Addresses()
		if err != nil {
			return nil, err
		}

		out := make(map[string]network.AddressStatus, len(addresses))

		for _, a := range addresses {
			name, ok := names[a.LinkIndex]
			if !ok || a.IPNet == nil {
				continue
			}

			status := addressStatus(a, name)
			out[name+"/"+status.Address.String()] = status
		}

		return out, nil
	})
}

func addressStatus(a netlink.Addr, link string) network.AddressStatus {
	prefix := toPrefix(a.IPNet)

	status := network.AddressStatus{
		Address:   prefix,
		Local:     prefix.Addr(),
		Broadcast: toAddr(a.Broadcast),
		LinkIndex: uint32(a.LinkIndex),
		LinkName:  link,
		Family:    family(prefix.Addr()),
		Scope:     network.Scope(a.Scope),
		Flags:     network.AddressFlags(a.Flags),
	}

	// On a point-to-point link the address proper is the peer's.
	if a.Peer != nil && !a.Peer.IP.Equal(a.IP) {
		status.Address = toPrefix(a.Peer)
	}

	return status
}

// RouteStatus shows the routes of all tables.
func RouteStatus(kernel Kernel) reconcile.Controller {
	return observed("network.RouteStatusController", kernel, func() (map[string]network.RouteStatus, error) {
		names, err := linkNames(kernel)
		if err != nil {
			return nil, err
		}

		routes, err := kernel.Routes()
		if err != nil {
			return nil, err
		}

		out := make(map[string]network.RouteStatus, len(routes))

		for _, r := range routes {
			status := routeStatus(r, names)
			out[routeID(status)] = status
		}

		return out, nil
	})
}

func routeStatus(r netlink.Route, names map[int]string) network.RouteStatus {
	status := network.RouteStatus{
		Family:       network.Family(r.Family),
		Source:       toAddr(r.Src),
		Gateway:      toAddr(r.Gw),
		OutLinkIndex: uint32(r.LinkIndex),
		OutLinkName:  names[r.LinkIndex],
		Table:        network.RoutingTable(r.Table),
		Priority:     uint32(r.Priority),
		Scope:        network.Scope(r.Scope),
		Type:         network.RouteType(r.Type),
		Flags:        network.RouteFlags(r.Flags),
		Protocol:     network.RouteProtocol(r.Protocol),
		MTU:          uint32(r.MTU),
	}

	// The default route has no destination.
	if prefix := toPrefix(r.Dst); prefix.IsValid() && prefix.Bits() > 0 {
		status.Destination = prefix
	}

	for _, hop := range r.MultiPath {
		status.NextHops = append(status.NextHops, network.RouteNextHop{
			Gateway: toAddr(hop.Gw), OutLinkName: names[hop.LinkIndex], Weight: uint32(hop.Hops) + 1,
		})
	}

	return status
}

// routeID names a route by what makes it unique in the kernel.
func routeID(r network.RouteStatus) string {
	id := fmt.Sprintf("%s/%s/%s/%s/%d", r.OutLinkName, r.Family, text(r.Gateway), destination(r.Destination), r.Priority)

	if r.Table != network.RoutingTableMain {
		id = r.Table.String() + "/" + id
	}

	return id
}

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}

	return a.String()
}

func destination(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}

	return p.String()
}

// RoutingRuleStatus shows the rules of policy routing.
func RoutingRuleStatus(kernel Kernel) reconcile.Controller {
	return observed("network.RoutingRuleStatusController", kernel, func() (map[string]network.RoutingRuleStatus, error) {
		rules, err := kernel.Rules()
		if err != nil {
			return nil, err
		}

		out := make(map[string]network.RoutingRuleStatus, len(rules))

		for _, r := range rules {
			status := ruleStatus(r)
			out[status.Family.String()+"/"+strconv.Itoa(r.Priority)] = status
		}

		return out, nil
	})
}

func ruleStatus(r netlink.Rule) network.RoutingRuleStatus {
	status := network.RoutingRuleStatus{
		Family:   network.Family(r.Family),
		Src:      toPrefix(r.Src),
		Dst:      toPrefix(r.Dst),
		Table:    network.RoutingTable(r.Table),
		Priority: uint32(r.Priority),
		Action:   network.RoutingRuleAction(r.Type),
		IIFName:  r.IifName,
		OIFName:  r.OifName,
		FwMark:   r.Mark,
	}

	if r.Mask != nil {
		status.FwMask = *r.Mask
	}

	if status.Action == network.RoutingRuleActionUnspec {
		status.Action = network.RoutingRuleActionUnicast
	}

	return status
}

func linkNames(kernel Kernel) (map[int]string, error) {
	links, err := kernel.Links()
	if err != nil {
		return nil, err
	}

	names := make(map[int]string, len(links))
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
	}

	return names, nil
}

func toAddr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)

	return a.Unmap()
}

func toPrefix(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}

	bits, _ := n.Mask.Size()

	return netip.PrefixFrom(toAddr(n.IP), bits)
}

func family(a netip.Addr) network.Family {
	if a.Is4() {
		return network.FamilyInet4
	}

	return network.FamilyInet6
}
