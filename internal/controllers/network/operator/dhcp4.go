package operator

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/nclient4"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
)

const (
	// retryDHCP is the pause after servers did not answer.
	retryDHCP = 5 * time.Second
	// defaultLease is for how long an address counts when the server does not
	// say.
	defaultLease = 30 * time.Minute
	// shortestRenewal keeps a server from being asked all the time.
	shortestRenewal = 5 * time.Second
)

// DHCP4 is an operator: a client of DHCP for IPv4.
func DHCP4(ctx context.Context, logger *slog.Logger, spec network.OperatorSpec, publish func(layer.Specs)) {
	for ctx.Err() == nil {
		err := lease4(ctx, spec, publish)
		if ctx.Err() != nil {
			return
		}

		logger.Warn("asking for an address", "error", err)
		wait(ctx, retryDHCP)
	}
}

// wait waits for a time or the end of ctx.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()

	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// lease4 gets an address and keeps it as long as the server allows.
func lease4(ctx context.Context, spec network.OperatorSpec, publish func(layer.Specs)) error {
	client, err := nclient4.New(spec.LinkName)
	if err != nil {
		return fmt.Errorf("opening %s: %w", spec.LinkName, err)
	}
	defer client.Close()

	options, err := options4(spec.DHCP4, client.InterfaceAddr())
	if err != nil {
		return err
	}

	lease, err := client.Request(ctx, options...)
	if err != nil {
		return err
	}

	for {
		found, err := fromACK(spec, lease.ACK)
		if err != nil {
			publish(layer.Specs{})

			return err
		}

		publish(found)

		expiry := lease.CreationTime.Add(lease.ACK.IPAddressLeaseTime(defaultLease))
		wait(ctx, max(shortestRenewal, lease.ACK.IPAddressRenewalTime(time.Until(expiry)/2)))

		// Ask more often as the end comes near.
		for {
			if ctx.Err() != nil {
				return ctx.Err()
			}

			renewed, err := client.Renew(ctx, lease, options...)
			if err == nil {
				lease = renewed

				break
			}

			left := time.Until(expiry)
			if left <= 0 {
				publish(layer.Specs{})

				return fmt.Errorf("renewing the lease: %w", err)
			}

			wait(ctx, min(left, max(shortestRenewal, left/4)))
		}
	}
}

// options4 are what the client says and asks for.
func options4(spec network.DHCP4OperatorSpec, mac net.HardwareAddr) ([]dhcpv4.Modifier, error) {
	ask := []dhcpv4.OptionCode{
		dhcpv4.OptionSubnetMask, dhcpv4.OptionDomainNameServer, dhcpv4.OptionDNSDomainSearchList, dhcpv4.OptionNTPServers,
		dhcpv4.OptionDomainName, dhcpv4.OptionInterfaceMTU,
	}

	if !spec.SkipRoutes {
		ask = append(ask, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionRouter)
	}

	if !spec.SkipHostnameRequest {
		ask = append(ask, dhcpv4.OptionHostName)
	}

	options := []dhcpv4.Modifier{dhcpv4.WithRequestedOptions(ask...)}

	switch spec.ClientIdentifier.ClientIdentifier {
	case network.ClientIdentifierMAC:
		// A hardware address begins with its type.
		id := append([]byte{unix.ARPHRD_ETHER}, mac...)
		options = append(options, dhcpv4.WithOption(dhcpv4.OptClientIdentifier(id)))
	case network.ClientIdentifierDUID:
		duid, err := hex.DecodeString(spec.ClientIdentifier.DUIDRawHex)
		if err != nil {
			return nil, fmt.Errorf("reading the DUID: %w", err)
		}

		options = append(options, dhcpv4.WithOption(dhcpv4.OptClientIdentifier(duid)))
	}

	return options, nil
}

