package apply

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/resources/network"
)

type addresses struct{ kernel Kernel }

func (a addresses) apply(specs []network.AddressSpec) error {
	links, err := a.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	present, err := a.kernel.Addresses()
	if err != nil {
		return fmt.Errorf("listing addresses: %w", err)
	}

	routes, err := a.kernel.Routes()
	if err != nil {
		return fmt.Errorf("listing routes: %w", err)
	}

	var errs []error

	for _, spec := range specs {
		link := find(links, spec.LinkName)
		if link == nil || (has(present, link, spec) && routed(routes, link, spec)) {
			continue
		}

		if err := a.add(link, spec); err != nil {
			errs = append(errs, fmt.Errorf("adding address %s to %s: %w", spec.Address, spec.LinkName, err))
		}
	}

	return errors.Join(errs...)
}

func has(present []netlink.Addr, link netlink.Link, spec network.AddressSpec) bool {
	for _, p := range present {
		if p.LinkIndex == link.Attrs().Index && p.IPNet != nil && fromNet(p.IPNet) == spec.Address {
			return true
		}
	}

	return false
}

// routed reports whether the route to the network of an address is there, or
// is the kernel's business, or cannot be yet. It goes when the link goes down.
func routed(routes []netlink.Route, link netlink.Link, spec network.AddressSpec) bool {
	if spec.Priority == 0 || link.Attrs().RawFlags&unix.IFF_UP == 0 {
		return true
	}

	wanted := networkRoute(link, spec)

	return slices.ContainsFunc(routes, func(r netlink.Route) bool { return same(&r, wanted) })
}

func (a addresses) add(link netlink.Link, spec network.AddressSpec) error {
	address := &netlink.Addr{IPNet: toNet(spec.Address), Scope: int(spec.Scope), Flags: int(spec.Flags &^ network.AddressFlagPermanent)}

	// The kernel's own route to the network cannot be given a metric here.
	if spec.Priority != 0 {
		address.Flags |= unix.IFA_F_NOPREFIXROUTE
	}

	if err := a.kernel.AddAddress(link, address); err != nil {
		return err
	}

	if spec.Priority == 0 || link.Attrs().RawFlags&unix.IFF_UP == 0 {
		return nil
	}

	return a.kernel.AddRoute(networkRoute(link, spec))
}

// networkRoute is the route to the network that an address is in.
func networkRoute(link netlink.Link, spec network.AddressSpec) *netlink.Route {
	route := &netlink.Route{
		LinkIndex: link.Attrs().Index, Dst: toNet(spec.Address.Masked()), Priority: int(spec.Priority),
		Protocol: unix.RTPROT_KERNEL, Table: unix.RT_TABLE_MAIN, Family: int(spec.Family),
	}

	if spec.Family == network.FamilyInet4 {
		route.Scope, route.Src = unix.RT_SCOPE_LINK, toIP(spec.Address.Addr())
	}

	return route
}

func (a addresses) undo(spec network.AddressSpec, others []network.AddressSpec) error {
	links, err := a.kernel.Links()
	if err != nil {
		return fmt.Errorf("listing links: %w", err)
	}

	link := find(links, spec.LinkName)
	if link == nil {
		return nil
	}

	// Under another name of the link, the address stays.
	for _, other := range others {
		if other.Address == spec.Address && other.Priority == spec.Priority && sameLink(links, other.LinkName, spec.LinkName) {
			return nil
		}
	}

	if spec.Priority != 0 {
		if err := a.kernel.DeleteRoute(networkRoute(link, spec)); err != nil {
			return err
		}
	}

	return a.kernel.DeleteAddress(link, &netlink.Addr{IPNet: toNet(spec.Address)})
}
