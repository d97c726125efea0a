package apply

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"slices"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
)

type links struct{ kernel Kernel }

// ranks order links so that those which others need come first.
var ranks = map[string]int{"veth": 0, "dummy": 1, "bridge": 2, "vrf": 2, "bond": 2, "": 3, "vlan": 4}

func (l links) apply(specs []network.LinkSpec) error {
	ordered := slices.SortedStableFunc(slices.Values(specs), before)

	var errs []error

	// A VLAN may be on another one that comes later.
	for progress := true; progress; {
		progress, errs = false, nil

		for _, spec := range ordered {
			made, err := l.make(spec)
			if err != nil {
				errs = append(errs, fmt.Errorf("making link %s: %w", spec.Name, err))
			}

			progress = progress || made
		}
	}

	settings, err := l.combined(ordered)
	if err != nil {
		return err
	}

	for _, spec := range settings {
		present, err := l.kernel.Links()
		if err != nil {
			return fmt.Errorf("listing links: %w", err)
		}

		if link := find(present, spec.Name); link != nil {
			if err := l.set(present, link, spec); err != nil {
				errs = append(errs, fmt.Errorf("setting link %s: %w", spec.Name, err))
			}
		}
	}

	return errors.Join(errs...)
}

// before orders links so that those which others need come first, and the
// members of a bond as they are listed.
func before(a, b network.LinkSpec) int {
	return cmp.Or(ranks[a.Kind]-ranks[b.Kind], a.BondSlave.SlaveIndex-b.BondSlave.SlaveIndex)
}

// combined are the specs of the links that are there, one for each: what is said
// of a link under different names is laid over each other like layers are.
func (l links) combined(specs []network.LinkSpec) ([]network.LinkSpec, error) {
	present, err := l.kernel.Links()
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}

	var own []network.LinkSpec

	for _, spec := range specs {
		if link := find(present, spec.Name); link != nil {
			spec.Name = link.Attrs().Name
			own = append(own, spec)
		}
	}

	merged := layer.MergeLinks(own)
	out := make([]network.LinkSpec, 0, len(merged))

	for _, name := range slices.Sorted(maps.Keys(merged)) {
		out = append(out, merged[name])
	}

	slices.SortStableFunc(out, before)

	return out, nil
}

// make makes a virtual link, unless it is there as it should be. It says
// whether it did.
func (l links) make(spec network.LinkSpec) (bool, error) {
	if !spec.Logical {
		return false, nil
	}

	present, err := l.kernel.Links()
	if err != nil {
		return false, fmt.Errorf("listing links: %w", err)
	}

	wanted, ok := virtual(present, spec)
	if !ok {
		return false, nil
	}

	if link := find(present, spec.Name); link != nil {
		if alike(link, wanted) {
			return false, nil
		}

		if link.Type() == "device" {
			return false, errors.New("a physical link has this name")
		}

		if err := l.kernel.DeleteLink(link); err != nil {
			return false, err
		}
	}

	if err := l.kernel.AddLink(wanted); err != nil {
		return false, err
	}

	return true, nil
}

// virtual is a spec in the kernel's form. It cannot be while its parent is not
// there.
func virtual(present []netlink.Link, spec network.LinkSpec) (netlink.Link, bool) {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = spec.Name
	attrs.HardwareAddr = net.HardwareAddr(spec.HardwareAddress)

	switch spec.Kind {
	case "vlan":
		parent := find(present, spec.ParentName)
		if parent == nil {
			return nil, false
		}

		attrs.ParentIndex = parent.Attrs().Index

		return &netlink.Vlan{LinkAttrs: attrs, VlanId: int(spec.VLAN.VID), VlanProtocol: netlink.VlanProtocol(spec.VLAN.Protocol)}, true
	case "bond":
		return bond(attrs, spec.BondMaster), true
	case "bridge":
		return &netlink.Bridge{LinkAttrs: attrs}, true
	case "vrf":
		return &netlink.Vrf{LinkAttrs: attrs, Table: uint32(spec.VRFMaster.Table)}, true
	case "veth":
		veth := netlink.NewVeth(attrs)
		veth.PeerName = spec.Veth.PeerName

		return veth, true
	case "wireguard":
		return &netlink.Wireguard{LinkAttrs: attrs}, true
	default:
		return &netlink.GenericLink{LinkAttrs: attrs, LinkType: spec.Kind}, true
	}
}

// alike reports whether a link is what is wanted in all that cannot be changed
// later.
func alike(link, wanted netlink.Link) bool {
	if link.Type() != wanted.Type() {
		return false
	}

	switch w := wanted.(type) {
	case *netlink.Vlan:
		v, ok := link.(*netlink.Vlan)

		return ok && v.VlanId == w.VlanId && v.VlanProtocol == w.VlanProtocol && v.ParentIndex == w.ParentIndex
	case *netlink.Vrf:
		v, ok := link.(*netlink.Vrf)

		return ok && v.Table == w.Table
	case *netlink.Bond:
		b, ok := link.(*netlink.Bond)

		return ok && sameBond(b, w)
	default:
		return true
	}
}

