package discovery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	wire "github.com/basalt-os/basalt/api/discovery"
	"github.com/basalt-os/basalt/internal/discovery"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	key      = bytes.Repeat([]byte{7}, discovery.KeySize)
	compared = cmp.Options{cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b }), cmpopts.EquateEmpty()}
)

// clock is moved by hand.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()

	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.now = c.now.Add(d)
}

// service is a running discovery service that can be stopped and started.
type service struct {
	*discovery.Server
	t       *testing.T
	clock   *clock
	address string
	stop    func()
}

func newService(t *testing.T, change func(*discovery.ServerOptions)) *service {
	t.Helper()

	s := &service{t: t, clock: &clock{now: time.Now()}, address: "127.0.8.1:0"}
	s.start(change)
	t.Cleanup(func() { s.stop() })

	return s
}

func (s *service) start(change func(*discovery.ServerOptions)) {
	s.t.Helper()

	options := discovery.ServerOptions{Now: s.clock.Now, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&options)
	}

	s.Server = discovery.NewServer(options)
	server := grpc.NewServer(s.Limits()...)
	s.Register(server)

	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}

	s.address = listener.Addr().String()

	ctx, cancel := context.WithCancel(context.Background())
	served, ran := make(chan error, 1), make(chan error, 1)

	go func() { served <- server.Serve(listener) }()
	go func() { ran <- s.Run(ctx) }()

	s.stop = func() {
		cancel()
		server.Stop()

		for _, done := range []chan error{served, ran} {
			// The server may be stopped before it got to serve.
			if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
				s.t.Error(err)
			}
		}

		s.stop = func() {}
	}
}

func (s *service) client() wire.ClusterClient {
	s.t.Helper()

	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		s.t.Fatal(err)
	}

	s.t.Cleanup(func() { _ = conn.Close() })

	return wire.NewClusterClient(conn)
}

func timeout(t *testing.T) context.Context {
	t.Helper()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)

	return ctx
}

func update(id string, data string, ttl time.Duration, endpoints ...string) *wire.AffiliateUpdateRequest {
	req := &wire.AffiliateUpdateRequest{ClusterId: "c", AffiliateId: id, Ttl: durationpb.New(ttl)}
	if data != "" {
		req.AffiliateData = []byte(data)
	}

	for _, endpoint := range endpoints {
		req.AffiliateEndpoints = append(req.AffiliateEndpoints, []byte(endpoint))
	}

	return req
}

// text is a readable form of affiliates.
func text(list []*wire.Affiliate) []string {
	var out []string
	for _, a := range list {
		out = append(out, fmt.Sprintf("%s=%s%s", a.GetId(), a.GetData(), a.GetEndpoints()))
	}

	return out
}

func TestServer(t *testing.T) {
	s := newService(t, nil)
	client := s.client()
	ctx := timeout(t)

	hello, err := client.Hello(ctx, &wire.HelloRequest{ClusterId: "c", ClientVersion: "test"})
	if err != nil {
		t.Fatal(err)
	}

	var from netip.Addr
	if err := from.UnmarshalBinary(hello.GetClientIp()); err != nil || !from.IsLoopback() {
		t.Errorf("address of the client: %v, %v", from, err)
	}

	stream, err := client.Watch(ctx, &wire.WatchRequest{ClusterId: "c"})
	if err != nil {
		t.Fatal(err)
	}

	next := func(want string) {
		t.Helper()

		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}

		if got := fmt.Sprint(text(response.GetAffiliates()), response.GetDeleted()); got != want {
			t.Errorf("watch: got %s, want %s", got, want)
		}
	}
	write := func(req *wire.AffiliateUpdateRequest) {
		t.Helper()

		if _, err := client.AffiliateUpdate(ctx, req); err != nil {
			t.Fatal(err)
		}
	}
	list := func(want ...string) {
		t.Helper()

		response, err := client.List(ctx, &wire.ListRequest{ClusterId: "c"})
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff(want, text(response.GetAffiliates())); diff != "" {
			t.Error(diff)
		}
	}

	next("[] false")
	write(update("a", "one", 10*time.Minute, "e1"))
	next("[a=one[e1]] false")
	write(update("b", "two", time.Minute))
	next("[b=two[]] false")
	write(update("a", "", 2*time.Minute, "e1", "e2")) // endpoints are merged
	next("[a=one[e1 e2]] false")
	write(update("a", "one", 10*time.Minute)) // nothing new: nothing is said
	write(update("a", "three", 10*time.Minute))
	next("[a=three[e1 e2]] false")
	list("a=three[e1 e2]", "b=two[]")

	// What is not renewed goes: b, and then the endpoints of a, and then a.
	s.clock.pass(time.Minute)
	s.Collect()
	next("[b=[]] true")
	s.clock.pass(time.Minute)
	s.Collect()
	next("[a=three[]] false")
	list("a=three[]")
	s.clock.pass(8 * time.Minute)
	s.Collect()
	next("[a=[]] true")
	list()

	write(update("d", "x", time.Minute))
	next("[d=x[]] false")

	if _, err := client.AffiliateDelete(ctx, &wire.AffiliateDeleteRequest{ClusterId: "c", AffiliateId: "d"}); err != nil {
		t.Fatal(err)
	}

	next("[d=[]] true")

	want := discovery.Stats{Clusters: 1, Watchers: 1}
	if diff := cmp.Diff(want, s.Stats()); diff != "" {
		t.Error(diff)
	}
}