// fromACK is what a server says, as specs.
func fromACK(spec network.OperatorSpec, ack *dhcpv4.DHCPv4) (layer.Specs, error) {
	var out layer.Specs

	own, ok := toAddr(ack.YourIPAddr)
	if !ok || own.IsUnspecified() {
		return out, fmt.Errorf("found address %s in the server's answer, expected an IPv4 address", ack.YourIPAddr)
	}

	mask := ack.SubnetMask()
	if mask == nil {
		mask = net.CIDRMask(32, 32)
	}

	bits, size := mask.Size()
	if size != 32 {
		return out, fmt.Errorf("found netmask %s in the server's answer, expected ones and then zeros", mask)
	}

	prefix := netip.PrefixFrom(own, bits)
	out.Addresses = []network.AddressSpec{{
		Address: prefix, LinkName: spec.LinkName, Family: network.FamilyInet4, Scope: network.ScopeGlobal,
		Flags: network.AddressFlagPermanent, Priority: spec.DHCP4.RouteMetric,
	}}
	out.Links = mtu4(spec, ack)

	if !spec.DHCP4.SkipRoutes {
		out.Routes = routes4(spec, ack, prefix)
	}

	if name := ack.HostName(); name != "" && !spec.DHCP4.SkipHostnameRequest {
		out.Hostnames = []network.HostnameSpec{{Hostname: name, Domainname: ack.DomainName()}}
	}

	var resolver network.ResolverSpec

	for _, ip := range ack.DNS() {
		if a, ok := toAddr(ip); ok {
			resolver.DNSServers = append(resolver.DNSServers, a)
		}
	}

	if search := ack.DomainSearch(); search != nil {
		resolver.SearchDomains = search.Labels
	}

	if len(resolver.DNSServers)+len(resolver.SearchDomains) > 0 {
		out.Resolvers = []network.ResolverSpec{resolver}
	}

	if servers := ack.NTPServers(); len(servers) > 0 {
		var times network.TimeServerSpec
		for _, ip := range servers {
			times.NTPServers = append(times.NTPServers, ip.String())
		}

		out.TimeServers = []network.TimeServerSpec{times}
	}

	return out, nil
}

// mtu4 is the link as the server wants it.
func mtu4(spec network.OperatorSpec, ack *dhcpv4.DHCPv4) []network.LinkSpec {
	mtu, err := dhcpv4.GetUint16(dhcpv4.OptionInterfaceMTU, ack.Options)
	if err != nil || mtu < 576 {
		return nil
	}

	return []network.LinkSpec{{Name: spec.LinkName, Up: true, MTU: uint32(mtu)}}
}

// routes4 are the routes that a server names; routers count only without them.
func routes4(spec network.OperatorSpec, ack *dhcpv4.DHCPv4, own netip.Prefix) []network.RouteSpec {
	var out []network.RouteSpec

	add := func(destination netip.Prefix, gateway netip.Addr) {
		route := network.RouteSpec{
			Family: network.FamilyInet4, Source: own.Addr(), OutLinkName: spec.LinkName, Table: network.RoutingTableMain,
			Priority: spec.DHCP4.RouteMetric, Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolDHCP,
		}

		if destination.Bits() > 0 {
			route.Destination = destination
		}

		// No gateway: what is there is on the link.
		if gateway.IsUnspecified() {
			route.Scope = network.ScopeLink
		} else {
			route.Gateway = gateway
		}

		out = append(out, route)
	}

	for _, r := range ack.ClasslessStaticRoute() {
		gateway, ok := toAddr(r.Router)
		destination, valid := toAddr(r.Dest.IP)
		bits, size := r.Dest.Mask.Size()

		if ok && valid && size == 32 {
			add(netip.PrefixFrom(destination, bits).Masked(), gateway)
		}
	}

	if len(out) > 0 {
		return out
	}

	for _, ip := range ack.Router() {
		gateway, ok := toAddr(ip)
		if !ok || gateway.IsUnspecified() {
			continue
		}

		// A router outside the network is on the link all the same.
		if !own.Contains(gateway) {
			add(netip.PrefixFrom(gateway, 32), netip.IPv4Unspecified())
		}

		add(netip.Prefix{}, gateway)
	}

	return out
}

func toAddr(ip net.IP) (netip.Addr, bool) {
	a, ok := netip.AddrFromSlice(ip)
	a = a.Unmap()

	return a, ok && a.Is4()
}
