package layer

import (
	"context"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Merges are the controllers that make the specs of the namespace network from
// those of the namespace network-config.
func Merges() []reconcile.Controller {
	return []reconcile.Controller{
		merger("network.LinkMergeController", MergeLinks),
		merger("network.AddressMergeController", MergeAddresses),
		merger("network.RouteMergeController", MergeRoutes),
		merger("network.RoutingRuleMergeController", MergeRules),
		merger("network.OperatorMergeController", MergeOperators),
		merger("network.HostnameMergeController", MergeHostnames),
		merger("network.ResolverMergeController", MergeResolvers),
		merger("network.TimeServerMergeController", MergeTimeServers),
		merger("network.ProbeMergeController", MergeProbes),
	}
}

func merger[T resource.Spec](name string, merge func([]T) map[string]T) reconcile.Controller {
	return derive.AllIn(name, network.NamespaceName, []reconcile.Input{reconcile.InIn[T](network.ConfigNamespaceName)},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]T, error) {
			// By ID, which makes the order of specs of one layer a stable one.
			found, err := resource.ListIn[T](ctx, rt, network.ConfigNamespaceName)
			if err != nil {
				return nil, err
			}

			specs := make([]T, 0, len(found))

			for _, r := range found {
				if r.Meta.Phase == resource.Running {
					specs = append(specs, r.Copy().Spec)
				}
			}

			return merge(specs), nil
		})
}

// ascending returns the specs from the lowest layer to the highest; those of one
// layer stay in order.
func ascending[T any](specs []T, layer func(T) network.ConfigLayer) []T {
	sorted := slices.Clone(specs)
	slices.SortStableFunc(sorted, func(a, b T) int { return int(layer(a)) - int(layer(b)) })

	return sorted
}

// highest keeps of each identity the spec of the highest layer, and of one layer
// the first.
func highest[T any](specs []T, identity func(T) string, layer func(T) network.ConfigLayer) map[string]T {
	out := make(map[string]T, len(specs))

	for _, spec := range specs {
		id := identity(spec)
		if old, ok := out[id]; !ok || layer(spec) > layer(old) {
			out[id] = spec
		}
	}

	return out
}

func linkLayer(s network.LinkSpec) network.ConfigLayer             { return s.ConfigLayer }
func addressLayer(s network.AddressSpec) network.ConfigLayer       { return s.ConfigLayer }
func routeLayer(s network.RouteSpec) network.ConfigLayer           { return s.ConfigLayer }
func ruleLayer(s network.RoutingRuleSpec) network.ConfigLayer      { return s.ConfigLayer }
func operatorLayer(s network.OperatorSpec) network.ConfigLayer     { return s.ConfigLayer }
func hostnameLayer(s network.HostnameSpec) network.ConfigLayer     { return s.ConfigLayer }
func resolverLayer(s network.ResolverSpec) network.ConfigLayer     { return s.ConfigLayer }
func timeServerLayer(s network.TimeServerSpec) network.ConfigLayer { return s.ConfigLayer }

func probeLayer(s network.ProbeSpec) network.ConfigLayer { return s.ConfigLayer }

// MergeProbes keeps of each probe what the highest layer says.
func MergeProbes(specs []network.ProbeSpec) map[string]network.ProbeSpec {
	return highest(specs, ProbeID, probeLayer)
}

// MergeAddresses keeps of each address what the highest layer says.
func MergeAddresses(specs []network.AddressSpec) map[string]network.AddressSpec {
	return highest(specs, AddressID, addressLayer)
}

// MergeRoutes keeps of each route what the highest layer says.
func MergeRoutes(specs []network.RouteSpec) map[string]network.RouteSpec {
	return highest(specs, RouteID, routeLayer)
}

// MergeRules keeps of each rule what the highest layer says.
func MergeRules(specs []network.RoutingRuleSpec) map[string]network.RoutingRuleSpec {
	return highest(specs, RuleID, ruleLayer)
}

// MergeOperators keeps of each operator what the highest layer says.
func MergeOperators(specs []network.OperatorSpec) map[string]network.OperatorSpec {
	return highest(specs, OperatorID, operatorLayer)
}

// MergeHostnames keeps the name of the highest layer that has one.
func MergeHostnames(specs []network.HostnameSpec) map[string]network.HostnameSpec {
	named := slices.DeleteFunc(slices.Clone(specs), func(s network.HostnameSpec) bool { return s.Hostname == "" })

	return highest(named, hostnameID, hostnameLayer)
}

