// Package documents makes network specs of the documents of a machine
// configuration.
package documents

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// DefaultMetric is the metric of routes whose document names none.
const DefaultMetric = 1024

// Specs are what a configuration asks for, in the layer of the machine
// configuration.
func Specs(cfg *machineconfig.Config) (layer.Specs, error) {
	var s specs

	for _, part := range []func(*machineconfig.Config) error{
		s.links, s.masters, s.virtual, s.operators, s.routing, s.names, s.probes,
	} {
		if err := part(cfg); err != nil {
			return layer.Specs{}, err
		}
	}

	return s.In(network.ConfigLayerConfiguration), nil
}

// specs collects.
type specs struct{ layer.Specs }

// common adds a link with its addresses and routes; table is the one of routes
// that name none.
func (s *specs) common(spec network.LinkSpec, link document.Link, table network.RoutingTable) {
	spec.Up = link.Up == nil || *link.Up
	spec.MTU = link.MTU
	spec.Multicast = link.Multicast
	s.Links = append(s.Links, spec)

	for _, a := range link.Addresses {
		address := network.AddressSpec{
			Address: a.Address, LinkName: spec.Name, Family: family(a.Address.Addr()),
			Scope: scope(a.Address.Addr()), Flags: network.AddressFlagPermanent,
		}

		if a.RoutePriority != nil {
			address.Priority = *a.RoutePriority
		}

		s.Addresses = append(s.Addresses, address)
	}

	for _, r := range link.Routes {
		s.Routes = append(s.Routes, route(r, spec.Name, table))
	}
}

func family(a netip.Addr) network.Family {
	if a.Is6() {
		return network.FamilyInet6
	}

	return network.FamilyInet4
}

func scope(a netip.Addr) network.Scope {
	switch {
	case a.IsLoopback():
		return network.ScopeHost
	case a.IsLinkLocalUnicast():
		return network.ScopeLink
	default:
		return network.ScopeGlobal
	}
}

func route(r document.Route, link string, table network.RoutingTable) network.RouteSpec {
	spec := network.RouteSpec{
		Family: network.FamilyInet4, Source: r.Source, Gateway: r.Gateway, OutLinkName: link, Table: table,
		Priority: r.Metric, Scope: network.ScopeGlobal, Type: network.RouteTypeUnicast,
		Protocol: network.RouteProtocolStatic, MTU: r.MTU,
	}

	if r.Table != 0 {
		spec.Table = network.RoutingTable(r.Table)
	}

	if spec.Priority == 0 {
		spec.Priority = DefaultMetric
	}

	if r.Gateway.Is6() || (r.Destination.IsValid() && r.Destination.Addr().Is6()) {
		spec.Family = network.FamilyInet6
	}

	// The default route has no destination.
	if r.Destination.IsValid() && r.Destination.Bits() > 0 {
		spec.Destination = r.Destination.Masked()
	}

	// A neighbour is on the link itself.
	if !r.Gateway.IsValid() && spec.Family == network.FamilyInet4 {
		spec.Scope = network.ScopeLink
	}

	return spec
}

func (s *specs) links(cfg *machineconfig.Config) error {
	for _, doc := range machineconfig.All[document.LinkConfig](cfg) {
		s.common(network.LinkSpec{Name: doc.Name}, doc.Link, network.RoutingTableMain)
	}

	return nil
}

// logical is a virtual link.
func logical(name, kind string, mac document.HardwareAddr) network.LinkSpec {
	return network.LinkSpec{
		Name: name, Logical: true, Kind: kind, Type: network.LinkTypeEther, HardwareAddress: network.MAC(mac),
	}
}

// masters are links of links.
func (s *specs) masters(cfg *machineconfig.Config) error {
	for _, doc := range machineconfig.All[document.BondConfig](cfg) {
		spec := logical(doc.Name, "bond", doc.HardwareAddr)

		var err error
		if spec.BondMaster, err = bond(doc); err != nil {
			return fmt.Errorf("reading BondConfig %s: %w", doc.Name, err)
		}

		s.common(spec, doc.Link, network.RoutingTableMain)

		for i, name := range doc.Links {
			s.Links = append(s.Links, network.LinkSpec{
				Name: name, Up: true, BondSlave: network.BondSlave{MasterName: doc.Name, SlaveIndex: i},
			})
		}
	}

	for _, doc := range machineconfig.All[document.BridgeConfig](cfg) {
		spec := logical(doc.Name, "bridge", doc.HardwareAddr)
		spec.BridgeMaster.STP.Enabled = doc.STP != nil && value(doc.STP.Enabled)
		spec.BridgeMaster.VLAN.FilteringEnabled = doc.VLAN != nil && value(doc.VLAN.Filtering)
		s.common(spec, doc.Link, network.RoutingTableMain)

		for _, name := range doc.Links {
			s.Links = append(s.Links, network.LinkSpec{
				Name: name, Up: true, BridgeSlave: network.BridgeSlave{MasterName: doc.Name},
			})
		}
	}

	for _, doc := range machineconfig.All[document.VRFConfig](cfg) {
		spec := logical(doc.Name, "vrf", doc.HardwareAddr)
		spec.VRFMaster.Table = network.RoutingTable(doc.Table)
		s.common(spec, doc.Link, spec.VRFMaster.Table)

		for _, name := range doc.Links {
			s.Links = append(s.Links, network.LinkSpec{
				Name: name, Up: true, VRFSlave: network.VRFSlave{MasterName: doc.Name},
			})
		}
	}

	return nil
}

