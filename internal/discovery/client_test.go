package discovery_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	wire "github.com/basalt-os/basalt/api/discovery"
	"github.com/basalt-os/basalt/internal/discovery"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
)

// member is a client that runs.
type member struct {
	*discovery.Client
	t       *testing.T
	changed chan struct{}
	stop    func()
}

func (s *service) member(id string, change func(*discovery.ClientOptions)) *member {
	s.t.Helper()

	options := discovery.ClientOptions{
		Endpoint: s.address, Insecure: true, ClusterID: "c", Key: key, AffiliateID: id, Version: "test",
		MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&options)
	}

	client, err := discovery.NewClient(options)
	if err != nil {
		s.t.Fatal(err)
	}

	m := &member{Client: client, t: s.t, changed: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() {
		done <- client.Run(ctx, func() {
			select {
			case m.changed <- struct{}{}:
			default:
			}
		})
	}()

	m.stop = sync.OnceFunc(func() {
		cancel()

		if err := <-done; err != nil {
			s.t.Error(err)
		}
	})
	s.t.Cleanup(m.stop)

	return m
}

// sees waits until exactly these nodes are known.
func (m *member) sees(want ...cluster.Affiliate) {
	m.t.Helper()

	ctx := timeout(m.t)

	for {
		diff := cmp.Diff(want, m.Affiliates(), compared)
		if diff == "" {
			return
		}

		select {
		case <-m.changed:
		case <-ctx.Done():
			m.t.Fatalf("never saw (-want +got):\n%s", diff)
		}
	}
}

func node(name string) cluster.Affiliate {
	return cluster.Affiliate{
		NodeID: name, Hostname: name, Nodename: name + ".example.org", OperatingSystem: "Basalt (v1)",
		MachineType:  machinetype.ControlPlane,
		Addresses:    []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")},
		ControlPlane: &cluster.ControlPlane{APIServerPort: 6443},
		KubeSpan: cluster.KubeSpanAffiliateSpec{
			PublicKey: "key of " + name, Address: netip.MustParseAddr("fd00:1::1"),
			AdditionalAddresses: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/24")},
			Endpoints:           []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:51820"), netip.MustParseAddrPort("[fd00::1]:51820")},
		},
	}
}

// sorted puts endpoints in the order in which the service returns them.
func sorted(t *testing.T, a cluster.Affiliate) cluster.Affiliate {
	t.Helper()

	sealer, err := discovery.NewSealer(key)
	if err != nil {
		t.Fatal(err)
	}

	sealed := func(e netip.AddrPort) []byte {
		data, err := sealer.SealEndpoint(e)
		if err != nil {
			t.Fatal(err)
		}

		return data
	}

	slices.SortFunc(a.KubeSpan.Endpoints, func(x, y netip.AddrPort) int { return bytes.Compare(sealed(x), sealed(y)) })

	return a
}

func TestMembersSeeEachOther(t *testing.T) {
	s := newService(t, nil)
	a, b := s.member("a", nil), s.member("b", nil)
	nodeA, nodeB := sorted(t, node("a")), sorted(t, node("b"))
	nodeB.KubeSpan, nodeB.ControlPlane, nodeB.MachineType = cluster.KubeSpanAffiliateSpec{}, nil, machinetype.Worker

	a.SetLocal(nodeA)
	b.SetLocal(nodeB)
	a.sees(nodeB)
	b.sees(nodeA)

	nodeB.Hostname = "renamed"
	b.SetLocal(nodeB)
	a.sees(nodeB)

	// Somebody with another secret is neither read nor believed.
	stranger := s.member("stranger", func(o *discovery.ClientOptions) { o.Key = bytes.Repeat([]byte{8}, discovery.KeySize) })
	stranger.SetLocal(node("stranger"))

	// The service forgets everything: all is told again.
	s.stop()
	a.sees(nodeB)
	s.start(nil)
	a.sees(nodeB)
	b.sees(nodeA)

	for s.Stats().Affiliates < 3 {
		if _, err := s.List(timeout(t), &wire.ListRequest{ClusterId: "c"}); err != nil {
			t.Fatal(err)
		}
	}

	if got := stranger.Affiliates(); len(got) != 0 {
		t.Errorf("a stranger sees %v", got)
	}

	a.sees(nodeB)

	// One leaves for good. Whatever it learns of itself then, nobody hears it.
	if err := b.Delete(timeout(t)); err != nil {
		t.Fatal(err)
	}

	a.sees()

	nodeB.Hostname = "gone"
	b.SetLocal(nodeB)

	nodeA.Hostname = "stays"
	a.SetLocal(nodeA)
	b.sees(nodeA)
	a.sees()
}

func TestRedirect(t *testing.T) {
	s := newService(t, nil)
	front := newService(t, func(o *discovery.ServerOptions) { o.Redirect = s.address })
	a, b := s.member("a", nil), front.member("b", nil)

	a.SetLocal(sorted(t, node("a")))
	b.sees(sorted(t, node("a")))

	if got := front.Stats().Watchers; got != 0 {
		t.Errorf("%d watchers at the service that redirects", got)
	}

	// It is the other service that knows the node that leaves.
	b.SetLocal(sorted(t, node("b")))
	a.sees(sorted(t, node("b")))

	if err := b.Delete(timeout(t)); err != nil {
		t.Fatal(err)
	}

	a.sees()
}

// TestDial checks that who dials is given the name of the service, not an
// address of it.
func TestDial(t *testing.T) {
	s := newService(t, nil)
	asked := make(chan string, 1)

	through := s.member("a", func(o *discovery.ClientOptions) {
		o.Endpoint = "discovery.invalid:443"
		o.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			select {
			case asked <- address:
			default:
			}

			return (&net.Dialer{}).DialContext(ctx, "tcp", s.address)
		}
	})

	b := sorted(t, node("b"))
	s.member("b", nil).SetLocal(b)
	through.sees(b)

	if got := <-asked; got != "discovery.invalid:443" {
		t.Errorf("asked to connect to %s", got)
	}
}

func TestNotesAreRenewed(t *testing.T) {
	s := newService(t, nil)
	a := s.member("a", func(o *discovery.ClientOptions) { o.TTL = 50 * time.Millisecond })
	b := s.member("b", nil)
	nodeA := sorted(t, node("a"))
	a.SetLocal(nodeA)
	b.sees(nodeA)

	// The service's clock goes on. The note comes back, because it is renewed.
	ctx := timeout(t)

	for range 3 {
		s.clock.pass(time.Second)
		s.Collect()

		for s.Stats().Affiliates == 0 {
			if ctx.Err() != nil {
				t.Fatal("the note was not renewed")
			}
		}

		b.sees(nodeA)
	}
}
