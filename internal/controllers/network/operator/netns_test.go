package operator

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/dhcpv6/server6"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// pair makes a pair of links that are up: "client", and, in a namespace of its
// own, "server" with the address 10.5.0.1. Their own IPv6 addresses are ready at
// once.
func pair(t *testing.T) *netnstest.Namespace {
	t.Helper()
	netnstest.Need(t)

	there := netnstest.New(t)

	attrs := netlink.NewLinkAttrs()
	attrs.Name = "client"
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "server"
	veth.PeerNamespace = netlink.NsFd(there.FD())

	there.Do(t, instantly)

	if err := errors.Join(instantly(), netlink.LinkAdd(veth)); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		if err := netlink.LinkDel(veth); err != nil {
			t.Error(err)
		}
	})

	there.Do(t, func() error { return errors.Join(up("server"), give("server", "10.5.0.1/24")) })

	if err := up("client"); err != nil {
		t.Fatal(err)
	}

	return there
}

// instantly has the kernel not look whether others have an address of a link
// that is made from now on.
func instantly() error {
	const path = "/proc/sys/net/ipv6/conf/default/accept_dad"

	if err := os.WriteFile(path, []byte("0"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	return nil
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}

	return netlink.LinkSetUp(link)
}

func give(name, address string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}

	a, err := netlink.ParseAddr(address)
	if err != nil {
		return err
	}

	return netlink.AddrReplace(link, a)
}

// run runs the manager of operators, on a link named client that is up.
func run(ctx context.Context, t *testing.T, clock Clock, spec network.OperatorSpec, run Run) *resource.Store {
	t.Helper()

	store := resource.NewStore()
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	engine := reconcile.NewEngine(store, logger)

	if err := engine.Register(New(logger, clock, map[network.Operator]Run{spec.Operator: run})); err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)

	go func() { done <- engine.Run(ctx) }()

	t.Cleanup(func() {
		stop()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	for _, object := range []resource.Object{
		resource.New(layer.OperatorID(spec), spec), resource.New("client", network.LinkStatus{LinkState: true}),
		resource.New(network.HostnameID, network.HostnameSpec{Hostname: "own"}),
	} {
		if err := store.Create(ctx, object, "test"); err != nil {
			t.Fatal(err)
		}
	}

	return store
}

func await[T resource.Spec](ctx context.Context, t *testing.T, store *resource.Store, id string, ok func(*resource.Resource[T]) bool) {
	t.Helper()

	if _, err := resource.WaitForIn(ctx, store, network.ConfigNamespaceName, id, ok); err != nil {
		t.Fatalf("waiting for %s: %v", id, err)
	}
}

func present[T resource.Spec](r *resource.Resource[T]) bool { return r != nil }
func absent[T resource.Spec](r *resource.Resource[T]) bool  { return r == nil }

// serve4 is a DHCP server. It tells of every request that it hears: how it came,
// and what the client calls itself.
func serve4(t *testing.T, there *netnstest.Namespace, heard chan<- string, refuse *atomic.Bool) {
	t.Helper()

	own := net.IPv4(10, 5, 0, 1)
	handle := func(conn net.PacketConn, from net.Addr, request *dhcpv4.DHCPv4) {
		kind := dhcpv4.MessageTypeOffer
		to := net.Addr(&net.UDPAddr{IP: net.IPv4bcast, Port: 68})

		if request.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck

			host, _, _ := net.SplitHostPort(from.String())
			how := "first"

			if !request.ClientIPAddr.IsUnspecified() {
				how = "from " + host
			}

			if host == request.ClientIPAddr.String() {
				to = from
			}

			if refuse.Load() {
				kind = dhcpv4.MessageTypeNak
			}

			heard <- how + " " + request.HostName()
		}

		reply, err := dhcpv4.NewReplyFromRequest(request, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(10, 5, 0, 2)),
			dhcpv4.WithServerIP(own), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(own)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
			dhcpv4.WithRouter(own), dhcpv4.WithOption(dhcpv4.OptHostName("leased")), dhcpv4.WithLeaseTime(3600))
		if err == nil {
			_, _ = conn.WriteTo(reply.ToBytes(), to)
		}
	}

	var server *server4.Server

	there.Do(t, func() (err error) {
		server, err = server4.NewServer("server", &net.UDPAddr{IP: net.IPv4zero, Port: 67}, handle)

		return err
	})

	done := make(chan struct{})

	go func() {
		defer close(done)

		_ = server.Serve()
	}()

	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

