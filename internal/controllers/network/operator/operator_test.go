package operator

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/dhcpv4/server4"
	"github.com/insomniacslk/dhcp/rfc1035label"
	"github.com/vishvananda/netlink"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/controllers/network/netnstest"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

func TestMain(m *testing.M) { os.Exit(netnstest.Main(m)) }

var comparers = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

func dhcp4(link string) network.OperatorSpec {
	return network.OperatorSpec{
		Operator: network.OperatorDHCP4, LinkName: link, RequireUp: true, DHCP4: network.DHCP4OperatorSpec{RouteMetric: 1024},
	}
}

func answer(options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	ack := &dhcpv4.DHCPv4{YourIPAddr: net.IPv4(10, 5, 0, 2), Options: dhcpv4.Options{}}
	for _, o := range options {
		ack.UpdateOption(o)
	}

	return ack
}

func TestFromACK(t *testing.T) {
	t.Parallel()

	mask := dhcpv4.OptSubnetMask(net.CIDRMask(24, 32))
	address := network.AddressSpec{
		Address: netip.MustParsePrefix("10.5.0.2/24"), LinkName: "eth0", Family: network.FamilyInet4,
		Flags: network.AddressFlagPermanent, Priority: 1024,
	}
	via := network.RouteSpec{
		Family: network.FamilyInet4, Source: netip.MustParseAddr("10.5.0.2"), Gateway: netip.MustParseAddr("10.5.0.1"), OutLinkName: "eth0",
		Table: network.RoutingTableMain, Priority: 1024, Type: network.RouteTypeUnicast, Protocol: network.RouteProtocolDHCP,
	}
	outside, onLink := via, via
	outside.Gateway = netip.MustParseAddr("10.9.0.1")
	onLink.Gateway, onLink.Scope, onLink.Destination = netip.Addr{}, network.ScopeLink, netip.MustParsePrefix("10.9.0.1/32")

	for _, test := range []struct {
		name string
		ack  *dhcpv4.DHCPv4
		skip bool
		want layer.Specs
	}{
		{
			"all",
			answer(mask, dhcpv4.OptRouter(net.IPv4(10, 5, 0, 1)), dhcpv4.OptHostName("one"), dhcpv4.OptDomainName("test"),
				dhcpv4.OptDNS(net.IPv4(10, 5, 0, 3)), dhcpv4.OptDomainSearch(&rfc1035label.Labels{Labels: []string{"a.test"}}),
				dhcpv4.OptNTPServers(net.IPv4(10, 5, 0, 4)), dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{5, 120})),
			false,
			layer.Specs{
				Links: []network.LinkSpec{{Name: "eth0", Up: true, MTU: 1400}}, Addresses: []network.AddressSpec{address},
				Routes: []network.RouteSpec{via}, Hostnames: []network.HostnameSpec{{Hostname: "one", Domainname: "test"}},
				Resolvers:   []network.ResolverSpec{{DNSServers: []netip.Addr{netip.MustParseAddr("10.5.0.3")}, SearchDomains: []string{"a.test"}}},
				TimeServers: []network.TimeServerSpec{{NTPServers: []string{"10.5.0.4"}}},
			},
		},
		{
			"neither routes nor name", answer(mask, dhcpv4.OptRouter(net.IPv4(10, 5, 0, 1)), dhcpv4.OptHostName("one")), true,
			layer.Specs{Addresses: []network.AddressSpec{address}},
		},
		{
			"a router outside", answer(mask, dhcpv4.OptRouter(net.IPv4(10, 9, 0, 1))), false,
			layer.Specs{Addresses: []network.AddressSpec{address}, Routes: []network.RouteSpec{onLink, outside}},
		},
		{
			"routes before routers",
			answer(mask, dhcpv4.OptRouter(net.IPv4(10, 5, 0, 9)), dhcpv4.OptClasslessStaticRoute(&dhcpv4.Route{
				Dest: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}, Router: net.IPv4(10, 5, 0, 1),
			})), false,
			layer.Specs{Addresses: []network.AddressSpec{address}, Routes: []network.RouteSpec{via}},
		},
	} {
		spec := dhcp4("eth0")
		spec.DHCP4.SkipRoutes, spec.DHCP4.SkipHostnameRequest = test.skip, test.skip

		got, err := fromACK(spec, test.ack)
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(test.want, got, comparers); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}

	if _, err := fromACK(dhcp4("eth0"), &dhcpv4.DHCPv4{YourIPAddr: net.IPv4zero}); err == nil {
		t.Error("an answer without an address is taken")
	}
}

