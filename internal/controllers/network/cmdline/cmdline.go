// Package cmdline reads the network configuration on the kernel's command line:
// ip=, bond=, bridge= and vlan= in the kernel's and dracut's forms, and the
// talos.* arguments about the network.
package cmdline

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Settings is what a command line says about the network. Links may be named
// by hardware address or not at all; see [Settings.Specs].
type Settings struct {
	Specs layer.Specs
	// Ignored are links that nothing but the machine configuration configures.
	Ignored []string
}

// Parse reads a command line. It returns what it could read together with an
// error about what it could not, argument by argument.
func Parse(text string) (Settings, error) {
	var (
		s    Settings
		errs []error
	)

	for _, argument := range cmdline.Parse(text) {
		value := argument.Value
		if value == "" {
			continue
		}

		var (
			specs layer.Specs
			err   error
		)

		switch argument.Name {
		case "ip":
			specs, err = parseIP(value)
		case "bond":
			specs, err = parseBond(value)
		case "bridge":
			specs, err = parseBridge(value)
		case "vlan":
			specs, err = parseVLAN(value)
		case "talos.hostname":
			specs.Hostnames = []network.HostnameSpec{hostname(value)}
		case "talos.network.interface.ignore":
			s.Ignored = append(s.Ignored, value)
		}

		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s: %w", argument, err))

			continue
		}

		s.Specs.Append(specs)
	}

	s.Specs = s.Specs.In(network.ConfigLayerCmdline)

	return s, errors.Join(errs...)
}

// fields splits at colons outside brackets, which go: they are around IPv6
// addresses.
func fields(text string) []string {
	var (
		out     []string
		current strings.Builder
		depth   int
	)

	for _, r := range text {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth = max(depth-1, 0)
		case r == ':' && depth == 0:
			out = append(out, current.String())
			current.Reset()
		default:
			current.WriteRune(r)
		}
	}

	return append(out, current.String())
}

// autoconf are the values that ask for an address; dynamic says whether by DHCP.
var autoconf = map[string]struct{ dhcp4, dhcp6 bool }{
	"off": {}, "none": {}, "static": {},
	"on": {dhcp4: true}, "any": {dhcp4: true}, "dhcp": {dhcp4: true},
	"dhcp6": {dhcp6: true}, "auto6": {}, "either6": {dhcp6: true},
}

// parseIP reads
//
//	<address>:<boot server>:<gateway>:<netmask>:<hostname>:<link>:<autoconf>:<dns>:<dns>:<ntp>
//
// or <autoconf>, or <link>:<autoconf>.
func parseIP(value string) (layer.Specs, error) {
	parts := fields(value)

	switch len(parts) {
	case 1:
		if _, ok := autoconf[parts[0]]; ok {
			parts = []string{"", "", "", "", "", "", parts[0]}
		}
	case 2:
		if _, ok := autoconf[parts[1]]; ok {
			parts = []string{"", "", "", "", "", parts[0], parts[1]}
		}
	}

	parts = append(parts, make([]string, max(0, 10-len(parts)))...)
	address, gateway, mask, name, link, method := parts[0], parts[2], parts[3], parts[4], parts[5], parts[6]

	how, ok := autoconf[method]
	if !ok && method != "" {
		return layer.Specs{}, fmt.Errorf("found %q, expected a way of configuration such as dhcp or none", method)
	}

	if link != "" && !validLink(link) {
		return layer.Specs{}, fmt.Errorf("found %q, expected the name of a link", link)
	}

	specs := layer.Specs{Links: []network.LinkSpec{{Name: link, Up: true}}}

	if address != "" {
		if err := static(&specs, address, mask, gateway, link); err != nil {
			return layer.Specs{}, err
		}
	} else if how.dhcp4 || method == "" {
		specs.Operators = append(specs.Operators, dhcp(network.OperatorDHCP4, link))
	}

	if how.dhcp6 {
		specs.Operators = append(specs.Operators, dhcp(network.OperatorDHCP6, link))
	}

	if name != "" {
		specs.Hostnames = []network.HostnameSpec{hostname(name)}
	}

	return specs, servers(&specs, parts[7:10])
}

// DefaultMetric is the metric of routes that have none, and of those of DHCP.
const DefaultMetric = 1024

func dhcp(o network.Operator, link string) network.OperatorSpec {
	spec := network.OperatorSpec{Operator: o, LinkName: link, RequireUp: true}
	if o == network.OperatorDHCP4 {
		spec.DHCP4.RouteMetric = DefaultMetric
	} else {
		spec.DHCP6.RouteMetric = DefaultMetric
	}

	return spec
}