// set gives a link its settings.
func (l links) set(present []netlink.Link, link netlink.Link, spec network.LinkSpec) error {
	attrs := link.Attrs()

	if mac := spec.HardwareAddress; len(mac) > 0 && !bytes.Equal(mac, attrs.HardwareAddr) {
		if err := l.kernel.SetHardwareAddr(link, mac); err != nil {
			return fmt.Errorf("setting the hardware address: %w", err)
		}
	}

	if spec.MTU != 0 && int(spec.MTU) != attrs.MTU {
		if err := l.kernel.SetMTU(link, spec.MTU); err != nil {
			return fmt.Errorf("setting the MTU: %w", err)
		}
	}

	if spec.Multicast != nil && *spec.Multicast != (attrs.RawFlags&unix.IFF_MULTICAST != 0) {
		if err := l.kernel.SetMulticast(link, *spec.Multicast); err != nil {
			return fmt.Errorf("setting multicast: %w", err)
		}
	}

	if err := l.special(present, link, spec); err != nil {
		return err
	}

	up, err := l.master(present, link, spec)
	if err != nil {
		return err
	}

	if err := l.advertisements(link, spec); err != nil {
		return err
	}

	if up != spec.Up {
		if err := l.kernel.SetUp(link, spec.Up); err != nil {
			return fmt.Errorf("setting the state: %w", err)
		}
	}

	return nil
}

// special are the settings of a kind of link.
func (l links) special(present []netlink.Link, link netlink.Link, spec network.LinkSpec) error {
	switch spec.Kind {
	case "bridge":
		bridge, ok := link.(*netlink.Bridge)
		filtering := ok && bridge.VlanFiltering != nil && *bridge.VlanFiltering

		if filtering != spec.BridgeMaster.VLAN.FilteringEnabled {
			if err := l.kernel.SetVLANFiltering(link, !filtering); err != nil {
				return fmt.Errorf("setting VLAN filtering: %w", err)
			}
		}

		value := "0"
		if spec.BridgeMaster.STP.Enabled {
			value = "1"
		}

		return l.setting("/sys/class/net/"+link.Attrs().Name+"/bridge/stp_state", value)
	case "bond":
		return l.bondSettings(present, link, spec)
	case "wireguard":
		return l.wireguard(link.Attrs().Name, spec.Wireguard)
	default:
		return nil
	}
}

// setting writes a setting that is not as it should be.
func (l links) setting(path, value string) error {
	current, err := l.kernel.Setting(path)
	if err != nil {
		return fmt.Errorf("reading setting: %w", err)
	}

	if current == value {
		return nil
	}

	if err := l.kernel.SetSetting(path, value); err != nil {
		return fmt.Errorf("writing setting: %w", err)
	}

	return nil
}

// advertisements has a link that leads outside take addresses and routes from
// routers, also on a machine that forwards packets, as one that runs pods does.
// What leads to pods must not: they are no routers.
func (l links) advertisements(link netlink.Link, spec network.LinkSpec) error {
	outside := slices.Contains([]string{"device", "vlan", "bond", "bridge"}, link.Type())
	mastered := spec.BondSlave.MasterName != "" || spec.BridgeSlave.MasterName != ""

	if !outside || mastered || link.Attrs().EncapType != "ether" {
		return nil
	}

	err := l.setting("/proc/sys/net/ipv6/conf/"+link.Attrs().Name+"/accept_ra", "2")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without IPv6
	}

	return err
}

// master puts the link under its master, and says whether it is up afterwards.
func (l links) master(present []netlink.Link, link netlink.Link, spec network.LinkSpec) (up bool, err error) {
	attrs := link.Attrs()
	up = attrs.RawFlags&unix.IFF_UP != 0
	index := 0

	if name := cmp.Or(spec.BondSlave.MasterName, spec.BridgeSlave.MasterName, spec.VRFSlave.MasterName); name != "" {
		master := find(present, name)
		if master == nil {
			return up, nil
		}

		index = master.Attrs().Index
	}

	if index == attrs.MasterIndex {
		return up, nil
	}

	// A bond takes only links that are down.
	if spec.BondSlave.MasterName != "" && up {
		if err := l.kernel.SetUp(link, false); err != nil {
			return up, fmt.Errorf("setting the state: %w", err)
		}

		up = false
	}

	if err := l.kernel.SetMaster(link, index); err != nil {
		return up, fmt.Errorf("setting master %s: %w", strconv.Itoa(index), err)
	}

	// The bond brings it up by itself.
	return up || spec.BondSlave.MasterName != "", nil
}

func (l links) undo(spec network.LinkSpec, others []network.LinkSpec) error {
	present, err := l.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	link := find(present, spec.Name)

	// What is said of a link under another name holds.
	stays := slices.ContainsFunc(others, func(o network.LinkSpec) bool { return sameLink(present, o.Name, spec.Name) })

	switch {
	case link == nil, stays && !spec.Logical:
		return nil
	case spec.Logical:
		return absent(l.kernel.DeleteLink(link))
	case link.Attrs().MasterIndex != 0:
		if err := l.kernel.SetMaster(link, 0); err != nil {
			return err
		}
	}

	return l.kernel.SetUp(link, false)
}