// virtual are links that are made.
func (s *specs) virtual(cfg *machineconfig.Config) error {
	for _, doc := range machineconfig.All[document.VLANConfig](cfg) {
		spec := logical(doc.Name, "vlan", nil)
		spec.ParentName = doc.Parent
		spec.VLAN = network.VLANSpec{VID: doc.VLANID, Protocol: network.VLANProtocol8021Q}

		if doc.VLANMode != "" {
			if err := spec.VLAN.Protocol.UnmarshalText([]byte(doc.VLANMode)); err != nil {
				return fmt.Errorf("reading VLANConfig %s: %w", doc.Name, err)
			}
		}

		s.common(spec, doc.Link, network.RoutingTableMain)
	}

	for _, doc := range machineconfig.All[document.DummyLinkConfig](cfg) {
		s.common(logical(doc.Name, "dummy", doc.HardwareAddr), doc.Link, network.RoutingTableMain)
	}

	for _, doc := range machineconfig.All[document.VethConfig](cfg) {
		near, far := logical(doc.Name, "veth", nil), logical(doc.Peer.Name, "veth", nil)
		near.Veth.PeerName, far.Veth.PeerName = doc.Peer.Name, doc.Name
		s.common(near, doc.Link, network.RoutingTableMain)
		s.common(far, doc.Peer.Link, network.RoutingTableMain)
	}

	for _, doc := range machineconfig.All[document.WireguardConfig](cfg) {
		spec := network.LinkSpec{Name: doc.Name, Logical: true, Kind: "wireguard", Type: network.LinkTypeNohdr}

		var err error
		if spec.Wireguard, err = wireguard(doc); err != nil {
			return fmt.Errorf("reading WireguardConfig %s: %w", doc.Name, err)
		}

		s.common(spec, doc.Link, network.RoutingTableMain)
	}

	return nil
}

// operators are DHCP clients.
func (s *specs) operators(cfg *machineconfig.Config) error {
	for _, doc := range machineconfig.All[document.DHCPv4Config](cfg) {
		id, err := identifier(doc.ClientIdentifier, doc.DUIDRaw)
		if err != nil {
			return fmt.Errorf("reading DHCPv4Config %s: %w", doc.Name, err)
		}

		s.Operators = append(s.Operators, network.OperatorSpec{
			Operator: network.OperatorDHCP4, LinkName: doc.Name, RequireUp: true,
			DHCP4: network.DHCP4OperatorSpec{
				RouteMetric: metric(doc.RouteMetric), SkipHostnameRequest: value(doc.IgnoreHostname),
				SkipRoutes: value(doc.IgnoreRoutes), ClientIdentifier: id,
			},
		})
	}

	for _, doc := range machineconfig.All[document.DHCPv6Config](cfg) {
		id, err := identifier(doc.ClientIdentifier, doc.DUIDRaw)
		if err != nil {
			return fmt.Errorf("reading DHCPv6Config %s: %w", doc.Name, err)
		}

		s.Operators = append(s.Operators, network.OperatorSpec{
			Operator: network.OperatorDHCP6, LinkName: doc.Name, RequireUp: true,
			DHCP6: network.DHCP6OperatorSpec{
				RouteMetric: metric(doc.RouteMetric), SkipHostnameRequest: value(doc.IgnoreHostname), ClientIdentifier: id,
			},
		})
	}

	return nil
}

func metric(m uint32) uint32 {
	if m == 0 {
		return DefaultMetric
	}

	return m
}

// identifier is how a client names itself: by hardware address unless told
// otherwise.
func identifier(kind string, duid document.HardwareAddr) (network.ClientIdentifierSpec, error) {
	spec := network.ClientIdentifierSpec{ClientIdentifier: network.ClientIdentifierMAC, DUIDRawHex: hex.EncodeToString(duid)}

	if kind == "" {
		return spec, nil
	}

	return spec, spec.ClientIdentifier.UnmarshalText([]byte(kind))
}

