package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Controllers are all controllers of this package. watch calls notify after
// every change of links, addresses or routes in the kernel, until ctx ends.
func Controllers(kernel Kernel, watch func(ctx context.Context, notify func()) error) []reconcile.Controller {
	watched := func(c reconcile.Controller) reconcile.Controller { return derive.Watched(c, watch) }
	alias := &actor[network.LinkAliasSpec, alias]{
		name: "network.LinkAliasSpecController", with: aliased, actions: aliases{kernel},
	}

	return []reconcile.Controller{
		watched(alias.controller()),
		watched(placed("network.LinkSpecController", kernel, linkName, links{kernel})),
		watched(placed("network.AddressSpecController", kernel,
			func(s *network.AddressSpec) *string { return &s.LinkName }, addresses{kernel})),
		watched(placed("network.RouteSpecController", kernel,
			func(s *network.RouteSpec) *string { return &s.OutLinkName }, routes{kernel})),
		watched(actuator("network.RoutingRuleSpecController", rules{kernel})),
	}
}

// linkName is where a spec has the name of its link. What makes a link gives it
// its own name.
func linkName(s *network.LinkSpec) *string {
	if s.Logical {
		return nil
	}

	return &s.Name
}

// actions are what is done about the specs of a type. They compare with the
// kernel first, so that they change nothing when nothing is to be changed: a
// change would call them again.
type actions[T any] interface {
	// undo takes one back, but for what the others want as well.
	undo(spec T, others []T) error
	// apply sees to it that all hold, as far as they can: what waits for
	// something in the kernel to appear is no error.
	apply(specs []T) error
}

func actuator[T resource.Spec](name string, actions actions[T]) reconcile.Controller {
	return (&actor[T, T]{name: name, with: itself[T], actions: actions}).controller()
}

func itself[T any](_ string, spec T) T { return spec }

// placed is an actuator of specs that are about a link, which they may name by
// an alias; about is the field that has the name, nil for a spec that only ever
// goes by the link's own one. The actions see own names.
func placed[T resource.Spec](name string, kernel Kernel, about func(*T) *string, actions actions[T]) reconcile.Controller {
	a := &actor[T, T]{name: name, with: itself[T], actions: actions, kernel: kernel, about: about, where: map[string]string{}}

	return a.controller()
}

// actor does what an actuator does. S is a spec of type T, with what its ID says.
type actor[T resource.Spec, S any] struct {
	name    string
	with    func(id string, spec T) S
	actions actions[S]

	// For specs that are about links. Where are the own names of the links at
	// which specs were applied, by ID: an alias can go, or move to another link.
	kernel Kernel
	about  func(*S) *string
	where  map[string]string
}

func (a *actor[T, S]) controller() reconcile.Controller {
	return derive.Act(a.name, []reconcile.Input{reconcile.In[T]().Strong()}, nil, a.act)
}

func (a *actor[T, S]) act(ctx context.Context, rt *reconcile.Runtime) error {
	found, err := resource.List[T](ctx, rt)
	if err != nil {
		return err
	}

	var (
		errs   []error
		wanted = map[string]S{}
		gone   []*resource.Resource[T]
	)

	for _, r := range found {
		mine := slices.Contains(r.Meta.Finalizers, a.name)

		switch {
		case r.Meta.Phase == resource.Running:
			if !mine {
				if err := rt.AddFinalizer(ctx, r.Meta.Pointer()); err != nil {
					errs = append(errs, err)

					continue
				}
			}

			wanted[r.Meta.ID] = a.with(r.Meta.ID, r.Spec)
		case mine:
			gone = append(gone, r)
		}
	}

	left, err := a.place(wanted)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}

	specs := inOrder(wanted)

	for _, l := range left {
		if err := a.actions.undo(l.spec, specs); err != nil {
			a.where[l.id] = l.at // to be tried again
			errs = append(errs, fmt.Errorf("undoing %s on link %s: %w", l.id, l.at, err))
		}
	}

	for _, r := range gone {
		if err := a.finish(ctx, rt, r, specs); err != nil {
			errs = append(errs, fmt.Errorf("undoing %s: %w", r.Meta.ID, err))
		}
	}

	return errors.Join(append(errs, a.actions.apply(specs))...)
}

// displaced is a spec that was applied at a link that no longer has the name.
type displaced[S any] struct {
	id, at string
	spec   S
}

// place gives specs the own names of their links. It returns those that were
// applied elsewhere, as they were there.
func (a *actor[T, S]) place(specs map[string]S) ([]displaced[S], error) {
	if a.about == nil {
		return nil, nil
	}

	links, err := a.kernel.Links()
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}

	var left []displaced[S]

	for _, id := range slices.Sorted(maps.Keys(specs)) {
		spec := specs[id]

		name := a.about(&spec)
		if name == nil {
			continue
		}

		now := ""
		if link := find(links, *name); link != nil {
			now = link.Attrs().Name
		}

		if before := a.where[id]; before != "" && before != now {
			*name = before
			left = append(left, displaced[S]{id: id, at: before, spec: spec})
		}

		delete(a.where, id)

		if now != "" {
			a.where[id], *name = now, now
			specs[id] = spec
		}
	}

	return left, nil
}

// finish undoes a spec that is about to go, and lets it.
func (a *actor[T, S]) finish(ctx context.Context, rt *reconcile.Runtime, r *resource.Resource[T], others []S) error {
	spec := a.with(r.Meta.ID, r.Spec)

	if at, ok := a.where[r.Meta.ID]; ok {
		if name := a.about(&spec); name != nil {
			*name = at
		}
	}

	if err := a.actions.undo(spec, others); err != nil {
		return err
	}

	delete(a.where, r.Meta.ID)

	return rt.RemoveFinalizer(ctx, r.Meta.Pointer())
}

func inOrder[S any](specs map[string]S) []S {
	out := make([]S, 0, len(specs))
	for _, id := range slices.Sorted(maps.Keys(specs)) {
		out = append(out, specs[id])
	}

	return out
}

// find returns the link of a name, an alias or another name; nil when there is
// none.
func find(links []netlink.Link, name string) netlink.Link {
	for _, matches := range []func(*netlink.LinkAttrs) bool{
		func(a *netlink.LinkAttrs) bool { return a.Name == name },
		func(a *netlink.LinkAttrs) bool { return a.Alias == name },
		func(a *netlink.LinkAttrs) bool { return slices.Contains(a.AltNames, name) },
	} {
		if i := slices.IndexFunc(links, func(l netlink.Link) bool { return matches(l.Attrs()) }); i >= 0 && name != "" {
			return links[i]
		}
	}

	return nil
}

// sameLink reports whether two names are those of one link.
func sameLink(links []netlink.Link, a, b string) bool {
	one, other := find(links, a), find(links, b)

	return one != nil && other != nil && one.Attrs().Index == other.Attrs().Index
}

func toIP(a netip.Addr) net.IP {
	if !a.IsValid() {
		return nil
	}

	return a.AsSlice()
}

func toNet(p netip.Prefix) *net.IPNet {
	if !p.IsValid() {
		return nil
	}

	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func fromIP(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)

	return a.Unmap()
}

// fromNet has no prefix for one of no bits: the default route.
func fromNet(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}

	bits, _ := n.Mask.Size()
	if bits == 0 {
		return netip.Prefix{}
	}

	return netip.PrefixFrom(fromIP(n.IP), bits)
}
