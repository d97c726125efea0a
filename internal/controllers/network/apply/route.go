package apply

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/resources/network"
)

type routes struct{ kernel Kernel }

func (r routes) apply(specs []network.RouteSpec) error {
	links, err := r.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	present, err := r.kernel.Routes()
	if err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}

	var errs []error

	for _, spec := range specs {
		wanted, ok := r.route(links, spec)
		if !ok {
			continue
		}

		if err := r.replace(present, wanted); err != nil {
			errs = append(errs, fmt.Errorf("adding route to %s through %s on %s: %w", where(spec), spec.Gateway, spec.OutLinkName, err))
		}
	}

	return errors.Join(errs...)
}

func where(spec network.RouteSpec) string {
	if !spec.Destination.IsValid() {
		return "default"
	}

	return spec.Destination.String()
}

// route is a spec in the kernel's form. It cannot be while its link is not
// there or down.
func (r routes) route(links []netlink.Link, spec network.RouteSpec) (*netlink.Route, bool) {
	route := &netlink.Route{
		Family: int(spec.Family), Dst: toNet(spec.Destination), Src: toIP(spec.Source), Gw: toIP(spec.Gateway),
		Table: int(spec.Table), Priority: int(spec.Priority), Scope: netlink.Scope(spec.Scope), Type: int(spec.Type),
		Protocol: netlink.RouteProtocol(spec.Protocol), MTU: int(spec.MTU), Flags: int(spec.Flags),
	}

	if route.Table == 0 {
		route.Table = unix.RT_TABLE_MAIN
	}

	if !spec.Destination.IsValid() {
		route.Dst = toNet(unspecified(spec.Family))
	}

	if spec.OutLinkName != "" {
		link := find(links, spec.OutLinkName)
		if link == nil || link.Attrs().RawFlags&unix.IFF_UP == 0 {
			return nil, false
		}

		route.LinkIndex = link.Attrs().Index
	}

	return route, true
}

// replace adds a route unless it is there; one with the same identity that is
// different otherwise goes.
func (r routes) replace(present []netlink.Route, wanted *netlink.Route) error {
	for i := range present {
		p := &present[i]
		if !same(p, wanted) {
			continue
		}

		if p.MTU == wanted.MTU && p.Type == wanted.Type && p.Protocol == wanted.Protocol && (wanted.Src == nil || p.Src.Equal(wanted.Src)) {
			return nil
		}

		if err := r.kernel.DeleteRoute(p); err != nil {
			return err
		}
	}

	return r.kernel.AddRoute(wanted)
}

// same reports whether two routes have the same identity. The kernel has IPv6
// routes without a way on the loopback link.
func same(p, wanted *netlink.Route) bool {
	return p.Family == wanted.Family && p.Table == wanted.Table && p.Priority == wanted.Priority &&
		fromNet(p.Dst) == fromNet(wanted.Dst) && p.Gw.Equal(wanted.Gw) &&
		(p.LinkIndex == wanted.LinkIndex || wanted.LinkIndex == 0) &&
		(p.Type == wanted.Type || p.Type == unix.RTN_UNICAST)
}

func (r routes) undo(spec network.RouteSpec, _ []network.RouteSpec) error {
	links, err := r.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	// With its link, a route has gone.
	route, ok := r.route(links, spec)
	if !ok {
		return nil
	}

	return r.kernel.DeleteRoute(route)
}
