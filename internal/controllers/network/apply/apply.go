package apply

import (
	"context"
	"errors"
	"fmt"
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
	return []reconcile.Controller{
		derive.Watched(actuator("network.LinkSpecController", actions[network.LinkSpec](links{kernel})), watch),
		derive.Watched(actuator("network.AddressSpecController", actions[network.AddressSpec](addresses{kernel})), watch),
		derive.Watched(actuator("network.RouteSpecController", actions[network.RouteSpec](routes{kernel})), watch),
		actuator("network.RoutingRuleSpecController", actions[network.RoutingRuleSpec](rules{kernel})),
	}
}

// actions are what is done about the specs of a type. They compare with the
// kernel first, so that they change nothing when nothing is to be changed: a
// change would call them again.
type actions[T resource.Spec] interface {
	// undo takes one back.
	undo(spec T) error
	// apply sees to it that all hold, as far as they can: what waits for
	// something in the kernel to appear is no error.
	apply(specs []T) error
}

func actuator[T resource.Spec](name string, actions actions[T]) reconcile.Controller {
	input := reconcile.In[T]().Strong()

	return derive.Act(name, []reconcile.Input{input}, nil, func(ctx context.Context, rt *reconcile.Runtime) error {
		found, err := resource.List[T](ctx, rt)
		if err != nil {
			return err
		}

		var (
			errs   []error
			wanted []T
		)

		for _, r := range found {
			pointer := r.Meta.Pointer()
			mine := slices.Contains(r.Meta.Finalizers, name)

			switch {
			case r.Meta.Phase == resource.Running:
				if !mine {
					if err := rt.AddFinalizer(ctx, pointer); err != nil {
						errs = append(errs, err)

						continue
					}
				}

				wanted = append(wanted, r.Spec)
			case mine:
				err := actions.undo(r.Spec)
				if err == nil {
					err = rt.RemoveFinalizer(ctx, pointer)
				}

				if err != nil {
					errs = append(errs, fmt.Errorf("undoing %s: %w", pointer.ID, err))
				}
			}
		}

		return errors.Join(append(errs, actions.apply(wanted))...)
	})
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
