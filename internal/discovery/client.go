package discovery

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/types/known/durationpb"

	wire "github.com/basalt-os/basalt/api/discovery"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
)

// DefaultTTL is how long a node is remembered that does not renew its note.
const DefaultTTL = maxTTL

const (
	// callTimeout bounds a single call to the service.
	callTimeout = 15 * time.Second
	// maxRedirects is how many redirections are followed without a pause.
	maxRedirects = 5
)

// ClientOptions say which cluster a client belongs to. All but the last fields
// are required.
type ClientOptions struct {
	// Endpoint is host:port of the service.
	Endpoint string
	// Insecure speaks without TLS. What is sent is encrypted in any case.
	Insecure bool
	// TLS returns the settings of a connection with TLS; nil means the system's
	// authorities.
	TLS func() *tls.Config
	// Dial connects to host:port; nil means directly.
	Dial func(ctx context.Context, address string) (net.Conn, error)

	ClusterID string
	// Key is the cluster's secret, of KeySize bytes.
	Key []byte
	// AffiliateID is this node's own.
	AffiliateID string
	// Version is what the service is told about this program.
	Version string

	// TTL is how long the service remembers this node; zero means DefaultTTL.
	TTL time.Duration
	// Backoff bounds the pauses between attempts; zero means 1 s and 1 min.
	MinBackoff, MaxBackoff time.Duration
	Logger                 *slog.Logger
}

// Client tells a discovery service about this node and learns about the others.
// Its methods are safe for concurrent use.
type Client struct {
	options ClientOptions
	sealer  *sealer
	// localChanged has room for one token.
	localChanged chan struct{}
	// writing has room for one token: whoever writes to the service holds it.
	writing chan struct{}

	mu         sync.Mutex
	left       bool // nothing is told any more
	local      *cluster.Affiliate
	affiliates map[string]cluster.Affiliate
}

// NewClient returns a client that does nothing until Run.
func NewClient(options ClientOptions) (*Client, error) {
	sealer, err := newSealer(options.Key)
	if err != nil {
		return nil, fmt.Errorf("preparing discovery client: %w", err)
	}

	if options.TTL == 0 {
		options.TTL = DefaultTTL
	}

	if options.MinBackoff == 0 {
		options.MinBackoff = time.Second
	}

	if options.MaxBackoff == 0 {
		options.MaxBackoff = time.Minute
	}

	return &Client{
		options: options, sealer: sealer,
		localChanged: make(chan struct{}, 1), writing: make(chan struct{}, 1), affiliates: map[string]cluster.Affiliate{},
	}, nil
}

// SetLocal says what to tell about this node, with its KubeSpan endpoints. Until
// the first call, nothing is told; what was told already is not told again
// before it expires.
func (c *Client) SetLocal(affiliate cluster.Affiliate) {
	c.mu.Lock()
	same := c.local != nil && resource.Equal(*c.local, affiliate)
	c.local = &affiliate
	c.mu.Unlock()

	if same {
		return
	}

	select {
	case c.localChanged <- struct{}{}:
	default: // a change is pending already.
	}
}

// Affiliates returns the other nodes of the cluster as they were last seen, by
// ID. While the service cannot be reached, that is what it said before.
func (c *Client) Affiliates() []cluster.Affiliate {
	c.mu.Lock()
	defer c.mu.Unlock()

	list := make([]cluster.Affiliate, 0, len(c.affiliates))
	for _, id := range slices.Sorted(maps.Keys(c.affiliates)) {
		list = append(list, c.affiliates[id])
	}

	return list
}

