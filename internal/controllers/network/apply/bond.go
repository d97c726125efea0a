package apply

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl/wgtypes"

	"github.com/basalt-os/basalt/internal/resources/network"
)

// bond is a bond in the kernel's form. A number that is zero is left to the
// kernel, and so is what the mode has no use for: the kernel refuses it.
func bond(attrs netlink.LinkAttrs, spec network.BondMasterSpec) *netlink.Bond {
	b := netlink.NewLinkBond(attrs)
	b.Mode = netlink.BondMode(spec.Mode)

	set := func(into *int, value int) {
		if value != 0 {
			*into = value
		}
	}

	set(&b.Miimon, int(spec.MIIMon))
	set(&b.UpDelay, int(spec.UpDelay))
	set(&b.DownDelay, int(spec.DownDelay))
	set(&b.ResendIgmp, int(spec.ResendIGMP))
	set(&b.MinLinks, int(spec.MinLinks))
	set(&b.NumPeerNotif, int(spec.NumPeerNotif))
	set(&b.AllSlavesActive, int(spec.AllSlavesActive))

	// New kernels have no other way, and refuse to be told of it.
	if !spec.UseCarrier {
		b.UseCarrier = 0
	}

	b.XmitHashPolicy = netlink.BondXmitHashPolicy(spec.HashPolicy)
	b.FailOverMac = netlink.BondFailOverMac(spec.FailOverMac)

	switch spec.Mode {
	case network.BondMode8023AD:
		b.LacpRate = netlink.BondLacpRate(spec.LACPRate)
		b.AdSelect = netlink.BondAdSelect(spec.ADSelect)
		set(&b.AdActorSysPrio, int(spec.ADActorSysPrio))
		set(&b.AdUserPortKey, int(spec.ADUserPortKey))
	case network.BondModeBalanceTLB, network.BondModeBalanceALB:
		b.TlbDynamicLb = int(spec.TLBDynamicLB)
		set(&b.LpInterval, int(spec.LPInterval))
	case network.BondModeBalanceRR:
		set(&b.PacketsPerSlave, int(spec.PacketsPerSlave))
	}

	if slices.Contains([]network.BondMode{network.BondModeActiveBackup, network.BondModeBalanceTLB, network.BondModeBalanceALB}, spec.Mode) {
		b.PrimaryReselect = netlink.BondPrimaryReselect(spec.PrimaryReselect)
	}

	if spec.ARPInterval != 0 {
		b.ArpInterval = int(spec.ARPInterval)
		b.ArpValidate = netlink.BondArpValidate(spec.ARPValidate)
		b.ArpAllTargets = netlink.BondArpAllTargets(spec.ARPAllTargets)

		for _, target := range spec.ARPIPTargets {
			b.ArpIpTargets = append(b.ArpIpTargets, net.IP(target.AsSlice()))
		}
	}

	return b
}

// sameBond reports whether a bond has all options that are wanted.
func sameBond(have, wanted *netlink.Bond) bool {
	numbers := func(b *netlink.Bond) []int {
		return []int{
			int(b.Mode), b.Miimon, b.UpDelay, b.DownDelay, b.ResendIgmp, b.MinLinks, b.NumPeerNotif, b.AllSlavesActive,
			b.UseCarrier, int(b.XmitHashPolicy), int(b.FailOverMac), int(b.LacpRate), int(b.AdSelect), b.AdActorSysPrio,
			b.AdUserPortKey, b.TlbDynamicLb, b.LpInterval, b.PacketsPerSlave, int(b.PrimaryReselect), b.ArpInterval,
			int(b.ArpValidate), int(b.ArpAllTargets),
		}
	}

	has := numbers(have)
	for i, want := range numbers(wanted) {
		if want >= 0 && want != has[i] {
			return false
		}
	}

	return slices.EqualFunc(have.ArpIpTargets, wanted.ArpIpTargets, net.IP.Equal)
}

// bondSettings are the options that netlink's library does not know.
func (l links) bondSettings(present []netlink.Link, link netlink.Link, spec network.LinkSpec) error {
	folder := "/sys/class/net/" + link.Attrs().Name + "/bonding/"
	bond := spec.BondMaster

	set := func(name, value string) error {
		current, err := l.kernel.Setting(folder + name)
		// Some show a name and its number.
		if err == nil && (current == value || slices.Contains(strings.Fields(current), value)) {
			return nil
		}

		return l.setting(folder+name, value)
	}

	// The kernel keeps a primary only while it is in the bond.
	if primary := find(present, bond.Primary); primary != nil && primary.Attrs().MasterIndex == link.Attrs().Index {
		if err := set("primary", primary.Attrs().Name); err != nil {
			return err
		}
	}

	if bond.PeerNotifyDelay != 0 {
		if err := set("peer_notif_delay", strconv.Itoa(int(bond.PeerNotifyDelay))); err != nil {
			return err
		}
	}

	if bond.MissedMax != 0 {
		if err := set("arp_missed_max", strconv.Itoa(int(bond.MissedMax))); err != nil {
			return err
		}
	}

	return l.targets(folder+"ns_ip6_target", bond.NSIP6Targets)
}

