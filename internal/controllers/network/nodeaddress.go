package network

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// NodeAddress chooses the addresses by which the node is known: one that stays
// as long as it can, all there are now, those that others can route to, and
// all there ever were; each of them also through every filter.
func NodeAddress() reconcile.Controller {
	previous := map[string][]netip.Prefix{}

	return derive.All("network.NodeAddressController",
		[]reconcile.Input{
			reconcile.In[network.AddressStatus](),
			reconcile.In[network.LinkStatus](),
			reconcile.In[network.OperatorSpec](),
			reconcile.In[network.NodeAddressFilter](),
			reconcile.In[network.NodeAddressSortAlgorithm](),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]network.NodeAddress, error) {
			statuses, err := resource.List[network.AddressStatus](ctx, rt)
			if err != nil {
				return nil, err
			}

			links, err := resource.List[network.LinkStatus](ctx, rt)
			if err != nil {
				return nil, err
			}

			filters, err := resource.List[network.NodeAddressFilter](ctx, rt)
			if err != nil {
				return nil, err
			}

			algorithm, err := derive.Find[network.NodeAddressSortAlgorithm](ctx, rt, network.NodeAddressSortAlgorithmID)
			if err != nil {
				return nil, err
			}

			var order network.AddressSortAlgorithm
			if algorithm != nil {
				order = algorithm.Spec.Algorithm
			}

			operators, err := resource.List[network.OperatorSpec](ctx, rt)
			if err != nil {
				return nil, err
			}

			up := upLinks(links)
			foreign := foreignAddresses(statuses, operators)
			own := slices.DeleteFunc(currentAddresses(statuses, up, order), func(p netip.Prefix) bool { return foreign[p.Addr()] })
			up[network.ExternalLinkName] = true
			sets := addressSets(currentAddresses(statuses, up, order), own, previous, order)
			previous = sets

			return filtered(sets, filters, order), nil
		})
}

func upLinks(links []*resource.Resource[network.LinkStatus]) map[string]bool {
	up := map[string]bool{}

	for _, l := range links {
		// A link of unknown state, such as the loopback link, counts as up.
		state := l.Spec.OperationalState
		up[l.Meta.ID] = state == network.OperationalStateUp || state == network.OperationalStateUnknown
	}

	return up
}

// currentAddresses are the global addresses of links that are up, in order.
func currentAddresses(
	statuses []*resource.Resource[network.AddressStatus], up map[string]bool, order network.AddressSortAlgorithm,
) []netip.Prefix {
	var out []netip.Prefix

	for _, s := range statuses {
		a := s.Spec

		if !up[a.LinkName] || a.Scope != network.ScopeGlobal || a.Flags&network.AddressFlagDeprecated != 0 {
			continue
		}

		ip := a.Address.Addr()
		if ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsMulticast() {
			continue
		}

		out = append(out, a.Address)
	}

	return sortPrefixes(out, order)
}

// foreignAddresses are those that are the node's only in a way: that no link of
// it has, or that move between nodes.
func foreignAddresses(
	statuses []*resource.Resource[network.AddressStatus], operators []*resource.Resource[network.OperatorSpec],
) map[netip.Addr]bool {
	out := map[netip.Addr]bool{}

	for _, s := range statuses {
		if s.Spec.LinkName == network.ExternalLinkName {
			out[s.Spec.Address.Addr()] = true
		}
	}

	for _, o := range operators {
		if o.Spec.Operator == network.OperatorVIP {
			out[o.Spec.VIP.IP] = true
		}
	}

	return out
}

// addressSets derives the unfiltered sets from the current addresses, and those
// of them that are the node's own. Previous are the sets of the last time.
func addressSets(current, own []netip.Prefix, previous map[string][]netip.Prefix, order network.AddressSortAlgorithm) map[string][]netip.Prefix {
	sets := map[string][]netip.Prefix{
		network.NodeAddressCurrentID: current,
		network.NodeAddressRoutedID:  own,
		network.NodeAddressAccumulativeID: sortPrefixes(
			append(slices.Clone(previous[network.NodeAddressAccumulativeID]), current...), order),
	}

	for _, a := range previous[network.NodeAddressDefaultID] {
		if slices.Contains(own, a) {
			sets[network.NodeAddressDefaultID] = []netip.Prefix{a}

			return sets
		}
	}

	if len(own) > 0 {
		sets[network.NodeAddressDefaultID] = own[:1]
	}

	return sets
}

// filtered adds to every set but the default one its filtered forms.
func filtered(
	sets map[string][]netip.Prefix, filters []*resource.Resource[network.NodeAddressFilter], order network.AddressSortAlgorithm,
) map[string]network.NodeAddress {
	out := map[string]network.NodeAddress{}

	for id, addresses := range sets {
		out[id] = network.NodeAddress{Addresses: addresses, SortAlgorithm: order}

		if id == network.NodeAddressDefaultID {
			continue
		}

		for _, f := range filters {
			out[id+"-"+f.Meta.ID] = network.NodeAddress{Addresses: filter(addresses, f.Spec), SortAlgorithm: order}
		}
	}

	return out
}

// filter keeps the addresses that are in an included subnet, or in any when
// none is, and in no excluded one.
func filter(addresses []netip.Prefix, f network.NodeAddressFilter) []netip.Prefix {
	within := func(subnets []netip.Prefix, a netip.Addr) bool {
		return slices.ContainsFunc(subnets, func(s netip.Prefix) bool { return s.Contains(a) })
	}

	out := []netip.Prefix{}

	for _, p := range addresses {
		a := p.Addr()
		if (len(f.IncludeSubnets) == 0 || within(f.IncludeSubnets, a)) && !within(f.ExcludeSubnets, a) {
			out = append(out, p)
		}
	}

	return out
}

// sortPrefixes is the list in order, each address once. Version 1 orders by
// address, IPv4 first; version 2 puts the addresses of wider subnets first
// within a family, and unique local ones after global ones.
func sortPrefixes(prefixes []netip.Prefix, order network.AddressSortAlgorithm) []netip.Prefix {
	out := slices.Clone(prefixes)

	slices.SortFunc(out, func(a, b netip.Prefix) int {
		if order == network.AddressSortAlgorithmV2 {
			return cmp.Or(
				cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()),
				compareBool(uniqueLocal(a.Addr()), uniqueLocal(b.Addr())),
				cmp.Compare(a.Bits(), b.Bits()),
				a.Addr().Compare(b.Addr()),
			)
		}

		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})

	return slices.CompactFunc(out, func(a, b netip.Prefix) bool { return a.Addr() == b.Addr() })
}

func uniqueLocal(a netip.Addr) bool { return a.Is6() && a.IsPrivate() }

// compareBool orders false before true.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}

// SortAlgorithm decides how node addresses are ordered.
func SortAlgorithm(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "network.NodeAddressSortAlgorithmController", network.NodeAddressSortAlgorithmID,
		func(cfg *machineconfig.Config) (network.NodeAddressSortAlgorithm, error) {
			var spec network.NodeAddressSortAlgorithm

			err := spec.Algorithm.UnmarshalText([]byte(cfg.Machine().NodeAddressSort))

			return spec, err
		})
}
