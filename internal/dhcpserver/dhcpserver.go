// Package dhcpserver answers DHCP for IPv4 on a network whose addresses were
// planned beforehand: each hardware address has its lease, everyone else gets
// no answer. There is no pool and nothing to remember.
package dhcpserver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
)

// Lease is what one client is told about itself.
type Lease struct {
	MAC     net.HardwareAddr
	Address netip.Addr
	// Hostname is left out when it is empty.
	Hostname string
}

// Config is what all clients are told.
type Config struct {
	// Server is the address of this server in the network.
	Server netip.Addr
	// Network is the range of addresses; its mask is told.
	Network     netip.Prefix
	Router      netip.Addr // the default route; none when it is not valid
	Resolvers   []netip.Addr
	TimeServers []netip.Addr
	MTU         uint16        // 0 is not told
	Duration    time.Duration // of leases; whole seconds are told
	Leases      []Lease
}

// Serve answers on a link until ctx ends.
func Serve(ctx context.Context, link string, config Config, logger *slog.Logger) error {
	conn, err := server4.NewIPv4UDPConn(link, &net.UDPAddr{IP: net.IPv4zero, Port: dhcpv4.ServerPort})
	if err != nil {
		return fmt.Errorf("listening for DHCP on %s: %w", link, err)
	}
	defer conn.Close() //nolint:errcheck // nothing is lost

	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // ends the reading
	defer stop()

	buffer := make([]byte, 1<<16)

	for {
		n, _, err := conn.ReadFrom(buffer)

		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			return fmt.Errorf("reading DHCP from %s: %w", link, err)
		}

		answer, to := config.answerBytes(buffer[:n])
		if answer == nil {
			continue
		}

		logger.Info("DHCP answer", "type", answer.MessageType(), "client", answer.ClientHWAddr, "address", answer.YourIPAddr)

		// A link without a carrier takes nothing; the client asks again.
		if _, err := conn.WriteTo(answer.ToBytes(), to); err != nil && ctx.Err() == nil {
			logger.Warn("sending a DHCP answer", "client", answer.ClientHWAddr, "error", err)
		}
	}
}

// answerBytes reads a packet and returns the answer with its receiver, or nil
// when there is nothing to answer.
func (c Config) answerBytes(packet []byte) (*dhcpv4.DHCPv4, net.Addr) {
	request, err := dhcpv4.FromBytes(packet)
	if err != nil {
		return nil, nil
	}

	answer := c.Answer(request)
	if answer == nil {
		return nil, nil
	}

	to := &net.UDPAddr{IP: net.IPv4bcast, Port: dhcpv4.ClientPort}
	if known(request.ClientIPAddr) && answer.MessageType() != dhcpv4.MessageTypeNak {
		to.IP = request.ClientIPAddr
	}

	return answer, to
}

// Answer returns the answer to a request, or nil when there is none: for
// clients without a lease, for requests to other servers or by relays, and for
// what needs no answer.
func (c Config) Answer(request *dhcpv4.DHCPv4) *dhcpv4.DHCPv4 {
	lease, ok := c.lease(request.ClientHWAddr)
	if !ok || request.OpCode != dhcpv4.OpcodeBootRequest || known(request.GatewayIPAddr) {
		return nil
	}

	kind := dhcpv4.MessageTypeAck
	own := lease.Address.AsSlice()

	switch request.MessageType() {
	case dhcpv4.MessageTypeDiscover:
		kind = dhcpv4.MessageTypeOffer
	case dhcpv4.MessageTypeRequest:
		if server := request.ServerIdentifier(); known(server) && !server.Equal(c.Server.AsSlice()) {
			return nil
		}

		wanted := request.RequestedIPAddress()
		if !known(wanted) {
			wanted = request.ClientIPAddr
		}

		if !wanted.Equal(own) {
			return c.reply(request, dhcpv4.WithMessageType(dhcpv4.MessageTypeNak))
		}
	case dhcpv4.MessageTypeInform:
		own = net.IPv4zero
	default:
		return nil
	}

	modifiers := append(c.options(lease), dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(own))

	if kind == dhcpv4.MessageTypeOffer || known(own) {
		modifiers = append(modifiers, dhcpv4.WithLeaseTime(uint32(c.Duration.Seconds())))
	}

	return c.reply(request, modifiers...)
}

func (c Config) reply(request *dhcpv4.DHCPv4, modifiers ...dhcpv4.Modifier) *dhcpv4.DHCPv4 {
	modifiers = append(modifiers, dhcpv4.WithOption(dhcpv4.OptServerIdentifier(c.Server.AsSlice())))

	answer, err := dhcpv4.NewReplyFromRequest(request, modifiers...)
	if err != nil {
		return nil // the request has no hardware address that fits
	}

	return answer
}

func (c Config) lease(mac net.HardwareAddr) (Lease, bool) {
	for _, lease := range c.Leases {
		if bytes.Equal(lease.MAC, mac) {
			return lease, true
		}
	}

	return Lease{}, false
}

// options are what a client is told beside its address.
func (c Config) options(lease Lease) []dhcpv4.Modifier {
	modifiers := []dhcpv4.Modifier{dhcpv4.WithNetmask(net.CIDRMask(c.Network.Bits(), c.Network.Addr().BitLen()))}

	add := func(option dhcpv4.Option) { modifiers = append(modifiers, dhcpv4.WithOption(option)) }

	if c.Router.IsValid() {
		add(dhcpv4.OptRouter(c.Router.AsSlice()))
	}

	if len(c.Resolvers) > 0 {
		add(dhcpv4.OptDNS(slicesOf(c.Resolvers)...))
	}

	if len(c.TimeServers) > 0 {
		add(dhcpv4.OptNTPServers(slicesOf(c.TimeServers)...))
	}

	if lease.Hostname != "" {
		add(dhcpv4.OptHostName(lease.Hostname))
	}

	if c.MTU > 0 {
		add(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, dhcpv4.Uint16(c.MTU).ToBytes()))
	}

	return modifiers
}

func slicesOf(addresses []netip.Addr) []net.IP {
	list := make([]net.IP, len(addresses))
	for i, address := range addresses {
		list[i] = address.AsSlice()
	}

	return list
}

// known says whether an address of a packet is set.
func known(ip net.IP) bool { return len(ip) > 0 && !ip.IsUnspecified() }