func FuzzFromACK(f *testing.F) {
	f.Add(answer(dhcpv4.OptSubnetMask(net.CIDRMask(24, 32)), dhcpv4.OptRouter(net.IPv4(10, 9, 0, 1))).ToBytes())

	f.Fuzz(func(t *testing.T, data []byte) {
		ack, err := dhcpv4.FromBytes(data)
		if err != nil {
			return
		}

		specs, err := fromACK(dhcp4("eth0"), ack)
		if err == nil && (len(specs.Addresses) != 1 || !specs.Addresses[0].Address.IsValid()) {
			t.Errorf("addresses %v", specs.Addresses)
		}
	})
}

// serve is a DHCP server on a link.
func serve(t *testing.T, link string) {
	t.Helper()

	own := net.IPv4(10, 5, 0, 1)
	server, err := server4.NewServer(link, &net.UDPAddr{IP: net.IPv4zero, Port: 67}, func(conn net.PacketConn, _ net.Addr, request *dhcpv4.DHCPv4) {
		kind := dhcpv4.MessageTypeOffer
		if request.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck
		}

		reply, err := dhcpv4.NewReplyFromRequest(request, dhcpv4.WithMessageType(kind), dhcpv4.WithYourIP(net.IPv4(10, 5, 0, 2)),
			dhcpv4.WithServerIP(own), dhcpv4.WithOption(dhcpv4.OptServerIdentifier(own)), dhcpv4.WithNetmask(net.CIDRMask(24, 32)),
			dhcpv4.WithRouter(own), dhcpv4.WithOption(dhcpv4.OptHostName("leased")), dhcpv4.WithLeaseTime(3600))
		if err == nil {
			_, _ = conn.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 68})
		}
	})
	if err != nil {
		t.Fatal(err)
	}

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

func TestDHCP4(t *testing.T) {
	netnstest.Need(t)

	attrs := netlink.NewLinkAttrs()
	attrs.Name = "client"
	veth := netlink.NewVeth(attrs)
	veth.PeerName = "server"

	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatal(err)
	}

	for _, name := range []string{"client", "server"} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			t.Fatal(err)
		}

		if err := netlink.LinkSetUp(link); err != nil {
			t.Fatal(err)
		}

		if name == "server" {
			if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(10, 5, 0, 1), Mask: net.CIDRMask(24, 32)}}); err != nil {
				t.Fatal(err)
			}
		}
	}

	serve(t, "server")

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	store := resource.NewStore()
	engine := reconcile.NewEngine(store, slog.New(slog.DiscardHandler))

	if err := engine.Register(New(slog.New(slog.DiscardHandler), map[network.Operator]Run{network.OperatorDHCP4: DHCP4})); err != nil {
		t.Fatal(err)
	}

	engineCtx, stop := context.WithCancel(ctx)
	done := make(chan error, 1)

	go func() { done <- engine.Run(engineCtx) }()

	defer func() {
		stop()

		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	if err := store.Create(ctx, resource.New("dhcp4/client", dhcp4("client")), "test"); err != nil {
		t.Fatal(err)
	}

	if err := store.Create(ctx, resource.New("client", network.LinkStatus{LinkState: true}), "test"); err != nil {
		t.Fatal(err)
	}

	const id = "operator/client/10.5.0.2/24"

	await(ctx, t, store, id, true)

	found, err := resource.WaitForIn(ctx, store, network.ConfigNamespaceName, "operator/hostname",
		func(r *resource.Resource[network.HostnameSpec]) bool { return r != nil })
	if err != nil || found.Spec.Hostname != "leased" || found.Spec.ConfigLayer != network.ConfigLayerOperator {
		t.Errorf("hostname %+v, %v", found, err)
	}

	// Without the operator, what it found out goes.
	if err := store.Destroy(ctx, resource.PointerOf[network.OperatorSpec]("dhcp4/client"), "test"); err != nil {
		t.Fatal(err)
	}

	await(ctx, t, store, id, false)
}

func await(ctx context.Context, t *testing.T, store *resource.Store, id string, present bool) {
	t.Helper()

	_, err := resource.WaitForIn(ctx, store, network.ConfigNamespaceName, id,
		func(r *resource.Resource[network.AddressSpec]) bool { return (r != nil) == present })
	if err != nil {
		t.Fatalf("waiting for %s: %v", id, err)
	}
}