// routing is what no link has.
func (s *specs) routing(cfg *machineconfig.Config) error {
	for _, doc := range machineconfig.All[document.BlackholeRouteConfig](cfg) {
		destination, err := netip.ParsePrefix(doc.Name)
		if err != nil {
			return fmt.Errorf("reading BlackholeRouteConfig %s: %w", doc.Name, err)
		}

		s.Routes = append(s.Routes, network.RouteSpec{
			Family: family(destination.Addr()), Destination: destination.Masked(), Table: network.RoutingTableMain,
			Priority: metric(doc.Metric), Type: network.RouteTypeBlackhole, Protocol: network.RouteProtocolStatic,
		})
	}

	for _, doc := range machineconfig.All[document.RoutingRuleConfig](cfg) {
		priority, err := strconv.ParseUint(doc.Name, 10, 32)
		if err != nil {
			return fmt.Errorf("reading RoutingRuleConfig %s: %w", doc.Name, err)
		}

		rule := network.RoutingRuleSpec{
			Src: doc.Src, Dst: doc.Dst, Table: network.RoutingTable(doc.Table), Priority: uint32(priority),
			Action: network.RoutingRuleActionUnicast, IIFName: doc.IIFName, OIFName: doc.OIFName,
			FwMark: doc.FWMark, FwMask: doc.FWMask,
		}

		if doc.Action != "" {
			if err := rule.Action.UnmarshalText([]byte(doc.Action)); err != nil {
				return fmt.Errorf("reading RoutingRuleConfig %s: %w", doc.Name, err)
			}
		}

		for _, f := range families(doc.Src, doc.Dst) {
			rule.Family = f
			s.Rules = append(s.Rules, rule)
		}
	}

	return nil
}

// families are those of the prefixes, or both when there are none.
func families(prefixes ...netip.Prefix) []network.Family {
	for _, p := range prefixes {
		if p.IsValid() {
			return []network.Family{family(p.Addr())}
		}
	}

	return []network.Family{network.FamilyInet4, network.FamilyInet6}
}

// names are the node's name and the servers that it asks.
func (s *specs) names(cfg *machineconfig.Config) error {
	if doc := machineconfig.Find[document.HostnameConfig](cfg); doc != nil && doc.Hostname != "" {
		host, domain, _ := strings.Cut(doc.Hostname, ".")
		s.Hostnames = append(s.Hostnames, network.HostnameSpec{Hostname: host, Domainname: domain})
	}

	machine := cfg.Machine()
	resolver := network.ResolverSpec{SearchDomains: machine.SearchDomains, SearchDomainsOverridden: machine.NoDefaultSearch}

	for _, n := range machine.Nameservers {
		server := network.NameServerSpec{Addr: n.Address, TLSServerName: n.TLSServerName}
		if err := server.Protocol.UnmarshalText([]byte(n.Protocol)); err != nil {
			return fmt.Errorf("reading name server %s: %w", n.Address, err)
		}

		resolver.NameServers = append(resolver.NameServers, server)
		resolver.DNSServers = append(resolver.DNSServers, n.Address)
	}

	if len(resolver.DNSServers) > 0 || len(resolver.SearchDomains) > 0 || resolver.SearchDomainsOverridden {
		s.Resolvers = append(s.Resolvers, resolver)
	}

	if servers, ok := timeServers(cfg); ok {
		s.TimeServers = append(s.TimeServers, servers)
	}

	return nil
}

// timeServers are the servers that a configuration names: clock devices first.
func timeServers(cfg *machineconfig.Config) (network.TimeServerSpec, bool) {
	doc := machineconfig.Find[document.TimeSyncConfig](cfg)
	if doc == nil {
		return network.TimeServerSpec{}, false
	}

	spec := network.TimeServerSpec{UseNTS: doc.NTP != nil && value(doc.NTP.UseNTS)}
	if doc.PTP != nil {
		spec.NTPServers = append(spec.NTPServers, doc.PTP.Devices...)
	}

	switch {
	case doc.NTP != nil && len(doc.NTP.Servers) > 0:
		spec.NTPServers = append(spec.NTPServers, doc.NTP.Servers...)
	case spec.UseNTS && len(spec.NTPServers) == 0:
		// It is about the default server.
		spec.NTPServers = cfg.Machine().Time.Servers
	}

	return spec, len(spec.NTPServers) > 0
}

// Defaults of probes whose document does not say.
const (
	probeInterval = time.Second
	probeTimeout  = 10 * time.Second
)

// probes are checks of connectivity.
func (s *specs) probes(cfg *machineconfig.Config) error {
	for _, doc := range machineconfig.All[document.TCPProbeConfig](cfg) {
		s.Probes = append(s.Probes, network.ProbeSpec{
			Interval: cmp.Or(doc.Interval, probeInterval), FailureThreshold: doc.FailureThreshold,
			TCP: network.TCPProbeSpec{Endpoint: doc.Endpoint, Timeout: cmp.Or(doc.Timeout, probeTimeout)},
		})
	}

	for _, doc := range machineconfig.All[document.HTTPProbeConfig](cfg) {
		s.Probes = append(s.Probes, network.ProbeSpec{
			Interval: cmp.Or(doc.Interval, probeInterval), FailureThreshold: doc.FailureThreshold,
			HTTP: network.HTTPProbeSpec{URL: &doc.URL.URL, Timeout: cmp.Or(doc.Timeout, probeTimeout)},
		})
	}

	return nil
}

// value is what a pointer points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		var zero T

		return zero
	}

	return *p
}
