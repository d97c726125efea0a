package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/internal/rbac"
)

// DefaultPort is the port of the API on every node.
const DefaultPort = 50000

// stopAfter is how long calls may take to end when the gateway stops.
const stopAfter = 5 * time.Second

// streamsAfter is how long streams may take, which end by themselves only if
// they are nearly done: most are followed for as long as there is anything.
const streamsAfter = 500 * time.Millisecond

// Config says what a Gateway is connected to. All fields are required unless
// they say otherwise.
type Config struct {
	// MachineSocket is the path of machined's Unix socket.
	MachineSocket string
	// NodePort is the port of other nodes' gateways; zero means DefaultPort.
	NodePort int
	// Local says whether a node, as a caller names it, is this one. Nil means
	// IsLocal.
	Local func(node string) bool
	// Hostname names this node in the hop marker. Nil means os.Hostname.
	Hostname func() string
	// Now is the clock; nil means time.Now.
	Now    func() time.Time
	Logger *slog.Logger
}

// Gateway serves the API. Make it with New, give it settings with Update, and
// let it Serve. All methods are safe for concurrent use.
type Gateway struct {
	settings atomic.Pointer[Settings]
	backends *backends
	shapes   shapes
	server   *grpc.Server
	local    func(string) bool
	hostname func() string
	now      func() time.Time
	logger   *slog.Logger

	// pumps are the background copies of callers' streams.
	pumps sync.WaitGroup

	// closing ends when streams shall, before the gateway does.
	closing context.Context
	end     context.CancelFunc

	closed func() error // what Close does, once
}

// New returns a gateway without settings: until the first Update it refuses
// all connections. Close it when it is not needed any more.
func New(config Config) (*Gateway, error) {
	g := &Gateway{
		shapes:   newShapes(),
		local:    config.Local,
		hostname: config.Hostname,
		now:      config.Now,
		logger:   config.Logger,
	}

	g.settings.Store(&Settings{})
	g.closing, g.end = context.WithCancel(context.Background())
	g.closed = sync.OnceValue(g.close)

	if g.local == nil {
		g.local = IsLocal
	}

	if g.hostname == nil {
		g.hostname = hostname
	}

	if g.now == nil {
		g.now = time.Now
	}

	port := config.NodePort
	if port == 0 {
		port = DefaultPort
	}

	var err error
	if g.backends, err = newBackends(config.MachineSocket, port, g.settings.Load); err != nil {
		return nil, err
	}

	g.server = grpc.NewServer(
		grpc.Creds(&rotating{settings: g.settings.Load}),
		grpc.ForceServerCodecV2(frameCodec{}),
		grpc.UnknownServiceHandler(g.handle),
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxSendMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(1024),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
	)

	return g, nil
}

// compressors that callers may use; naming one links its package in.
var _ = gzip.Name

// Update replaces the settings. New connections use them at once. Existing
// connections go on as long as the authority of their certificate is accepted.
func (g *Gateway) Update(settings Settings) {
	g.settings.Store(&settings)
}

// Serve answers callers on the listener until the context ends or the listener
// is closed; it owns the listener. Several listeners may be served at once. It
// returns nil when the context ended.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener) error {
	closer := context.AfterFunc(ctx, func() {
		// Serve below reports the consequence.
		_ = listener.Close()
	})
	defer closer()

	err := g.server.Serve(listener)
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) || err == nil {
		return nil
	}

	return fmt.Errorf("serving API on %s: %w", listener.Addr(), err)
}

// Close ends the gateway: calls get a few seconds to end by themselves. When
// it returns, nothing of the gateway runs any more.
func (g *Gateway) Close() error { return g.closed() }

func (g *Gateway) close() error {
	streams := time.AfterFunc(streamsAfter, g.end)
	hard := time.AfterFunc(stopAfter, g.server.Stop)

	g.server.GracefulStop()
	hard.Stop()
	streams.Stop()
	g.end()
	g.pumps.Wait()

	return g.backends.close()
}

// handle answers every call: it finds out who asks and who shall answer.
func (g *Gateway) handle(_ any, in grpc.ServerStream) error {
	ctx := in.Context()
	start := g.now()

	method, ok := grpc.MethodFromServerStream(in)
	if !ok {
		return status.Error(codes.Internal, "the call has no method")
	}

	md, _ := metadata.FromIncomingContext(ctx)
	roles, to, err := g.admit(ctx, md)

	if err == nil {
		c := &call{gateway: g, method: method, shape: g.shapes.of(method), in: in, md: md, roles: roles}
		err = c.run(to)
	}

	g.logger.Info("call",
		"method", method, "code", status.Code(err), "peer", peerAddress(ctx), "roles", roles,
		"nodes", to.nodes, "duration", g.now().Sub(start))

	return err
}

// admit decides about a request before it goes anywhere.
func (g *Gateway) admit(ctx context.Context, md metadata.MD) (rbac.Roles, route, error) {
	settings := g.settings.Load()

	roles, err := settings.caller(ctx, md, g.now())
	if err != nil {
		return rbac.None, route{}, err
	}

	to, err := routeOf(md)
	if err != nil {
		return roles, route{}, err
	}

	if settings.RoutingDisabled && (to.merge || len(to.nodes) > 0) {
		return roles, route{}, status.Error(codes.FailedPrecondition,
			"this node passes nothing on to other nodes: call the node itself, without node metadata")
	}

	return roles, to, nil
}

func peerAddress(ctx context.Context) string {
	if from, ok := peer.FromContext(ctx); ok {
		return from.Addr.String()
	}

	return ""
}

// IsLocal says whether a node's address is one of this host's, or its name this
// host's name. What cannot be found out counts as another node: its gateway
// then answers, which is a detour at worst.
func IsLocal(node string) bool {
	addr, err := netip.ParseAddr(node)
	if err != nil {
		return node == hostname()
	}

	if addr.IsLoopback() {
		return true
	}

	prefixes, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}

	for _, prefix := range prefixes {
		if own, ok := prefix.(*net.IPNet); ok && own.IP.Equal(addr.AsSlice()) {
			return true
		}
	}

	return false
}

// hostname returns the host's name, or a placeholder when it has none.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}

	return name
}