// static adds an address and the default route.
func static(specs *layer.Specs, address, mask, gateway, link string) error {
	prefix, err := withMask(address, mask)
	if err != nil {
		return err
	}

	family := network.FamilyInet4
	if prefix.Addr().Is6() {
		family = network.FamilyInet6
	}

	specs.Addresses = append(specs.Addresses, network.AddressSpec{
		Address: prefix, LinkName: link, Family: family, Scope: network.ScopeGlobal, Flags: network.AddressFlagPermanent,
	})

	if gateway == "" {
		return nil
	}

	via, err := netip.ParseAddr(gateway)
	if err != nil || via.Zone() != "" || via.Is4() != prefix.Addr().Is4() {
		return fmt.Errorf("found gateway %q, expected an address of the family of %s", gateway, prefix)
	}

	specs.Routes = append(specs.Routes, network.RouteSpec{
		Family: family, Gateway: via, OutLinkName: link, Table: network.RoutingTableMain, Priority: DefaultMetric,
		Scope: network.ScopeGlobal, Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolBoot,
	})

	return nil
}

// withMask joins an address with a mask, in dots or as a number of bits. An
// address alone is a network of its own.
func withMask(address, mask string) (netip.Prefix, error) {
	a, err := netip.ParseAddr(address)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("found %q, expected an address", address)
	}

	if mask == "" {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}

	bits, err := strconv.Atoi(mask)
	if err != nil {
		m, err := netip.ParseAddr(mask)
		if err != nil || m.BitLen() != a.BitLen() || m.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("found netmask %q, expected one such as 255.255.255.0 or 24", mask)
		}

		ones, size := net.IPMask(m.AsSlice()).Size()
		if size == 0 {
			return netip.Prefix{}, fmt.Errorf("found netmask %q, expected ones and then zeros", mask)
		}

		bits = ones
	}

	prefix := netip.PrefixFrom(a, bits)
	if !prefix.IsValid() {
		return netip.Prefix{}, fmt.Errorf("found netmask %q, expected at most %d bits", mask, a.BitLen())
	}

	return prefix, nil
}

// servers adds two name servers and a time server.
func servers(specs *layer.Specs, parts []string) error {
	var resolver network.ResolverSpec

	for _, text := range parts[:2] {
		if text == "" {
			continue
		}

		a, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("found %q, expected the address of a name server", text)
		}

		resolver.DNSServers = append(resolver.DNSServers, a)
	}

	if len(resolver.DNSServers) > 0 {
		specs.Resolvers = append(specs.Resolvers, resolver)
	}

	if parts[2] != "" {
		specs.TimeServers = append(specs.TimeServers, network.TimeServerSpec{NTPServers: []string{parts[2]}})
	}

	return nil
}

func hostname(name string) network.HostnameSpec {
	host, domain, _ := strings.Cut(name, ".")

	return network.HostnameSpec{Hostname: host, Domainname: domain}
}

// validLink reports whether the kernel takes this name for a link.
func validLink(name string) bool {
	return name != "" && len(name) < 16 && name != "." && name != ".." && !strings.ContainsAny(name, "/: \t\n\x00")
}

// links splits a list of links.
func links(text string) ([]string, error) {
	names := strings.Split(text, ",")
	for _, name := range names {
		if !validLink(name) {
			return nil, fmt.Errorf("found %q, expected the name of a link", name)
		}
	}

	return names, nil
}

// Resolve returns the specs with the names of links filled in: a link without a
// name is the first physical one, and enx followed by a hardware address is the
// one that has it. What is about a link that is not there is left out. present
// are the links of the machine, by name.
func (s Settings) Resolve(present map[string]network.LinkStatus) layer.Specs {
	name := func(wanted string) (string, bool) { return resolve(wanted, present) }

	var out layer.Specs

	out.Append(s.Specs)
	out.Links = renamed(out.Links, name, func(v *network.LinkSpec) *string { return &v.Name })
	out.Links = renamed(out.Links, name, func(v *network.LinkSpec) *string { return optional(&v.ParentName) })
	out.Addresses = renamed(out.Addresses, name, func(v *network.AddressSpec) *string { return &v.LinkName })
	out.Routes = renamed(out.Routes, name, func(v *network.RouteSpec) *string { return &v.OutLinkName })
	out.Operators = renamed(out.Operators, name, func(v *network.OperatorSpec) *string { return &v.LinkName })

	return out
}

// optional is nil for a name that need not be there.
func optional(name *string) *string {
	if *name == "" {
		return nil
	}

	return name
}

func renamed[T any](specs []T, resolve func(string) (string, bool), field func(*T) *string) []T {
	var out []T

	for _, spec := range specs {
		name := field(&spec)
		if name == nil {
			out = append(out, spec)

			continue
		}

		found, ok := resolve(*name)
		if !ok {
			continue
		}

		*name = found
		out = append(out, spec)
	}

	return out
}

func resolve(wanted string, present map[string]network.LinkStatus) (string, bool) {
	if _, ok := present[wanted]; ok {
		return wanted, true
	}

	digits, byAddress := strings.CutPrefix(wanted, "enx")
	mac, err := hex.DecodeString(digits)
	byAddress = byAddress && err == nil && len(mac) == 6

	if wanted != "" && !byAddress {
		return wanted, true
	}

	first := ""

	for name, link := range present {
		if link.Type != network.LinkTypeEther || link.Kind != "" {
			continue
		}

		if byAddress && !slices.Equal(mac, link.HardwareAddr) && !slices.Equal(mac, link.PermanentAddr) {
			continue
		}

		if first == "" || link.Index < present[first].Index {
			first = name
		}
	}

	return first, first != ""
}