// ticks is a clock whose waits end when the test says.
type ticks struct {
	start   time.Time
	offset  atomic.Int64
	waiting chan time.Duration
	wake    chan time.Time
}

func newTicks() *ticks {
	return &ticks{start: time.Unix(1000, 0), waiting: make(chan time.Duration, 16), wake: make(chan time.Time)}
}

func (c *ticks) Now() time.Time { return c.start.Add(time.Duration(c.offset.Load())) }

func (c *ticks) After(d time.Duration) <-chan time.Time {
	c.waiting <- d

	return c.wake
}

// pass lets the time pass that somebody waits for, at least d.
func (c *ticks) pass(t *testing.T, d time.Duration) {
	t.Helper()

	wait := <-c.waiting
	c.offset.Add(int64(max(wait, d)))
	c.wake <- c.Now()
}

func TestDHCP4(t *testing.T) {
	there := pair(t)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	var refuse atomic.Bool

	heard := make(chan string, 16)
	serve4(t, there, heard, &refuse)

	expect := func(want string) {
		t.Helper()

		select {
		case got := <-heard:
			if got != want {
				t.Fatalf("the server heard %q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("the server heard nothing, want %q", want)
		}
	}

	clock := newTicks()
	store := run(ctx, t, clock, dhcp4("client"), DHCP4)

	const id = "operator/client/10.5.0.2/24"

	await(ctx, t, store, id, present[network.AddressSpec])
	expect("first own")

	await(ctx, t, store, "operator/hostname", func(r *resource.Resource[network.HostnameSpec]) bool {
		return r != nil && r.Spec.Hostname == "leased" && r.Spec.ConfigLayer == network.ConfigLayerOperator
	})

	// At half of the time the server is asked, from the address.
	if err := give("client", "10.5.0.2/24"); err != nil {
		t.Fatal(err)
	}

	clock.pass(t, 0)
	expect("from 10.5.0.2 own")

	// Near the end anybody is. The server takes no source for every address.
	clock.pass(t, 55*time.Minute)
	expect("from 255.255.255.255 own")

	// A server that refuses takes all back.
	refuse.Store(true)
	clock.pass(t, 55*time.Minute)
	expect("from 255.255.255.255 own")
	await(ctx, t, store, id, absent[network.AddressSpec])

	// And the client begins anew.
	refuse.Store(false)
	clock.pass(t, 0)
	expect("first own")
	await(ctx, t, store, id, present[network.AddressSpec])

	// Without the operator, what it found out goes.
	if err := store.Destroy(ctx, resource.PointerOf[network.OperatorSpec]("dhcp4/client"), "test"); err != nil {
		t.Fatal(err)
	}

	await(ctx, t, store, id, absent[network.AddressSpec])
}

// linkLocal waits until a link has an address of its own, and can use it.
func linkLocal(ctx context.Context, t *testing.T, name string) {
	t.Helper()

	link, err := netlink.LinkByName(name)
	if err != nil {
		t.Fatal(err)
	}

	updates := make(chan netlink.AddrUpdate, 16)
	done := make(chan struct{})

	defer close(done)

	// Those that are there are listed first.
	if err := netlink.AddrSubscribeWithOptions(updates, done, netlink.AddrSubscribeOptions{ListExisting: true}); err != nil {
		t.Fatal(err)
	}

	for {
		select {
		case <-ctx.Done():
			t.Fatalf("%s got no address of its own", name)
		case u := <-updates:
			if u.LinkIndex == link.Attrs().Index && u.LinkAddress.IP.IsLinkLocalUnicast() && u.Flags&unix.IFA_F_TENTATIVE == 0 {
				return
			}
		}
	}
}

// serve6 is a DHCP server for IPv6 that tells of every message that it hears.
func serve6(t *testing.T, there *netnstest.Namespace, heard chan<- dhcpv6.MessageType) {
	t.Helper()

	duid := &dhcpv6.DUIDLL{HWType: 1, LinkLayerAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}}
	handle := func(conn net.PacketConn, from net.Addr, packet dhcpv6.DHCPv6) {
		message, ok := packet.(*dhcpv6.Message)
		if !ok {
			return
		}

		lease := dhcpv6.OptIAAddress{
			IPv6Addr: net.ParseIP("2001:db8::5"), PreferredLifetime: 30 * time.Minute, ValidLifetime: time.Hour,
		}
		options := []dhcpv6.Modifier{
			dhcpv6.WithServerID(duid), dhcpv6.WithDNS(net.ParseIP("2001:db8::53")), dhcpv6.WithDomainSearchList("test"),
			dhcpv6.WithFQDN(4, "six.test"), dhcpv6.WithIAID([4]byte{}),
		}

		if asked := message.Options.OneIANA(); asked != nil {
			options = append(options, dhcpv6.WithIAID(asked.IaId), dhcpv6.WithIANA(lease))
		}

		var (
			reply *dhcpv6.Message
			err   error
		)

		if message.MessageType == dhcpv6.MessageTypeSolicit {
			message.Options.Del(dhcpv6.OptionRapidCommit)
			reply, err = dhcpv6.NewAdvertiseFromSolicit(message, options...)
		} else {
			reply, err = dhcpv6.NewReplyFromMessage(message, options...)
		}

		heard <- message.MessageType

		if err == nil {
			_, _ = conn.WriteTo(reply.ToBytes(), from)
		}
	}

	var server *server6.Server

	there.Do(t, func() (err error) {
		server, err = server6.NewServer("server", nil, handle)

		return err
	})

	done := make(chan struct{})

	go func() {
		defer close(done)

		_ = server.Serve()
	}()

	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}

func TestDHCP6(t *testing.T) {
	there := pair(t)

	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		t.Skip("the kernel has no IPv6: ", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	linkLocal(ctx, t, "client")

	heard := make(chan dhcpv6.MessageType, 16)
	serve6(t, there, heard)

	expect := func(want ...dhcpv6.MessageType) {
		t.Helper()

		for _, w := range want {
			select {
			case got := <-heard:
				if got != w {
					t.Fatalf("the server heard %s, want %s", got, w)
				}
			case <-ctx.Done():
				t.Fatalf("the server heard nothing, want %s", w)
			}
		}
	}

	clock := newTicks()
	store := run(ctx, t, clock, network.OperatorSpec{
		Operator: network.OperatorDHCP6, LinkName: "client", RequireUp: true, DHCP6: network.DHCP6OperatorSpec{RouteMetric: 1024},
	}, DHCP6)

	await(ctx, t, store, "operator/client/2001:db8::5/128", present[network.AddressSpec])
	expect(dhcpv6.MessageTypeSolicit, dhcpv6.MessageTypeRequest)

	await(ctx, t, store, "operator/hostname", func(r *resource.Resource[network.HostnameSpec]) bool {
		return r != nil && r.Spec.Hostname == "six" && r.Spec.Domainname == "test"
	})
	await(ctx, t, store, "operator/resolvers", func(r *resource.Resource[network.ResolverSpec]) bool {
		return r != nil && len(r.Spec.DNSServers) == 1 && len(r.Spec.SearchDomains) == 1
	})

	clock.pass(t, 0)
	expect(dhcpv6.MessageTypeRenew)

	clock.pass(t, 55*time.Minute)
	expect(dhcpv6.MessageTypeRebind)

	await(ctx, t, store, "operator/client/2001:db8::5/128", present[network.AddressSpec])
}
