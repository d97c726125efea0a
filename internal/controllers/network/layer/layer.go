// Package layer has the layers of a machine's network configuration: what each
// source asks for, and what follows from all of them together.
//
// A source (the defaults, the kernel's command line, the platform, operators
// such as DHCP, the machine configuration) fills a [Specs]. [Specs.Write] puts
// it into the namespace network-config, under IDs that begin with the source.
// The controllers of [Merges] make the specs of the namespace network from
// these: for everything that has the same identity, the highest layer wins.
package layer

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Specs is what one source asks for. The zero value asks for nothing.
type Specs struct {
	Links       []network.LinkSpec
	Addresses   []network.AddressSpec
	Routes      []network.RouteSpec
	Rules       []network.RoutingRuleSpec
	Operators   []network.OperatorSpec
	Hostnames   []network.HostnameSpec
	Resolvers   []network.ResolverSpec
	TimeServers []network.TimeServerSpec
	Probes      []network.ProbeSpec
}

// Empty reports whether nothing is asked for.
func (s *Specs) Empty() bool {
	return len(s.Links)+len(s.Addresses)+len(s.Routes)+len(s.Rules)+len(s.Operators)+
		len(s.Hostnames)+len(s.Resolvers)+len(s.TimeServers)+len(s.Probes) == 0
}

// Append adds what others ask for.
func (s *Specs) Append(others ...Specs) {
	for _, o := range others {
		s.Links = append(s.Links, o.Links...)
		s.Addresses = append(s.Addresses, o.Addresses...)
		s.Routes = append(s.Routes, o.Routes...)
		s.Rules = append(s.Rules, o.Rules...)
		s.Operators = append(s.Operators, o.Operators...)
		s.Hostnames = append(s.Hostnames, o.Hostnames...)
		s.Resolvers = append(s.Resolvers, o.Resolvers...)
		s.TimeServers = append(s.TimeServers, o.TimeServers...)
		s.Probes = append(s.Probes, o.Probes...)
	}
}

// In returns the specs as those of a layer.
func (s *Specs) In(l network.ConfigLayer) Specs {
	return Specs{
		Links:       each(s.Links, func(v *network.LinkSpec) { v.ConfigLayer = l }),
		Addresses:   each(s.Addresses, func(v *network.AddressSpec) { v.ConfigLayer = l }),
		Routes:      each(s.Routes, func(v *network.RouteSpec) { v.ConfigLayer = l }),
		Rules:       each(s.Rules, func(v *network.RoutingRuleSpec) { v.ConfigLayer = l }),
		Operators:   each(s.Operators, func(v *network.OperatorSpec) { v.ConfigLayer = l }),
		Hostnames:   each(s.Hostnames, func(v *network.HostnameSpec) { v.ConfigLayer = l }),
		Resolvers:   each(s.Resolvers, func(v *network.ResolverSpec) { v.ConfigLayer = l }),
		TimeServers: each(s.TimeServers, func(v *network.TimeServerSpec) { v.ConfigLayer = l }),
		Probes:      each(s.Probes, func(v *network.ProbeSpec) { v.ConfigLayer = l }),
	}
}

func each[T any](in []T, change func(*T)) []T {
	out := make([]T, len(in))
	for i, v := range in {
		change(&v)
		out[i] = v
	}

	return out
}

// Identities of specs: two of the same identity are about the same thing.

// LinkID is the identity of a link.
func LinkID(s network.LinkSpec) string { return s.Name }

// AddressID is the identity of an address.
func AddressID(s network.AddressSpec) string { return s.LinkName + "/" + s.Address.String() }

// RouteID is the identity of a route: what makes it unique in the kernel.
func RouteID(s network.RouteSpec) string {
	id := fmt.Sprintf("%s/%s/%s/%s/%d", s.OutLinkName, s.Family, addr(s.Gateway), prefix(s.Destination), s.Priority)

	if s.Table != network.RoutingTableMain && s.Table != network.RoutingTableUnspec {
		id = s.Table.String() + "/" + id
	}

	return id
}

// RuleID is the identity of a routing rule.
func RuleID(s network.RoutingRuleSpec) string { return fmt.Sprintf("%s/%d", s.Family, s.Priority) }

// OperatorID is the identity of an operator.
func OperatorID(s network.OperatorSpec) string {
	id := s.Operator.String() + "/" + s.LinkName
	if s.VIP.IP.IsValid() {
		id += "/" + s.VIP.IP.String()
	}

	return id
}

// ProbeID is the identity of a probe: what it asks.
func ProbeID(s network.ProbeSpec) string {
	if s.HTTP.URL != nil {
		return "http:" + s.HTTP.URL.Redacted()
	}

	return "tcp:" + s.TCP.Endpoint
}

func hostnameID(network.HostnameSpec) string     { return network.HostnameID }
func resolverID(network.ResolverSpec) string     { return network.ResolverID }
func timeServerID(network.TimeServerSpec) string { return network.TimeServerID }

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}

	return a.String()
}

func prefix(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}

	return p.String()
}

// Outputs are the outputs of a controller that calls Write.
func Outputs() []reconcile.Output {
	return []reconcile.Output{
		reconcile.Out[network.LinkSpec]().AsShared(),
		reconcile.Out[network.AddressSpec]().AsShared(),
		reconcile.Out[network.RouteSpec]().AsShared(),
		reconcile.Out[network.RoutingRuleSpec]().AsShared(),
		reconcile.Out[network.OperatorSpec]().AsShared(),
		reconcile.Out[network.HostnameSpec]().AsShared(),
		reconcile.Out[network.ResolverSpec]().AsShared(),
		reconcile.Out[network.TimeServerSpec]().AsShared(),
		reconcile.Out[network.ProbeSpec]().AsShared(),
	}
}

// Write makes the specs in the namespace network-config those of the calling
// controller, and removes what it wrote earlier. IDs begin with the source.
// The specs belong to the store afterwards.
func (s *Specs) Write(ctx context.Context, rt *reconcile.Runtime, source string) error {
	for _, write := range []func() error{
		func() error { return write(ctx, rt, source, s.Links, LinkID) },
		func() error { return write(ctx, rt, source, s.Addresses, AddressID) },
		func() error { return write(ctx, rt, source, s.Routes, RouteID) },
		func() error { return write(ctx, rt, source, s.Rules, RuleID) },
		func() error { return write(ctx, rt, source, s.Operators, OperatorID) },
		func() error { return write(ctx, rt, source, s.Hostnames, hostnameID) },
		func() error { return write(ctx, rt, source, s.Resolvers, resolverID) },
		func() error { return write(ctx, rt, source, s.TimeServers, timeServerID) },
		func() error { return write(ctx, rt, source, s.Probes, ProbeID) },
	} {
		if err := write(); err != nil {
			return err
		}
	}

	return nil
}

// write writes the specs of one type. Several of the same identity get a
// number, so that none hides another before they are merged.
func write[T resource.Spec](ctx context.Context, rt *reconcile.Runtime, source string, specs []T, identity func(T) string) error {
	written := make(map[string]bool, len(specs))

	for _, spec := range specs {
		id := source + "/" + identity(spec)
		for n := 2; written[id]; n++ {
			id = fmt.Sprintf("%s/%s#%d", source, identity(spec), n)
		}

		written[id] = true

		err := reconcile.ModifyIn(ctx, rt, network.ConfigNamespaceName, id, func(r *resource.Resource[T]) error {
			r.Spec = spec

			return nil
		})
		if err != nil {
			return err
		}
	}

	return reconcile.KeepIn[T](ctx, rt, network.ConfigNamespaceName, func(id string) bool { return written[id] })
}
