package machineconfig

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// links are the documents of the interfaces in the order in which they stand.
func (t *translator) links(interfaces []document.Interface) {
	ports := make(map[string][]string) // of bridges, named by the ports

	for i, device := range interfaces {
		if device.BridgePort != nil {
			name := t.linkName(i, device)
			ports[device.BridgePort.Master] = append(ports[device.BridgePort.Master], name)
		}
	}

	for i, device := range interfaces {
		path := index("machine.network.interfaces", i)
		name := t.linkName(i, device)

		if name == "" {
			t.fault(path, "found neither interface nor deviceSelector, expected one of them")

			continue
		}

		if device.DeviceSelector != nil && device.Interface == "" {
			t.add(&document.LinkAliasConfig{Name: name, Selector: document.Match{Match: linkExpression(*device.DeviceSelector)}})
		}

		if value(device.Ignore) {
			t.add(&document.LinkConfig{Name: name}) // its being there keeps the defaults away

			continue
		}

		t.link(path, name, device, ports[name])
		t.dhcp(path, name, device.DHCP, device.DHCPOptions)
		t.vip(name, device.VIP)

		for j, vlan := range device.VLANs {
			t.vlan(index(path+".vlans", j), name, vlan)
		}
	}
}

// linkName is the name of an interface, or the alias of one that is selected.
func (t *translator) linkName(i int, device document.Interface) string {
	if device.Interface == "" && device.DeviceSelector != nil {
		return "selected" + strconv.Itoa(i)
	}

	return device.Interface
}

// linkExpression is a selector as an expression. Addresses and numbers of
// devices are written as the node shows them.
func linkExpression(s document.DeviceSelector) string {
	var terms []string

	for _, field := range []struct{ name, pattern string }{
		{"link.bus_path", s.BusPath},
		{"mac(link.hardware_addr)", strings.ToLower(s.HardwareAddr)},
		{"mac(link.permanent_addr)", strings.ToLower(s.PermanentAddr)},
		{"link.pciid", strings.ToUpper(s.PCIID)},
		{"link.driver", s.Driver},
	} {
		if field.pattern != "" {
			terms = append(terms, "glob("+quote(field.pattern)+", "+field.name+")")
		}
	}

	if value(s.Physical) {
		terms = append(terms, "link.physical")
	}

	return strings.Join(terms, " && ")
}

// link is the document of one interface itself.
func (t *translator) link(path, name string, device document.Interface, ports []string) {
	addresses := device.Addresses
	if device.CIDR != "" {
		addresses = append(slices.Clone(addresses), device.CIDR)
	}

	link := t.common(path, addresses, device.Routes, device.MTU)

	switch {
	case device.Bond != nil:
		t.bond(path, name, *device.Bond, link)
	case device.Bridge != nil || len(ports) > 0:
		bridge := value(device.Bridge)
		doc := &document.BridgeConfig{
			Name: name, Links: append(slices.Clone(bridge.Interfaces), ports...), STP: bridge.STP, Link: link,
		}

		if bridge.VLAN != nil {
			doc.VLAN = &document.BridgeVLAN{Filtering: bridge.VLAN.VLANFiltering}
		}

		t.add(doc)
	case value(device.Dummy):
		t.add(&document.DummyLinkConfig{Name: name, Link: link})
	case device.Wireguard != nil:
		t.wireguard(path+".wireguard", name, *device.Wireguard, link)
	default:
		t.add(&document.LinkConfig{Name: name, Link: link})
	}
}

// common is what all kinds of links have.
func (t *translator) common(path string, addresses []string, routes []document.DeviceRoute, mtu uint32) document.Link {
	link := document.Link{MTU: mtu}

	for i, text := range addresses {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			addr, err := netip.ParseAddr(text)
			if err != nil {
				t.fault(index(path+".addresses", i), "found %q, expected an address such as 10.0.0.2/24", text)

				continue
			}

			prefix = netip.PrefixFrom(addr, addr.BitLen())
		}

		link.Addresses = append(link.Addresses, document.Address{Address: prefix})
	}

	for i, route := range routes {
		at := index(path+".routes", i)
		out := document.Route{
			Gateway: t.addr(at+".gateway", route.Gateway), Source: t.addr(at+".source", route.Source),
			Metric: route.Metric, MTU: route.MTU,
		}

		if route.Network != "" {
			prefix, err := netip.ParsePrefix(route.Network)
			if err != nil {
				t.fault(at+".network", "found %q, expected a network such as 10.0.0.0/8", route.Network)
			}

			out.Destination = prefix
		}

		link.Routes = append(link.Routes, out)
	}

	return link
}

// addr parses an address; an empty one is the zero value. What stands behind a
// slash does not count.
func (t *translator) addr(path, text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}

	host, _, _ := strings.Cut(text, "/")

	addr, err := netip.ParseAddr(host)
	if err != nil {
		t.fault(path, "found %q, expected an IP address", text)
	}

	return addr
}