// Run keeps in touch with the service until the context ends, through failures
// of any kind, and then returns nil. It calls notify, from one goroutine at a
// time, after what Affiliates returns has changed.
func (c *Client) Run(ctx context.Context, notify func()) error {
	var (
		endpoint  = c.options.Endpoint
		backoff   = c.options.MinBackoff
		redirects = 0
	)

	for {
		began := time.Now()
		next, err := c.session(ctx, endpoint, notify)

		if ctx.Err() != nil {
			return nil //nolint:nilerr // the context ended, as it should.
		}

		if next != "" && redirects < maxRedirects {
			c.options.Logger.Info("discovery service redirects", "to", next)
			endpoint = next
			redirects++

			continue
		}

		redirects = 0

		// A session that went well for a while starts the backoff over.
		if time.Since(began) > c.options.MaxBackoff {
			backoff = c.options.MinBackoff
		}

		c.options.Logger.Warn("lost touch with discovery service", "endpoint", endpoint, "retry", backoff, "error", err)

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Duration(float64(backoff) * (0.5 + rand.Float64()))):
		}

		backoff = min(2*backoff, c.options.MaxBackoff)
		// A redirection may have led nowhere.
		endpoint = c.options.Endpoint
	}
}

// Delete tells the service to forget this node, for one that leaves the cluster.
// From then on nothing is told about it, even when Delete fails; the others are
// still followed.
func (c *Client) Delete(ctx context.Context) error {
	c.mu.Lock()
	c.left = true
	c.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	// What is being written would bring the note back.
	release, err := c.acquire(ctx)
	if err != nil {
		return fmt.Errorf("deleting this node from discovery service: %w", err)
	}
	defer release()

	endpoint := c.options.Endpoint

	for range maxRedirects + 1 {
		next, err := c.deleteAt(ctx, endpoint)
		if err != nil || next == "" {
			return err
		}

		endpoint = next
	}

	return fmt.Errorf("deleting this node from discovery service: it redirects more than %d times", maxRedirects)
}

// deleteAt deletes the note from one service, or returns where that redirects
// to.
func (c *Client) deleteAt(ctx context.Context, endpoint string) (redirect string, err error) {
	conn, err := c.dial(endpoint)
	if err != nil {
		return "", err
	}

	defer func() { err = errors.Join(err, conn.Close()) }()

	service := wire.NewClusterClient(conn)

	redirect, err = c.hello(ctx, service)
	if err != nil || redirect != "" && redirect != endpoint {
		return redirect, err
	}

	if _, err := service.AffiliateDelete(ctx, &wire.AffiliateDeleteRequest{
		ClusterId: c.options.ClusterID, AffiliateId: c.options.AffiliateID,
	}); err != nil {
		return "", fmt.Errorf("deleting this node from discovery service: %w", err)
	}

	return "", nil
}

// acquire waits until nobody else writes to the service.
func (c *Client) acquire(ctx context.Context) (release func(), err error) {
	select {
	case c.writing <- struct{}{}:
		return func() { <-c.writing }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Client) dial(endpoint string) (*grpc.ClientConn, error) {
	creds := insecure.NewCredentials()

	if !c.options.Insecure {
		config := &tls.Config{}
		if c.options.TLS != nil {
			config = c.options.TLS()
		}

		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
		creds = credentials.NewTLS(config)
	}

	options := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: max(10*time.Second, c.options.TTL/10), Timeout: 10 * time.Second, PermitWithoutStream: false,
		}),
	}

	// A proxy is given the name of the service, and looks up itself where it is.
	if c.options.Dial != nil {
		endpoint = "passthrough:///" + endpoint
		options = append(options, grpc.WithContextDialer(c.options.Dial))
	}

	conn, err := grpc.NewClient(endpoint, options...)
	if err != nil {
		return nil, fmt.Errorf("preparing connection to discovery service: %w", err)
	}

	return conn, nil
}

// session is one connection to the service, from hello to the end. The result
// is where the service redirects to, or why the session ended.
func (c *Client) session(ctx context.Context, endpoint string, notify func()) (redirect string, err error) {
	conn, err := c.dial(endpoint)
	if err != nil {
		return "", err
	}

	defer func() { err = errors.Join(err, conn.Close()) }()

	service := wire.NewClusterClient(conn)

	redirect, err = c.hello(ctx, service)
	if err != nil || redirect != "" && redirect != endpoint {
		return redirect, err
	}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.tell(ctx, service) })
	group.Go(func() error { return c.listen(ctx, service, notify) })

	return "", group.Wait()
}