func TestLimits(t *testing.T) {
	s := newService(t, nil)
	ctx := timeout(t)
	big := string(make([]byte, 300))

	for name, req := range map[string]*wire.AffiliateUpdateRequest{
		"no cluster":      {AffiliateId: "a", Ttl: durationpb.New(time.Minute)},
		"cluster too big": {ClusterId: big, AffiliateId: "a", Ttl: durationpb.New(time.Minute)},
		"no affiliate":    update("", "x", time.Minute),
		"id too big":      update(big, "x", time.Minute),
		"data too big":    update("a", string(make([]byte, 2049)), time.Minute),
		"no TTL":          {ClusterId: "c", AffiliateId: "a"},
		"negative TTL":    update("a", "x", -time.Minute),
		"TTL too long":    update("a", "x", 31*time.Minute),
		"endpoint big":    update("a", "x", time.Minute, string(make([]byte, 33))),
		"endpoint empty":  update("a", "x", time.Minute, ""),
	} {
		if _, err := s.AffiliateUpdate(ctx, req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}

	var endpoints []string
	for i := range 65 {
		endpoints = append(endpoints, fmt.Sprint(i))
	}

	if _, err := s.AffiliateUpdate(ctx, update("a", "x", time.Minute, endpoints...)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("65 endpoints: %v", err)
	}

	for i := range 1024 {
		if _, err := s.AffiliateUpdate(ctx, update(fmt.Sprint(i), "x", time.Minute)); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := s.AffiliateUpdate(ctx, update("one more", "x", time.Minute)); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("1025 affiliates: %v", err)
	}

	// One address cannot call as often as it likes.
	client := s.client()
	for range 200 {
		if _, err := client.List(ctx, &wire.ListRequest{ClusterId: "x"}); status.Code(err) == codes.ResourceExhausted {
			return
		}
	}

	t.Error("200 calls in a row were answered")
}

func TestSlowWatcherIsEnded(t *testing.T) {
	s := newService(t, nil)
	ctx := timeout(t)

	// A stream whose reader never takes anything.
	blocked := make(chan struct{})
	ended := make(chan error, 1)

	go func() {
		ended <- s.Watch(&wire.WatchRequest{ClusterId: "c"}, &stuckStream{ctx: ctx, blocked: blocked})
	}()

	for s.Stats().Watchers == 0 {
		if ctx.Err() != nil {
			t.Fatal("the watch did not start")
		}
	}

	for i := range 40 {
		if _, err := s.AffiliateUpdate(ctx, update(fmt.Sprint(i), "x", time.Minute)); err != nil {
			t.Fatal(err)
		}
	}

	if got := s.Stats().Watchers; got != 0 {
		t.Errorf("%d watchers", got)
	}

	close(blocked)

	if err := <-ended; status.Code(err) != codes.Aborted {
		t.Errorf("got %v", err)
	}
}

type stuckStream struct {
	grpc.ServerStreamingServer[wire.WatchResponse]
	ctx     context.Context
	blocked chan struct{}
}

func (s *stuckStream) Context() context.Context { return s.ctx }

func (s *stuckStream) Send(*wire.WatchResponse) error {
	<-s.blocked

	return nil
}

func TestSnapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	options := func(o *discovery.ServerOptions) { o.Snapshot = path }
	s := newService(t, options)
	ctx := timeout(t)

	for _, req := range []*wire.AffiliateUpdateRequest{
		update("a", "\x00one", 10*time.Minute, "\xff"), update("b", "two", time.Minute),
	} {
		if _, err := s.AffiliateUpdate(ctx, req); err != nil {
			t.Fatal(err)
		}
	}

	s.stop() // writes the last snapshot
	s.clock.pass(time.Minute)
	s.start(options)

	response, err := s.List(ctx, &wire.ListRequest{ClusterId: "c"})
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"a=\x00one[\xff]"}, text(response.GetAffiliates())); diff != "" {
		t.Error(diff)
	}
}
