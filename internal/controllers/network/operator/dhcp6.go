package operator

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/dhcpv6/nclient6"
	"github.com/insomniacslk/dhcp/iana"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// retryLinkLocal is the pause while the link has no address of its own yet: the
// kernel looks for a second or two whether another machine has it.
const retryLinkLocal = time.Second

// defaultRefresh is for how long names count that come without an address and
// without a time.
const defaultRefresh = 24 * time.Hour

// DHCP6 is an operator: a client of DHCP for IPv6. Routes are not its business:
// routers announce them.
func DHCP6(ctx context.Context, task Task) {
	for ctx.Err() == nil {
		err := lease6(ctx, task)

		// Without a lease, what it said does not hold.
		task.Publish(layer.Specs{})

		wait := retryDHCP
		if errors.Is(err, errNotYet) {
			wait = retryLinkLocal
		} else if ctx.Err() == nil {
			task.Logger.Warn("asking for an address", "error", err)
		}

		pause(ctx, task.Clock, wait)
	}
}

// errNotYet says that the link has no address to ask from.
var errNotYet = errors.New("the link has no address of its own yet")

// lease6 gets addresses and keeps them as long as a server allows.
func lease6(ctx context.Context, task Task) error {
	link := task.Spec.LinkName

	client, err := open6(link)
	if err != nil {
		return err
	}
	defer client.Close()

	who, err := client6(task.Spec.DHCP6, client.InterfaceAddr(), task.Hostname())
	if err != nil {
		return err
	}

	reply, err := client.RapidSolicit(ctx, who.modifiers()...)
	if err != nil {
		// Some servers have no addresses, only names.
		var named error
		if reply, named = renew6(ctx, client, who, &dhcpv6.Message{}, false); named != nil {
			return err
		}
	}

	t, err := take6(task, reply)
	if err != nil {
		return err
	}

	return hold(ctx, task.Clock, t, func(ctx context.Context, rebinding bool) (times, error) {
		answer, err := renew6(ctx, client, who, reply, rebinding)
		if err != nil {
			task.Logger.Info("prolonging the lease", "error", err)

			return times{}, err
		}

		reply = answer

		return take6(task, reply)
	})
}

// open6 makes a client that asks from the link's own address.
func open6(name string) (*nclient6.Client, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", name, err)
	}

	addresses, err := link.Addrs()
	if err != nil {
		return nil, fmt.Errorf("listing the addresses of %s: %w", name, err)
	}

	for _, a := range addresses {
		own, ok := a.(*net.IPNet)
		if !ok || own.IP.To4() != nil || !own.IP.IsLinkLocalUnicast() {
			continue
		}

		// By number: package net remembers the numbers of names for a while.
		conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: own.IP, Port: dhcpv6.DefaultClientPort, Zone: strconv.Itoa(link.Index)})
		if errors.Is(err, unix.EADDRNOTAVAIL) {
			return nil, errNotYet
		}

		if err != nil {
			return nil, fmt.Errorf("listening at %s: %w", own.IP, err)
		}

		client, err := nclient6.NewWithConn(conn, link.HardwareAddr)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("listening at %s: %w", own.IP, err), conn.Close())
		}

		return client, nil
	}

	return nil, errNotYet
}

// identity6 is what the client says of itself, in all of its messages.
type identity6 struct {
	duid     dhcpv6.DUID
	iaid     [4]byte // of the link, among the client's
	hostname string
	names    bool // whether to ask for a hostname
}

func client6(spec network.DHCP6OperatorSpec, mac net.HardwareAddr, hostname string) (identity6, error) {
	who := identity6{
		duid: &dhcpv6.DUIDLL{HWType: iana.HWTypeEthernet, LinkLayerAddr: mac}, hostname: hostname, names: !spec.SkipHostnameRequest,
	}

	if len(mac) >= len(who.iaid) {
		copy(who.iaid[:], mac[len(mac)-len(who.iaid):])
	}

	if spec.ClientIdentifier.ClientIdentifier == network.ClientIdentifierDUID {
		raw, err := hex.DecodeString(spec.ClientIdentifier.DUIDRawHex)
		if err != nil {
			return who, fmt.Errorf("reading the DUID: %w", err)
		}

		if who.duid, err = dhcpv6.DUIDFromBytes(raw); err != nil {
			return who, fmt.Errorf("reading the DUID: %w", err)
		}
	}

	return who, nil
}

// modifiers are the options of messages.
func (w identity6) modifiers() []dhcpv6.Modifier {
	ask := []dhcpv6.OptionCode{
		dhcpv6.OptionDNSRecursiveNameServer, dhcpv6.OptionDomainSearchList, dhcpv6.OptionNTPServer, dhcpv6.OptionSNTPServerList,
	}
	if w.names {
		ask = append(ask, dhcpv6.OptionFQDN)
	}

	out := []dhcpv6.Modifier{dhcpv6.WithClientID(w.duid), dhcpv6.WithIAID(w.iaid), dhcpv6.WithRequestedOptions(ask...)}
	if w.hostname != "" {
		out = append(out, dhcpv6.WithFQDN(0, w.hostname))
	}

	return out
}

