// Package network has the controllers of a node's network: they observe links,
// addresses, routes and rules, choose the node's own addresses and names, and
// run the node's DNS server.
package network

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"
)

// Kernel is the part of the kernel's network that the controllers read and
// change.
type Kernel interface {
	Links() ([]netlink.Link, error)
	Addresses() ([]netlink.Addr, error)
	Routes() ([]netlink.Route, error)
	Rules() ([]netlink.Rule, error)
	// AddAddress gives a link an address; one that is there is no error.
	AddAddress(link string, address netip.Prefix) error
	// Watch calls notify after every change of links, addresses or routes,
	// until ctx ends.
	Watch(ctx context.Context, notify func()) error
}

// Netlink is the Kernel of the network namespace that the process is in.
type Netlink struct{}

// Links implements Kernel.
func (Netlink) Links() ([]netlink.Link, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("listing links: %w", err)
	}

	return links, nil
}

// Addresses implements Kernel.
func (Netlink) Addresses() ([]netlink.Addr, error) {
	addresses, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing addresses: %w", err)
	}

	return addresses, nil
}

// Routes implements Kernel.
func (Netlink) Routes() ([]netlink.Route, error) {
	// A filter on table 0 lists the routes of all tables.
	routes, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("listing routes: %w", err)
	}

	return routes, nil
}

// Rules implements Kernel.
func (Netlink) Rules() ([]netlink.Rule, error) {
	rules, err := netlink.RuleList(netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("listing routing rules: %w", err)
	}

	return rules, nil
}

// AddAddress implements Kernel.
func (Netlink) AddAddress(link string, address netip.Prefix) error {
	l, err := netlink.LinkByName(link)
	if err != nil {
		return fmt.Errorf("finding link %s: %w", link, err)
	}

	a, err := netlink.ParseAddr(address.String())
	if err != nil {
		return fmt.Errorf("adding address %s: %w", address, err)
	}

	if err := netlink.AddrReplace(l, a); err != nil {
		return fmt.Errorf("adding address %s to %s: %w", address, link, err)
	}

	return nil
}

// Watch implements Kernel.
func (Netlink) Watch(ctx context.Context, notify func()) error {
	links := make(chan netlink.LinkUpdate, 16)
	addresses := make(chan netlink.AddrUpdate, 16)
	routes := make(chan netlink.RouteUpdate, 64)
	done := make(chan struct{})

	defer close(done)

	if err := netlink.LinkSubscribe(links, done); err != nil {
		return fmt.Errorf("watching links: %w", err)
	}

	if err := netlink.AddrSubscribe(addresses, done); err != nil {
		return fmt.Errorf("watching addresses: %w", err)
	}

	if err := netlink.RouteSubscribe(routes, done); err != nil {
		return fmt.Errorf("watching routes: %w", err)
	}

	// What changed between the first look and the subscription.
	notify()

	for {
		ok := true

		select {
		case <-ctx.Done():
			return nil
		case _, ok = <-links:
		case _, ok = <-addresses:
		case _, ok = <-routes:
		}

		if !ok {
			return fmt.Errorf("watching the kernel's network: the subscription ended")
		}

		notify()
	}
}