// MergeLinks combines what is said of each link: what a layer leaves open stays
// as the layers below it say.
func MergeLinks(specs []network.LinkSpec) map[string]network.LinkSpec {
	out := make(map[string]network.LinkSpec, len(specs))

	for _, spec := range ascending(specs, linkLayer) {
		old, ok := out[spec.Name]
		if !ok {
			out[spec.Name] = spec

			continue
		}

		out[spec.Name] = mergeLink(old, spec)
	}

	return out
}

// mergeLink lays a spec over one of the same or a lower layer.
func mergeLink(below, above network.LinkSpec) network.LinkSpec {
	merged := below
	// The parts of one layer each may bring the link up.
	merged.Up = above.Up || (below.Up && below.ConfigLayer == above.ConfigLayer)
	merged.ConfigLayer = above.ConfigLayer

	// What makes a virtual link goes together.
	if above.Logical {
		merged.Logical, merged.Kind, merged.Type, merged.ParentName = true, above.Kind, above.Type, above.ParentName
		merged.VLAN, merged.Veth, merged.Wireguard = above.VLAN, above.Veth, above.Wireguard
		merged.BondMaster, merged.BridgeMaster, merged.VRFMaster = above.BondMaster, above.BridgeMaster, above.VRFMaster
	}

	if above.MTU != 0 {
		merged.MTU = above.MTU
	}

	if len(above.HardwareAddress) > 0 {
		merged.HardwareAddress = above.HardwareAddress
	}

	// A link has one master.
	if above.BondSlave.MasterName != "" || above.BridgeSlave.MasterName != "" || above.VRFSlave.MasterName != "" {
		merged.BondSlave, merged.BridgeSlave, merged.VRFSlave = above.BondSlave, above.BridgeSlave, above.VRFSlave
	}

	if above.Multicast != nil {
		merged.Multicast = above.Multicast
	}

	return merged
}

// MergeResolvers combines name servers and search domains: each list is that of
// the highest layer that has one, all its sources together.
func MergeResolvers(specs []network.ResolverSpec) map[string]network.ResolverSpec {
	if len(specs) == 0 {
		return nil
	}

	var (
		merged            network.ResolverSpec
		servers, searches network.ConfigLayer
	)

	for _, spec := range ascending(specs, resolverLayer) {
		if len(spec.DNSServers) > 0 {
			if spec.ConfigLayer != servers {
				merged.DNSServers, merged.NameServers = nil, nil
			}

			servers = spec.ConfigLayer
			merged.DNSServers = union(merged.DNSServers, spec.DNSServers)
			merged.NameServers = union(merged.NameServers, nameServers(spec))
		}

		if len(spec.SearchDomains) > 0 {
			if spec.ConfigLayer != searches {
				merged.SearchDomains = nil
			}

			searches = spec.ConfigLayer
			merged.SearchDomains = union(merged.SearchDomains, spec.SearchDomains)
		}

		merged.SearchDomainsOverridden = merged.SearchDomainsOverridden || spec.SearchDomainsOverridden
	}

	merged.ConfigLayer = max(servers, searches)

	return map[string]network.ResolverSpec{network.ResolverID: merged}
}

// nameServers are the servers of a spec, which may name their addresses only.
func nameServers(spec network.ResolverSpec) []network.NameServerSpec {
	if len(spec.NameServers) > 0 {
		return spec.NameServers
	}

	out := make([]network.NameServerSpec, len(spec.DNSServers))
	for i, a := range spec.DNSServers {
		out[i].Addr = a
	}

	return out
}

// MergeTimeServers keeps the servers of the highest layer that has any, all its
// sources together.
func MergeTimeServers(specs []network.TimeServerSpec) map[string]network.TimeServerSpec {
	var merged network.TimeServerSpec

	for _, spec := range ascending(specs, timeServerLayer) {
		switch {
		case len(spec.NTPServers) == 0:
		case spec.ConfigLayer > merged.ConfigLayer || len(merged.NTPServers) == 0:
			merged = spec
		default:
			merged.NTPServers = union(merged.NTPServers, spec.NTPServers)
		}
	}

	if len(merged.NTPServers) == 0 {
		return nil
	}

	return map[string]network.TimeServerSpec{network.TimeServerID: merged}
}

// union appends what is not there yet, to a list of its own.
func union[T comparable](list, more []T) []T {
	out := slices.Clone(list)

	for _, v := range more {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}

	return out
}