func (t *translator) bond(path, name string, bond document.Bond, link document.Link) {
	doc := &document.BondConfig{
		Name: name, Links: slices.Clone(bond.Interfaces), BondMode: bond.Mode,
		MIIMon: bond.MIIMon, UpDelay: bond.UpDelay, DownDelay: bond.DownDelay, UseCarrier: bond.UseCarrier,
		XmitHashPolicy: bond.XmitHashPolicy, ARPInterval: bond.ARPInterval, ARPValidate: bond.ARPValidate,
		ARPAllTargets: bond.ARPAllTargets, LACPRate: bond.LACPRate, FailOverMAC: bond.FailOverMAC,
		ADSelect: bond.ADSelect, ADActorSysPrio: bond.ADActorSysPrio, ADUserPortKey: bond.ADUserPortKey,
		Primary: bond.Primary, PrimaryReselect: bond.PrimaryReselect, ResendIGMP: bond.ResendIGMP,
		MinLinks: bond.MinLinks, LPInterval: bond.LPInterval, PacketsPerSlave: bond.PacketsPerSlave,
		NumPeerNotif: bond.NumPeerNotif, TLBLogicalLB: bond.TLBDynamicLB, AllSlavesActive: bond.AllSlavesActive,
		PeerNotifDelay: bond.PeerNotifyDelay, Link: link,
	}

	for i, text := range bond.ARPIPTarget {
		doc.ARPIPTargets = append(doc.ARPIPTargets, t.addr(index(path+".bond.arpIPTarget", i), text))
	}

	// A selector may be for any number of links.
	for i, selector := range bond.DeviceSelectors {
		alias := name + "member" + strconv.Itoa(i) + "n%d"
		t.add(&document.LinkAliasConfig{Name: alias, Selector: document.Match{Match: linkExpression(selector)}})
		doc.Links = append(doc.Links, alias)
	}

	t.add(doc)
}

func (t *translator) wireguard(path, name string, wg document.Wireguard, link document.Link) {
	doc := &document.WireguardConfig{
		Name: name, PrivateKey: wg.PrivateKey, ListenPort: wg.ListenPort, FirewallMark: wg.FirewallMark, Link: link,
	}

	for i, peer := range wg.Peers {
		at := index(path+".peers", i)
		out := document.WireguardPeer{
			PublicKey: peer.PublicKey, PersistentKeepaliveInterval: peer.PersistentKeepaliveInterval,
			AllowedIPs: t.prefixes(at+".allowedIPs", peer.AllowedIPs),
		}

		if peer.Endpoint != "" {
			endpoint, err := netip.ParseAddrPort(peer.Endpoint)
			if err != nil {
				t.fault(at+".endpoint", "found %q, expected an address with a port such as 10.5.0.2:51820", peer.Endpoint)
			}

			out.Endpoint = endpoint
		}

		doc.Peers = append(doc.Peers, out)
	}

	t.add(doc)
}

func (t *translator) vlan(path, parent string, vlan document.VLAN) {
	name := parent + "." + strconv.Itoa(int(vlan.VLANID))
	addresses := vlan.Addresses

	if vlan.CIDR != "" {
		addresses = append(slices.Clone(addresses), vlan.CIDR)
	}

	t.add(&document.VLANConfig{
		Name: name, VLANID: vlan.VLANID, Parent: parent,
		Link: t.common(path, addresses, vlan.Routes, vlan.MTU),
	})
	t.dhcp(path, name, vlan.DHCP, vlan.DHCPOptions)
	t.vip(name, vlan.VIP)
}

// dhcp is the documents of the DHCP clients of a link: IPv4 unless told
// otherwise, IPv6 when asked for.
func (t *translator) dhcp(path, link string, on *bool, options *document.DHCPOptions) {
	if !value(on) {
		return
	}

	opts := value(options)

	if enabled(opts.IPv4) {
		t.add(&document.DHCPv4Config{Name: link, RouteMetric: opts.RouteMetric})
	}

	if !value(opts.IPv6) {
		return
	}

	doc := &document.DHCPv6Config{Name: link, RouteMetric: opts.RouteMetric}

	if opts.DUIDv6 != "" {
		doc.ClientIdentifier = "duid"

		if err := doc.DUIDRaw.UnmarshalText([]byte(opts.DUIDv6)); err != nil {
			t.fault(path+".dhcpOptions.duidv6", "found %q, %v", opts.DUIDv6, err)
		}
	}

	t.add(doc)
}

// vip is the document of an address that moves between machines.
func (t *translator) vip(link string, vip *document.VIP) {
	switch {
	case vip == nil:
	case vip.HCloud != nil:
		t.add(&document.HCloudVIPConfig{Name: vip.IP, Link: link, APIToken: vip.HCloud.APIToken})
	case vip.EquinixMetal == nil: // that cloud is gone, and no document has taken its place
		t.add(&document.Layer2VIPConfig{Name: vip.IP, Link: link})
	}
}
