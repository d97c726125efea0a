package cluster

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/internal/discovery"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

var secret = bytes.Repeat([]byte{7}, discovery.KeySize)

// background runs f until the test ends.
func background(t *testing.T, f func(ctx context.Context) error) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() { done <- f(ctx) }()

	t.Cleanup(func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// service runs a discovery service and returns its address.
func service(t *testing.T) string {
	t.Helper()

	blackboard := discovery.NewServer(discovery.ServerOptions{Logger: slog.New(slog.DiscardHandler)})
	server := grpc.NewServer(blackboard.Limits()...)
	blackboard.Register(server)

	listener, err := net.Listen("tcp", "127.0.8.2:0")
	if err != nil {
		t.Fatal(err)
	}

	background(t, func(ctx context.Context) error {
		defer context.AfterFunc(ctx, server.Stop)()

		if err := server.Serve(listener); !errors.Is(err, grpc.ErrServerStopped) {
			return err
		}

		return nil
	})

	return listener.Addr().String()
}

// neighbour is another node, as far as discovery goes.
type neighbour struct {
	*discovery.Client
	changed chan struct{}
}

func newNeighbour(t *testing.T, endpoint string) neighbour {
	t.Helper()

	client, err := discovery.NewClient(discovery.ClientOptions{
		Endpoint: endpoint, Insecure: true, ClusterID: "c", Key: secret, AffiliateID: "b", Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}

	n := neighbour{Client: client, changed: make(chan struct{}, 1)}

	background(t, func(ctx context.Context) error {
		return client.Run(ctx, func() {
			select {
			case n.changed <- struct{}{}:
			default:
			}
		})
	})

	return n
}

// sees waits until so many other nodes are known.
func (n neighbour) sees(ctx context.Context, t *testing.T, count int) {
	t.Helper()

	for len(n.Affiliates()) != count {
		select {
		case <-n.changed:
		case <-ctx.Done():
			t.Fatalf("%d other nodes are known, want %d", len(n.Affiliates()), count)
		}
	}
}

// discovering is the store of node a, which uses discovery services.
func discovering(t *testing.T, endpoints ...string) *resource.Store {
	t.Helper()

	config := cluster.Config{DiscoveryEnabled: true, ServiceClusterID: "c", ServiceEncryptionKey: secret}
	for _, endpoint := range endpoints {
		config.ServiceEndpoints = append(config.ServiceEndpoints, cluster.ServiceEndpoint{Endpoint: endpoint, Insecure: true})
	}

	store := resource.NewStore()
	affiliate := cluster.Affiliate{
		NodeID: "a", Nodename: "a", MachineType: machinetype.Worker, Addresses: []netip.Addr{netip.MustParseAddr("10.5.0.2")},
	}

	for _, object := range []resource.Object{
		resource.New(cluster.ConfigID, config),
		resource.New(cluster.LocalIdentityID, cluster.Identity{NodeID: "a"}),
		resource.NewIn(cluster.RawNamespaceName, rawLocal+"a", affiliate),
	} {
		if err := store.Create(t.Context(), object, "test"); err != nil {
			t.Fatal(err)
		}
	}

	control(t, store)

	return store
}

// control runs the controller of discovery services.
func control(t *testing.T, store *resource.Store) {
	t.Helper()

	reconciletest.Run(t, store, DiscoveryService(Dependencies{Version: "test", Logger: slog.New(slog.DiscardHandler)}))
}

// signal says that the machine is reset.
func signal(ctx context.Context, t *testing.T, store *resource.Store) {
	t.Helper()

	reset := resource.New(runtime.MachineResetSignalID, runtime.MachineResetSignal{})
	reset.Meta.Finalizers = []string{DiscoveryServiceName}

	if err := store.Create(ctx, reset, "test"); err != nil {
		t.Fatal(err)
	}
}

// reset says that the machine is reset, and waits for the controller.
func reset(ctx context.Context, t *testing.T, store *resource.Store) {
	t.Helper()

	signal(ctx, t, store)

	_, err := resource.WaitFor(ctx, store, runtime.MachineResetSignalID, func(r *resource.Resource[runtime.MachineResetSignal]) bool {
		return r != nil && len(r.Meta.Finalizers) == 0
	})
	if err != nil {
		t.Fatalf("the signal is kept: %v", err)
	}
}

func TestResetLeavesDiscovery(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	endpoints := []string{service(t), service(t)}
	store := discovering(t, endpoints...)

	var others []neighbour
	for _, endpoint := range endpoints {
		others = append(others, newNeighbour(t, endpoint))
	}

	for _, n := range others {
		n.sees(ctx, t, 1)
		n.SetLocal(cluster.Affiliate{NodeID: "b", Nodename: "b"})
	}

	seesB := func() {
		t.Helper()

		_, err := resource.WaitForIn(ctx, store, cluster.RawNamespaceName, rawService+"b",
			func(r *resource.Resource[cluster.Affiliate]) bool { return r != nil })
		if err != nil {
			t.Fatal(err)
		}
	}

	seesB()
	reset(ctx, t, store)

	for _, n := range others {
		n.sees(ctx, t, 0)
	}

	// It needs the others to the end.
	seesB()
}

// A machine without services, such as one in maintenance, has nothing to leave.
func TestResetWithoutDiscovery(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	store := resource.NewStore()

	control(t, store)
	reset(ctx, t, store)
}

// What one service does not hear, the others do.
func TestResetWhileServiceIsDown(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	endpoint := service(t)
	store := discovering(t, "127.0.8.2:1", endpoint)
	other := newNeighbour(t, endpoint)

	other.sees(ctx, t, 1)
	signal(ctx, t, store)
	other.sees(ctx, t, 0)

	current, err := resource.Get[runtime.MachineResetSignal](ctx, store, runtime.MachineResetSignalID)
	if err != nil || len(current.Meta.Finalizers) == 0 {
		t.Errorf("the signal is let go before all services were reached: %v, %v", current, err)
	}
}
