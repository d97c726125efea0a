// Package peerlimit bounds how often one address may call a gRPC server.
package peerlimit

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// maxPeers bounds the addresses that are remembered. When more call within the
// time in which they are remembered, they share one limit.
const maxPeers = 16384

// forgetEvery is how often addresses that were quiet may be looked for.
const forgetEvery = time.Second

// Limiter allows each address a number of calls per second. It is safe for
// concurrent use.
type Limiter struct {
	limit rate.Limit
	burst int
	now   func() time.Time

	mu    sync.Mutex
	peers map[netip.Addr]*rate.Limiter
	rest  *rate.Limiter
	// forgot is when quiet addresses were last dropped.
	forgot time.Time
}

// New returns a limiter that allows each address perSecond calls in the long
// run, and burst calls at once. A nil clock means time.Now.
func New(perSecond float64, burst int, now func() time.Time) *Limiter {
	if now == nil {
		now = time.Now
	}

	return &Limiter{
		limit: rate.Limit(perSecond), burst: burst, now: now,
		peers: map[netip.Addr]*rate.Limiter{},
		rest:  rate.NewLimiter(rate.Limit(perSecond), burst),
	}
}

// Allow counts a call and says whether it may go on. IPv6 addresses are counted
// by their /64 network, as one host has all of it.
func (l *Limiter) Allow(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	if addr.Is6() {
		if prefix, err := addr.Prefix(64); err == nil {
			addr = prefix.Addr()
		}
	}

	l.mu.Lock()
	defer l.mu.Unlock()

	now := l.now()

	known, ok := l.peers[addr]
	if !ok {
		if len(l.peers) >= maxPeers {
			l.forget(now)
		}

		if len(l.peers) >= maxPeers {
			return l.rest.AllowN(now, 1)
		}

		known = rate.NewLimiter(l.limit, l.burst)
		l.peers[addr] = known
	}

	return known.AllowN(now, 1)
}

// forget drops the addresses that have their whole burst again. It looks at all
// of them, so it does not do so too often.
func (l *Limiter) forget(now time.Time) {
	if now.Sub(l.forgot) < forgetEvery {
		return
	}

	l.forgot = now

	for addr, known := range l.peers {
		if known.TokensAt(now) >= float64(l.burst) {
			delete(l.peers, addr)
		}
	}
}

// check counts a gRPC call by where it comes from.
func (l *Limiter) check(ctx context.Context) error {
	if !l.Allow(Address(ctx)) {
		return status.Error(codes.ResourceExhausted, "too many calls from this address: try again later")
	}

	return nil
}

// Unary returns the interceptor for unary methods.
func (l *Limiter) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := l.check(ctx); err != nil {
			return nil, err
		}

		return handler(ctx, req)
	}
}

// Stream returns the interceptor for streaming methods. It counts calls, not
// messages.
func (l *Limiter) Stream() grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if err := l.check(stream.Context()); err != nil {
			return err
		}

		return handler(srv, stream)
	}
}

// Address returns the IP address that a gRPC call comes from. It is not valid
// for calls that do not come over IP.
func Address(ctx context.Context) netip.Addr {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return netip.Addr{}
	}

	tcp, ok := from.Addr.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}

	return tcp.AddrPort().Addr().Unmap()
}