func (c *Client) hello(ctx context.Context, service wire.ClusterClient) (redirect string, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	response, err := service.Hello(ctx, &wire.HelloRequest{ClusterId: c.options.ClusterID, ClientVersion: c.options.Version})
	if err != nil {
		return "", fmt.Errorf("greeting discovery service: %w", err)
	}

	return response.GetRedirect().GetEndpoint(), nil
}

// tell writes this node's note, when it changes and before it expires.
func (c *Client) tell(ctx context.Context, service wire.ClusterClient) error {
	renew := time.NewTicker(c.options.TTL / 2)
	defer renew.Stop()

	for {
		if err := c.write(ctx, service); err != nil {
			return err
		}

		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-renew.C:
		case <-c.localChanged:
		}
	}
}

func (c *Client) write(ctx context.Context, service wire.ClusterClient) error {
	release, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()

	c.mu.Lock()
	local, left := c.local, c.left
	c.mu.Unlock()

	if local == nil || left {
		return nil
	}

	request, err := c.request(*local)
	if err != nil {
		// Nothing that trying again could help.
		c.options.Logger.Error("telling discovery service about this node", "error", err)

		return nil
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()

	if _, err := service.AffiliateUpdate(ctx, request); err != nil {
		return fmt.Errorf("telling discovery service about this node: %w", err)
	}

	return nil
}

func (c *Client) request(local cluster.Affiliate) (*wire.AffiliateUpdateRequest, error) {
	message, err := toPlain(local)
	if err != nil {
		return nil, err
	}

	data, err := c.sealer.seal(message)
	if err != nil {
		return nil, err
	}

	request := &wire.AffiliateUpdateRequest{
		ClusterId: c.options.ClusterID, AffiliateId: c.options.AffiliateID,
		AffiliateData: data, Ttl: durationpb.New(c.options.TTL),
	}

	for _, endpoint := range local.KubeSpan.Endpoints {
		sealed, err := c.sealer.sealEndpoint(endpoint)
		if err != nil {
			return nil, err
		}

		request.AffiliateEndpoints = append(request.AffiliateEndpoints, sealed)
	}

	return request, nil
}

// listen follows the notes of all nodes. The first message has all of them.
func (c *Client) listen(ctx context.Context, service wire.ClusterClient, notify func()) error {
	stream, err := service.Watch(ctx, &wire.WatchRequest{ClusterId: c.options.ClusterID})
	if err != nil {
		return fmt.Errorf("watching discovery service: %w", err)
	}

	for first := true; ; first = false {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("watching discovery service: %w", err)
		}

		c.apply(response, first)
		notify()
	}
}

// apply changes what is known about other nodes.
func (c *Client) apply(response *wire.WatchResponse, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if all {
		clear(c.affiliates)
	}

	for _, sealed := range response.GetAffiliates() {
		id := sealed.GetId()

		if id == c.options.AffiliateID {
			continue
		}

		if response.GetDeleted() {
			delete(c.affiliates, id)

			continue
		}

		// Endpoints can be known before the node itself.
		if len(sealed.GetData()) == 0 {
			continue
		}

		affiliate, err := c.unseal(sealed)
		if err != nil {
			// Somebody who does not know the secret wrote it.
			c.options.Logger.Warn("ignoring an affiliate", "id", id, "error", err)

			continue
		}

		c.affiliates[id] = affiliate
	}
}

func (c *Client) unseal(sealed *wire.Affiliate) (cluster.Affiliate, error) {
	message, err := c.sealer.open(sealed.GetData())
	if err != nil {
		return cluster.Affiliate{}, err
	}

	affiliate, err := fromPlain(message)
	if err != nil {
		return cluster.Affiliate{}, err
	}

	for _, data := range sealed.GetEndpoints() {
		endpoint, err := c.sealer.openEndpoint(data)
		if err != nil {
			// A stranger can add endpoints, but must not hide the node by it.
			c.options.Logger.Warn("ignoring an endpoint", "id", sealed.GetId(), "error", err)

			continue
		}

		affiliate.KubeSpan.Endpoints = append(affiliate.KubeSpan.Endpoints, endpoint)
	}

	return affiliate, nil
}
