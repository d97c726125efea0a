// Package network has the controllers of a node's network: they observe links,
// addresses, routes and rules, choose the node's own addresses and names, and
// run the node's DNS server.
package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	rawnetlink "github.com/mdlayher/netlink"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/resources/network"
)

// Kernel is the part of the kernel's network that the controllers read and
// change.
type Kernel interface {
	Links() ([]netlink.Link, error)
	Addresses() ([]netlink.Addr, error)
	Routes() ([]netlink.Route, error)
	Rules() ([]netlink.Rule, error)
	// QueueDisciplines are the names of the links' queue disciplines, by index.
	QueueDisciplines() (map[int]string, error)
	// Describe adds to a status what the kernel's list of links does not have:
	// what an adapter says of itself, and the peers of a tunnel.
	Describe(link netlink.Link, into *network.LinkStatus) error
	// AddAddress gives a link an address; one that is there is no error.
	AddAddress(link string, address netip.Prefix) error
	// Watch calls notify after every change of links, addresses, routes or
	// rules, until ctx ends.
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

// QueueDisciplines implements Kernel.
func (Netlink) QueueDisciplines() (map[int]string, error) {
	found, err := netlink.QdiscList(nil)
	if err != nil {
		return nil, fmt.Errorf("listing queue disciplines: %w", err)
	}

	out := map[int]string{}

	for _, q := range found {
		if q.Attrs().Parent == netlink.HANDLE_ROOT {
			out[q.Attrs().LinkIndex] = q.Type()
		}
	}

	return out, nil
}

// Watch implements Kernel.
func (Netlink) Watch(ctx context.Context, notify func()) error {
	conn, err := rawnetlink.Dial(unix.NETLINK_ROUTE, nil)
	if err != nil {
		return fmt.Errorf("watching the kernel's network: %w", err)
	}
	defer conn.Close()

	for _, group := range []uint32{
		unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE,
		unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE,
	} {
		if err := conn.JoinGroup(group); err != nil {
			return fmt.Errorf("watching the kernel's network: %w", err)
		}
	}

	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()

	// What changed between the first look and the subscription.
	notify()

	for {
		// More than the socket can hold is a change as well.
		if _, err := conn.Receive(); err != nil && !errors.Is(err, unix.ENOBUFS) {
			if ctx.Err() != nil {
				return nil
			}

			return fmt.Errorf("watching the kernel's network: %w", err)
		}

		notify()
	}
}