// renew6 has a lease prolonged: by the server that gave it, or by whoever hears.
func renew6(
	ctx context.Context, client *nclient6.Client, who identity6, reply *dhcpv6.Message, rebinding bool,
) (*dhcpv6.Message, error) {
	request, err := dhcpv6.NewMessage()
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}

	switch lease := reply.Options.OneIANA(); {
	case lease == nil:
		// There is no lease, only names, which anybody may tell.
		request.MessageType = dhcpv6.MessageTypeInformationRequest
	case rebinding:
		request.MessageType = dhcpv6.MessageTypeRebind
		request.AddOption(lease)
	default:
		request.MessageType = dhcpv6.MessageTypeRenew
		request.AddOption(dhcpv6.OptServerID(reply.Options.ServerID()))
		request.AddOption(lease)
	}

	for _, modify := range who.modifiers() {
		if request.MessageType != dhcpv6.MessageTypeInformationRequest {
			modify(request)

			continue
		}

		modify(request)
		request.Options.Del(dhcpv6.OptionIANA)
	}

	request.AddOption(dhcpv6.OptElapsedTime(0))

	answer, err := client.SendAndRead(ctx, client.RemoteAddr(), request, nclient6.IsMessageType(dhcpv6.MessageTypeReply))
	if err != nil {
		return nil, fmt.Errorf("sending %s: %w", request.MessageType, err)
	}

	return answer, nil
}

// take6 publishes what a server says, and returns the times of the lease.
func take6(task Task, reply *dhcpv6.Message) (times, error) {
	found, err := fromReply(task.Spec, reply)
	if err != nil {
		return times{}, fmt.Errorf("%w: %w", errRefused, err)
	}

	task.Publish(found)

	now := task.Clock.Now()

	lease := reply.Options.OneIANA()
	if lease == nil {
		refresh := reply.Options.InformationRefreshTime(defaultRefresh)

		return timesOf(now, refresh, 0, 2*refresh), nil
	}

	length := time.Duration(0)
	for _, a := range lease.Options.Addresses() {
		length = max(length, a.ValidLifetime)
	}

	return timesOf(now, lease.T1, lease.T2, length), nil
}

// fromReply is what a server says, as specs.
func fromReply(spec network.OperatorSpec, reply *dhcpv6.Message) (layer.Specs, error) {
	var out layer.Specs

	if status := reply.Options.Status(); status != nil && status.StatusCode != iana.StatusSuccess {
		return out, fmt.Errorf("the server answered %s", status.StatusCode)
	}

	if lease := reply.Options.OneIANA(); lease != nil {
		if status := lease.Options.Status(); status != nil && status.StatusCode != iana.StatusSuccess {
			return out, fmt.Errorf("the server answered %s", status.StatusCode)
		}

		for _, a := range lease.Options.Addresses() {
			own, ok := netip.AddrFromSlice(a.IPv6Addr)
			// An address that ends now is one that is taken back.
			if !ok || !own.IsGlobalUnicast() || a.ValidLifetime == 0 {
				continue
			}

			out.Addresses = append(out.Addresses, network.AddressSpec{
				Address: netip.PrefixFrom(own, own.BitLen()), LinkName: spec.LinkName, Family: network.FamilyInet6,
				Scope: network.ScopeGlobal, Flags: network.AddressFlagPermanent, Priority: spec.DHCP6.RouteMetric,
			})
		}

		if len(out.Addresses) == 0 {
			return out, errors.New("found no address in the server's answer")
		}
	}

	names6(spec, reply, &out)

	return out, nil
}

// names6 are names and servers that a server tells of.
func names6(spec network.OperatorSpec, reply *dhcpv6.Message, out *layer.Specs) {
	var resolver network.ResolverSpec

	for _, ip := range reply.Options.DNS() {
		if a, ok := netip.AddrFromSlice(ip); ok {
			resolver.DNSServers = append(resolver.DNSServers, a)
		}
	}

	if search := reply.Options.DomainSearchList(); search != nil {
		resolver.SearchDomains = search.Labels
	}

	if len(resolver.DNSServers)+len(resolver.SearchDomains) > 0 {
		out.Resolvers = []network.ResolverSpec{resolver}
	}

	if servers := append(reply.Options.NTPServers(), reply.Options.SNTP()...); len(servers) > 0 {
		var times network.TimeServerSpec
		for _, ip := range servers {
			times.NTPServers = append(times.NTPServers, ip.String())
		}

		out.TimeServers = []network.TimeServerSpec{times}
	}

	name := reply.Options.FQDN()
	if spec.DHCP6.SkipHostnameRequest || name == nil || name.DomainName == nil || len(name.DomainName.Labels) == 0 {
		return
	}

	if host, domain, _ := strings.Cut(strings.TrimSuffix(name.DomainName.Labels[0], "."), "."); host != "" {
		out.Hostnames = []network.HostnameSpec{{Hostname: host, Domainname: domain}}
	}
}
