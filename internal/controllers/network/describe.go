package network

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.zx2c4.com/wireguard/wgctrl"

	"github.com/basalt-os/basalt/internal/ethtool"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Describe implements Kernel.
func (Netlink) Describe(link netlink.Link, into *network.LinkStatus) error {
	switch {
	case into.Physical():
		return describeAdapter(link.Attrs().Name, into)
	case into.Kind == "wireguard":
		return describeTunnel(link.Attrs().Name, into)
	case into.Kind == "bridge":
		state, err := os.ReadFile("/sys/class/net/" + link.Attrs().Name + "/bridge/stp_state")
		into.BridgeMaster.STP.Enabled = err == nil && strings.TrimSpace(string(state)) != "0"

		return nil
	default:
		return nil
	}
}

// describeAdapter says what an adapter and its driver tell of themselves.
func describeAdapter(name string, into *network.LinkStatus) error {
	client, err := ethtool.New()
	if err != nil {
		return err
	}
	defer client.Close()

	driver, err := client.Driver(name)
	if err != nil && !errors.Is(err, ethtool.ErrUnsupported) {
		return err
	}

	into.Driver, into.DriverVersion, into.FirmwareVersion, into.BusPath = driver.Name, driver.Version, driver.Firmware, driver.Bus

	mode, err := client.Mode(name)
	if err != nil && !errors.Is(err, ethtool.ErrUnsupported) {
		return err
	}

	into.SpeedMegabits, into.Port, into.Duplex = mode.Speed, network.Port(mode.Port), network.Duplex(mode.Duplex)
	describeDevice(os.DirFS("/sys"), into)

	return nil
}

// describeDevice says what the PCI bus knows of an adapter.
func describeDevice(sys fs.FS, into *network.LinkStatus) {
	if into.BusPath == "" || !fs.ValidPath(into.BusPath) {
		return
	}

	read := func(name string) string {
		// Other buses have no such files.
		text, _ := fs.ReadFile(sys, "bus/pci/devices/"+into.BusPath+"/"+name)

		return strings.TrimSpace(string(text))
	}

	into.VendorID, into.ProductID = read("vendor"), read("device")

	if into.VendorID != "" && into.ProductID != "" {
		id := func(text string) string { return strings.ToUpper(strings.TrimPrefix(text, "0x")) }
		into.PCIID = id(into.VendorID) + ":" + id(into.ProductID)
	}
}

// describeTunnel says what a tunnel is made of, without its secrets.
func describeTunnel(name string, into *network.LinkStatus) error {
	client, err := wgctrl.New()
	if err != nil {
		return fmt.Errorf("opening the control of WireGuard: %w", err)
	}
	defer client.Close()

	device, err := client.Device(name)
	if err != nil {
		return fmt.Errorf("reading tunnel %s: %w", name, err)
	}

	into.Wireguard = network.WireguardSpec{
		PublicKey: device.PublicKey.String(), ListenPort: device.ListenPort, FirewallMark: device.FirewallMark,
	}

	for _, p := range device.Peers {
		peer := network.WireguardPeer{
			PublicKey: p.PublicKey.String(), PersistentKeepaliveInterval: p.PersistentKeepaliveInterval,
		}

		if p.Endpoint != nil {
			peer.Endpoint = p.Endpoint.String()
		}

		for i := range p.AllowedIPs {
			peer.AllowedIPs = append(peer.AllowedIPs, toPrefix(&p.AllowedIPs[i]))
		}

		into.Wireguard.Peers = append(into.Wireguard.Peers, peer)
	}

	return nil
}

// bondStatus are the options that a bond has.
func bondStatus(b *netlink.Bond, names map[int]string) network.BondMasterSpec {
	number := func(n int) uint32 { return uint32(max(n, 0)) }

	spec := network.BondMasterSpec{
		Mode: network.BondMode(b.Mode), HashPolicy: network.BondXmitHashPolicy(b.XmitHashPolicy),
		LACPRate: network.LACPRate(b.LacpRate), ARPValidate: network.ARPValidate(b.ArpValidate),
		ARPAllTargets: network.ARPAllTargets(b.ArpAllTargets), PrimaryReselect: network.PrimaryReselect(b.PrimaryReselect),
		FailOverMac: network.FailOverMAC(b.FailOverMac), ADSelect: network.ADSelect(b.AdSelect),
		MIIMon: number(b.Miimon), UpDelay: number(b.UpDelay), DownDelay: number(b.DownDelay),
		ARPInterval: number(b.ArpInterval), ResendIGMP: number(b.ResendIgmp), MinLinks: number(b.MinLinks),
		LPInterval: number(b.LpInterval), PacketsPerSlave: number(b.PacketsPerSlave),
		NumPeerNotif: uint8(number(b.NumPeerNotif)), TLBDynamicLB: uint8(number(b.TlbDynamicLb)),
		AllSlavesActive: uint8(number(b.AllSlavesActive)), UseCarrier: b.UseCarrier != 0,
		ADActorSysPrio: uint16(number(b.AdActorSysPrio)), ADUserPortKey: uint16(number(b.AdUserPortKey)),
	}

	for _, ip := range b.ArpIpTargets {
		spec.ARPIPTargets = append(spec.ARPIPTargets, toAddr(ip))
	}

	if name := names[b.Primary]; b.Primary > 0 && name != "" {
		spec.PrimaryIndex, spec.Primary = new(uint32(b.Primary)), name
	}

	return spec
}
