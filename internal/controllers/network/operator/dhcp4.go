package operator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
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
)

// DHCP4 is an operator: a client of DHCP for IPv4.
func DHCP4(ctx context.Context, task Task) {
	for ctx.Err() == nil {
		err := lease4(ctx, task)

		// Without a lease, what it said does not hold.
		task.Publish(layer.Specs{})

		if ctx.Err() == nil {
			task.Logger.Warn("asking for an address", "error", err)
			pause(ctx, task.Clock, retryDHCP)
		}
	}
}

// lease4 gets an address and keeps it as long as a server allows.
func lease4(ctx context.Context, task Task) error {
	client, err := nclient4.New(task.Spec.LinkName)
	if err != nil {
		return fmt.Errorf("opening %s: %w", task.Spec.LinkName, err)
	}

	options, err := options4(task.Spec.DHCP4, client.InterfaceAddr(), task.Hostname())
	if err != nil {
		return errors.Join(err, client.Close())
	}

	lease, err := client.Request(ctx, options...)
	if err := errors.Join(err, client.Close()); err != nil {
		return err
	}

	ack := lease.ACK

	t, err := take4(task, ack)
	if err != nil {
		return err
	}

	return hold(ctx, task.Clock, t, func(ctx context.Context, rebinding bool) (times, error) {
		answer, err := renew4(ctx, task.Spec.LinkName, ack, rebinding, options)
		if err != nil {
			task.Logger.Info("prolonging the lease", "error", err)

			return times{}, err
		}

		// Some servers leave out what they have said before.
		if answer.SubnetMask() == nil {
			answer.UpdateOption(dhcpv4.OptSubnetMask(ack.SubnetMask()))
		}

		ack = answer

		return take4(task, ack)
	})
}

// take4 publishes what a server says, and returns the times of the lease.
func take4(task Task, ack *dhcpv4.DHCPv4) (times, error) {
	found, err := fromACK(task.Spec, ack)
	if err != nil {
		return times{}, fmt.Errorf("%w: %w", errRefused, err)
	}

	task.Publish(found)

	return timesOf(task.Clock.Now(), ack.IPAddressRenewalTime(0), ack.IPAddressRebindingTime(0), ack.IPAddressLeaseTime(defaultLease)), nil
}

// renew4 has a lease prolonged: by the server that gave it, which is asked like
// any other server of the network, or by whoever hears.
func renew4(
	ctx context.Context, link string, ack *dhcpv4.DHCPv4, rebinding bool, options []dhcpv4.Modifier,
) (*dhcpv4.DHCPv4, error) {
	client, server, err := prolonging4(ctx, link, ack, rebinding)
	if err != nil {
		return nil, err
	}
	defer client.Close()

	request, err := dhcpv4.NewRenewFromAck(ack, options...)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}

	answer, err := client.SendAndRead(ctx, server, request,
		nclient4.IsMessageType(dhcpv4.MessageTypeAck, dhcpv4.MessageTypeNak))
	if err != nil {
		return nil, fmt.Errorf("asking %s: %w", server.IP, err)
	}

	if answer.MessageType() == dhcpv4.MessageTypeNak {
		return nil, errRefused
	}

	return answer, nil
}

func prolonging4(ctx context.Context, link string, ack *dhcpv4.DHCPv4, rebinding bool) (*nclient4.Client, *net.UDPAddr, error) {
	server := ack.ServerIdentifier()

	if rebinding || server == nil {
		client, err := nclient4.New(link)
		if err != nil {
			return nil, nil, fmt.Errorf("opening %s: %w", link, err)
		}

		return client, &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ServerPort}, nil
	}

	listen := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		var bound error

		err := conn.Control(func(fd uintptr) {
			bound = errors.Join(unix.BindToDevice(int(fd), link), unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1))
		})

		return errors.Join(err, bound)
	}}
	own := net.UDPAddr{IP: ack.YourIPAddr, Port: dhcpv4.ClientPort}

	conn, err := listen.ListenPacket(ctx, "udp4", own.String())
	if err != nil {
		return nil, nil, fmt.Errorf("listening at %s: %w", own.IP, err)
	}

	client, err := nclient4.NewWithConn(conn, ack.ClientHWAddr)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("listening at %s: %w", own.IP, err), conn.Close())
	}

	return client, &net.UDPAddr{IP: server, Port: dhcpv4.ServerPort}, nil
}

// options4 are what the client says and asks for. It tells the server its name,
// if it has one that no server gave it.
func options4(spec network.DHCP4OperatorSpec, mac net.HardwareAddr, hostname string) ([]dhcpv4.Modifier, error) {
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

	options := []dhcpv4.Modifier{
		dhcpv4.WithRequestedOptions(ask...), dhcpv4.WithOption(dhcpv4.OptMaxMessageSize(nclient4.MaxMessageSize)),
	}

	if hostname != "" {
		options = append(options, dhcpv4.WithOption(dhcpv4.OptHostName(hostname)))
	}

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
