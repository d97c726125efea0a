package cmdline

import (
	"encoding"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// parseBridge reads <name>:<link>,<link>...
func parseBridge(value string) (layer.Specs, error) {
	name, ports, _ := strings.Cut(value, ":")
	if !validLink(name) {
		return layer.Specs{}, fmt.Errorf("found %q, expected the name of a bridge", name)
	}

	members, err := links(ports)
	if err != nil {
		return layer.Specs{}, err
	}

	specs := layer.Specs{Links: []network.LinkSpec{
		{Name: name, Logical: true, Up: true, Kind: "bridge", Type: network.LinkTypeEther},
	}}

	for _, member := range members {
		specs.Links = append(specs.Links, network.LinkSpec{
			Name: member, Up: true, BridgeSlave: network.BridgeSlave{MasterName: name},
		})
	}

	return specs, nil
}

// parseVLAN reads <name>:<parent>, where the name ends with the number of the
// VLAN: vlan5, vlan0005, eth0.5, eth0.0005.
func parseVLAN(value string) (layer.Specs, error) {
	name, parent, _ := strings.Cut(value, ":")
	if !validLink(name) || !validLink(parent) {
		return layer.Specs{}, fmt.Errorf("found %q, expected the names of a VLAN and of its link", value)
	}

	digits := strings.TrimPrefix(name, "vlan")
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		digits = name[i+1:]
	}

	id, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || id < 1 || id > 4094 {
		return layer.Specs{}, fmt.Errorf("found %q, expected a name that ends with a VLAN from 1 to 4094", name)
	}

	return layer.Specs{Links: []network.LinkSpec{
		{
			Name: name, Logical: true, Up: true, Kind: "vlan", Type: network.LinkTypeEther, ParentName: parent,
			VLAN: network.VLANSpec{VID: uint16(id), Protocol: network.VLANProtocol8021Q},
		},
		{Name: parent, Up: true},
	}}, nil
}

// parseBond reads <name>[:<links>[:<options>[:<mtu>]]]; the options are those
// of the kernel's bonding module.
func parseBond(value string) (layer.Specs, error) {
	// Addresses in options have colons of their own; the rest is options.
	parts := fields(value)
	parts = append(parts, make([]string, max(0, 4-len(parts)))...)

	bond := network.LinkSpec{
		Name: parts[0], Logical: true, Up: true, Kind: "bond", Type: network.LinkTypeEther,
		BondMaster: network.BondMasterSpec{UseCarrier: true},
	}

	if bond.Name == "" {
		bond.Name = "bond0"
	}

	if !validLink(bond.Name) {
		return layer.Specs{}, fmt.Errorf("found %q, expected the name of a bond", bond.Name)
	}

	if parts[1] == "" {
		parts[1] = "eth0,eth1"
	}

	members, err := links(parts[1])
	if err != nil {
		return layer.Specs{}, err
	}

	for option := range strings.SplitSeq(parts[2], ",") {
		if option == "" {
			continue
		}

		// More than one target is separated by semicolons here.
		key, text, _ := strings.Cut(option, "=")
		if err := bondOption(&bond.BondMaster, key, text); err != nil {
			return layer.Specs{}, err
		}
	}

	if parts[3] != "" {
		mtu, err := strconv.ParseUint(parts[3], 10, 32)
		if err != nil {
			return layer.Specs{}, fmt.Errorf("found MTU %q, expected a number", parts[3])
		}

		bond.MTU = uint32(mtu)
	}

	specs := layer.Specs{Links: []network.LinkSpec{bond}}
	for i, member := range members {
		specs.Links = append(specs.Links, network.LinkSpec{
			Name: member, Up: true, BondSlave: network.BondSlave{MasterName: bond.Name, SlaveIndex: i},
		})
	}

	return specs, nil
}

// bondOption sets an option of a bond.
func bondOption(b *network.BondMasterSpec, key, text string) error {
	names := map[string]name{
		"mode": &b.Mode, "xmit_hash_policy": &b.HashPolicy, "lacp_rate": &b.LACPRate, "arp_validate": &b.ARPValidate,
		"arp_all_targets": &b.ARPAllTargets, "primary_reselect": &b.PrimaryReselect, "fail_over_mac": &b.FailOverMac,
		"ad_select": &b.ADSelect,
	}
	numbers := map[string]*uint32{
		"miimon": &b.MIIMon, "updelay": &b.UpDelay, "downdelay": &b.DownDelay, "arp_interval": &b.ARPInterval,
		"resend_igmp": &b.ResendIGMP, "min_links": &b.MinLinks, "lp_interval": &b.LPInterval,
		"packets_per_slave": &b.PacketsPerSlave, "peer_notif_delay": &b.PeerNotifyDelay,
	}
	small := map[string]*uint8{
		"num_grat_arp": &b.NumPeerNotif, "num_unsol_na": &b.NumPeerNotif, "tlb_dynamic_lb": &b.TLBDynamicLB,
		"all_slaves_active": &b.AllSlavesActive,
	}
	middle := map[string]*uint16{"ad_actor_sys_prio": &b.ADActorSysPrio, "ad_user_port_key": &b.ADUserPortKey}

	var err error

	switch {
	case names[key] != nil:
		err = named(names[key], text)
	case numbers[key] != nil:
		err = number(numbers[key], text, 32)
	case small[key] != nil:
		err = number(small[key], text, 8)
	case middle[key] != nil:
		err = number(middle[key], text, 16)
	case key == "use_carrier":
		b.UseCarrier, err = strconv.ParseBool(text)
	case key == "primary" && validLink(text):
		b.Primary = text
	case key == "arp_ip_target":
		for target := range strings.SplitSeq(text, ";") {
			a, parseErr := netip.ParseAddr(target)
			if parseErr != nil {
				return fmt.Errorf("found %s=%q, expected addresses", key, text)
			}

			b.ARPIPTargets = append(b.ARPIPTargets, a)
		}
	default:
		return fmt.Errorf("found %q, expected an option of a bond", key)
	}

	if err != nil {
		return fmt.Errorf("found %s=%q: %w", key, text, err)
	}

	return nil
}

// name is an enumeration with names; numbers are its kernel's.
type name interface {
	encoding.TextUnmarshaler
	fmt.Stringer
}

// named sets an enumeration by name or by number.
func named(into name, text string) error {
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return err
	}

	// A number that has no name stays one.
	if _, err := strconv.Atoi(into.String()); err == nil {
		return errors.New("no such value")
	}

	return nil
}

func number[T uint8 | uint16 | uint32](into *T, text string, bits int) error {
	n, err := strconv.ParseUint(text, 10, bits)
	*into = T(n)

	return err
}
