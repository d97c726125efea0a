// Package loadbalancer spreads TCP connections over a set of backends.
//
// It is used twice: on every node in front of the Kubernetes API servers
// (KubePrism), and on the user's machine in front of a local cluster. It looks
// at nothing above TCP. A backend that refuses connections is put last until a
// probe reaches it again, so that one stopped control plane costs a client at
// most one connection attempt.
package loadbalancer

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// dialTimeout bounds one attempt to reach one backend.
	dialTimeout = 2 * time.Second
	// probeInterval is how often every backend is tried.
	probeInterval = 3 * time.Second
)

// Balancer forwards connections to one of its backends, the healthy ones
// first, in turn. All methods are safe for concurrent use.
type Balancer struct {
	logger *slog.Logger

	mu       sync.Mutex
	backends []string        // "host:port", in the order given
	down     map[string]bool // backends that the last attempt did not reach
	next     int             // the backend whose turn it is
}

// New returns a balancer without backends; SetBackends gives it some.
func New(logger *slog.Logger) *Balancer {
	return &Balancer{logger: logger, down: map[string]bool{}}
}

// SetBackends replaces the backends, each given as "host:port". Connections
// that are open stay open.
func (b *Balancer) SetBackends(backends []string) {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.backends = slices.Clone(backends)

	for backend := range b.down {
		if !slices.Contains(backends, backend) {
			delete(b.down, backend)
		}
	}
}

// Healthy reports whether any backend was reachable when last tried.
func (b *Balancer) Healthy() bool {
	b.mu.Lock()
	defer b.mu.Unlock()

	return len(b.down) < len(b.backends)
}

// Serve accepts connections until ctx ends, then closes the listener and all
// connections and returns nil. It returns an error when accepting fails.
func (b *Balancer) Serve(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)

	var wg sync.WaitGroup

	defer wg.Wait()
	defer cancel()

	wg.Go(func() {
		<-ctx.Done()
		listener.Close() //nolint:errcheck // the listener is going away
	})
	wg.Go(func() { b.probe(ctx) })

	for {
		conn, err := listener.Accept()
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return nil
			}

			return err
		}

		wg.Go(func() { b.forward(ctx, conn) })
	}
}

// order returns the backends in the order in which a connection tries them.
func (b *Balancer) order() []string {
	b.mu.Lock()
	defer b.mu.Unlock()

	if len(b.backends) == 0 {
		return nil
	}

	b.next = (b.next + 1) % len(b.backends)
	order := slices.Concat(b.backends[b.next:], b.backends[:b.next])

	slices.SortStableFunc(order, func(x, y string) int {
		switch {
		case b.down[x] == b.down[y]:
			return 0
		case b.down[x]:
			return 1
		default:
			return -1
		}
	})

	return order
}

// dial connects to one backend and remembers whether that worked.
func (b *Balancer) dial(ctx context.Context, backend string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: dialTimeout}

	conn, err := dialer.DialContext(ctx, "tcp", backend)
	if ctx.Err() != nil {
		return conn, err
	}

	b.mu.Lock()
	defer b.mu.Unlock()

	if slices.Contains(b.backends, backend) && b.down[backend] != (err != nil) {
		if err != nil {
			b.down[backend] = true
			b.logger.Info("backend is down", "backend", backend, "error", err)
		} else {
			delete(b.down, backend)
			b.logger.Info("backend is up", "backend", backend)
		}
	}

	return conn, err
}

// probe tries every backend again and again until ctx ends.
func (b *Balancer) probe(ctx context.Context) {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()

	for {
		for _, backend := range b.order() {
			if conn, err := b.dial(ctx, backend); err == nil {
				conn.Close() //nolint:errcheck // nothing was written
			}
		}

		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// forward joins a client to the first backend that answers.
func (b *Balancer) forward(ctx context.Context, client net.Conn) {
	defer client.Close() //nolint:errcheck // both sides are done

	for _, backend := range b.order() {
		server, err := b.dial(ctx, backend)
		if err != nil {
			continue
		}

		join(ctx, client, server)

		return
	}
}

// join copies between two connections until both directions have ended or ctx
// ends. Each direction is closed on its own, as TCP allows.
func join(ctx context.Context, client, server net.Conn) {
	defer server.Close() //nolint:errcheck // both sides are done

	stop := context.AfterFunc(ctx, func() {
		client.Close() //nolint:errcheck // unblocks the copies
		server.Close() //nolint:errcheck // unblocks the copies
	})
	defer stop()

	var wg sync.WaitGroup

	pipe := func(to, from net.Conn) {
		io.Copy(to, from) //nolint:errcheck // either side may go at any time

		if half, ok := to.(*net.TCPConn); ok {
			half.CloseWrite() //nolint:errcheck // the peer may be gone already
		}
	}

	wg.Go(func() { pipe(server, client) })
	wg.Go(func() { pipe(client, server) })
	wg.Wait()
}
