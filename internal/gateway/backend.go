package gateway

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
)

const (
	// maxMessage is the largest message that passes, in bytes.
	maxMessage = 32 << 20
	// maxRemotes is how many connections to other nodes are remembered.
	maxRemotes = 512
	// idleAfter is when an unused connection to another node is closed.
	idleAfter = 5 * time.Minute
)

// backends are the connections to machined and to other nodes' gateways. It is
// safe for concurrent use.
type backends struct {
	local    *grpc.ClientConn
	settings func() *Settings
	port     int

	mu      sync.Mutex
	remotes map[string]*remote
	closed  bool
}

// remote is the connection to one other node.
type remote struct {
	conn *grpc.ClientConn
	// users counts the calls that use it now.
	users    int
	lastUsed time.Time
}

func newBackends(machineSocket string, port int, settings func() *Settings) (*backends, error) {
	local, err := dial("unix://"+machineSocket, insecure.NewCredentials())
	if err != nil {
		return nil, err
	}

	return &backends{local: local, settings: settings, port: port, remotes: map[string]*remote{}}, nil
}

func dial(target string, creds credentials.TransportCredentials, more ...grpc.DialOption) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient(target, append([]grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(frameCodec{}),
			grpc.MaxCallRecvMsgSize(maxMessage),
			grpc.MaxCallSendMsgSize(maxMessage),
		),
		grpc.WithIdleTimeout(idleAfter),
		// A proxy on the node's own network is never meant for its peers.
		grpc.WithNoProxy(),
		grpc.WithConnectParams(grpc.ConnectParams{
			// A node that reboots should be found again soon.
			Backoff:           backoff.Config{BaseDelay: 250 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 3 * time.Second},
			MinConnectTimeout: 5 * time.Second,
		}),
		grpc.WithDisableServiceConfig(),
	}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("preparing connection to %s: %w", target, err)
	}

	return conn, nil
}

// acquire returns the connection to a node and the function that says the call
// over it has ended.
func (b *backends) acquire(node string) (*grpc.ClientConn, func(), error) {
	b.mu.Lock()
	defer b.mu.Unlock()

	if b.closed {
		return nil, nil, errors.New("connecting to another node: the gateway is stopping")
	}

	r, ok := b.remotes[node]
	if !ok {
		// passthrough: the name is resolved when the connection is made, not
		// by gRPC's resolver, which would poll a name server for it.
		conn, err := dial("passthrough:///"+net.JoinHostPort(node, strconv.Itoa(b.port)),
			&rotating{settings: b.settings, serverName: node},
			// Streams from a node that vanished must end. The local socket does
			// without: its end is always seen, and machined's server closes
			// connections that ping more often than every five minutes.
			grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}))
		if err != nil {
			return nil, nil, err
		}

		b.evict()

		r = &remote{conn: conn}
		b.remotes[node] = r
	}

	r.users++

	return r.conn, func() {
		b.mu.Lock()
		defer b.mu.Unlock()

		r.users--
		r.lastUsed = time.Now()
	}, nil
}

// evict makes room for one more connection by closing the one that has been
// out of use longest. When all are in use there may be more than maxRemotes.
func (b *backends) evict() {
	if len(b.remotes) < maxRemotes {
		return
	}

	var oldest string

	for node, r := range b.remotes {
		if r.users == 0 && (oldest == "" || r.lastUsed.Before(b.remotes[oldest].lastUsed)) {
			oldest = node
		}
	}

	if oldest != "" {
		// The error says only that it is closed already.
		_ = b.remotes[oldest].conn.Close()
		delete(b.remotes, oldest)
	}
}

// close ends all connections and every call over them.
func (b *backends) close() error {
	b.mu.Lock()
	defer b.mu.Unlock()

	b.closed = true
	errs := []error{b.local.Close()}

	for _, r := range b.remotes {
		errs = append(errs, r.conn.Close())
	}

	return errors.Join(errs...)
}