// targets adds addresses to a setting that takes one at a time.
func (l links) targets(path string, targets []netip.Addr) error {
	for _, target := range targets {
		current, err := l.kernel.Setting(path)
		if err != nil {
			return err
		}

		if slices.Contains(strings.FieldsFunc(current, func(r rune) bool { return r == ',' || r == ' ' }), target.String()) {
			continue
		}

		if err := l.kernel.SetSetting(path, "+"+target.String()); err != nil {
			return err
		}
	}

	return nil
}

// errKey says no more: keys are secrets.
var errKey = errors.New("a key of WireGuard is none")

// wireguard gives a tunnel its keys and peers.
func (l links) wireguard(name string, spec network.WireguardSpec) error {
	wanted, err := wireguard(spec)
	if err != nil {
		return err
	}

	have, err := l.kernel.Wireguard(name)
	if err != nil {
		return err
	}

	if sameWireguard(have, wanted) {
		return nil
	}

	return l.kernel.SetWireguard(name, wanted)
}

func wireguard(spec network.WireguardSpec) (wgtypes.Config, error) {
	key, err := wgtypes.ParseKey(spec.PrivateKey)
	if err != nil {
		return wgtypes.Config{}, errKey
	}

	config := wgtypes.Config{PrivateKey: &key, FirewallMark: &spec.FirewallMark, ReplacePeers: true}
	if spec.ListenPort != 0 {
		config.ListenPort = &spec.ListenPort
	}

	for _, p := range spec.Peers {
		peer, err := peer(p)
		if err != nil {
			return wgtypes.Config{}, err
		}

		config.Peers = append(config.Peers, peer)
	}

	return config, nil
}

func peer(p network.WireguardPeer) (wgtypes.PeerConfig, error) {
	out := wgtypes.PeerConfig{ReplaceAllowedIPs: true}

	var err error
	if out.PublicKey, err = wgtypes.ParseKey(p.PublicKey); err != nil {
		return out, errKey
	}

	if p.PresharedKey != "" {
		shared, err := wgtypes.ParseKey(p.PresharedKey)
		if err != nil {
			return out, errKey
		}

		out.PresharedKey = &shared
	}

	if p.Endpoint != "" {
		endpoint, err := netip.ParseAddrPort(p.Endpoint)
		if err != nil {
			return out, err
		}

		out.Endpoint = net.UDPAddrFromAddrPort(endpoint)
	}

	interval := p.PersistentKeepaliveInterval
	out.PersistentKeepaliveInterval = &interval

	for _, prefix := range p.AllowedIPs {
		out.AllowedIPs = append(out.AllowedIPs, *toNet(prefix.Masked()))
	}

	return out, nil
}

// sameWireguard reports whether a tunnel is as wanted. Peers may move, so their
// endpoints do not count.
func sameWireguard(have *wgtypes.Device, wanted wgtypes.Config) bool {
	if have.PrivateKey != *wanted.PrivateKey || have.FirewallMark != *wanted.FirewallMark || len(have.Peers) != len(wanted.Peers) ||
		(wanted.ListenPort != nil && have.ListenPort != *wanted.ListenPort) {
		return false
	}

	for _, w := range wanted.Peers {
		i := slices.IndexFunc(have.Peers, func(p wgtypes.Peer) bool { return p.PublicKey == w.PublicKey })
		if i < 0 || !samePeer(have.Peers[i], w) {
			return false
		}
	}

	return true
}

func samePeer(have wgtypes.Peer, wanted wgtypes.PeerConfig) bool {
	var shared wgtypes.Key
	if wanted.PresharedKey != nil {
		shared = *wanted.PresharedKey
	}

	// The kernel counts whole seconds.
	interval := wanted.PersistentKeepaliveInterval.Truncate(time.Second)

	return have.PresharedKey == shared && have.PersistentKeepaliveInterval == interval &&
		slices.Equal(texts(have.AllowedIPs), texts(wanted.AllowedIPs))
}

func texts(networks []net.IPNet) []string {
	out := make([]string, len(networks))
	for i, n := range networks {
		out[i] = n.String()
	}

	slices.Sort(out)

	return out
}
