package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	wire "github.com/basalt-os/basalt/api/discovery"
	"github.com/basalt-os/basalt/internal/peerlimit"
)

// ServerOptions change how a server works. Zero values mean the defaults.
type ServerOptions struct {
	// Snapshot is the file that keeps the state over a restart; empty: none.
	Snapshot string
	// SnapshotEvery is 10 minutes, and CollectEvery, how often what was not
	// renewed is forgotten, 1 minute.
	SnapshotEvery, CollectEvery time.Duration
	// Redirect sends clients to another endpoint (host:port).
	Redirect string
	Now      func() time.Time
	Logger   *slog.Logger
}

// Server is the discovery service. It is safe for concurrent use.
//
//	server, err := discovery.NewServer(options)
//	grpcServer := grpc.NewServer(server.Limits()...)
//	server.Register(grpcServer)
//	go server.Run(ctx)
type Server struct {
	wire.UnimplementedClusterServer

	options ServerOptions

	mu       sync.Mutex
	registry *registry
}

// NewServer returns a server with what its snapshot has. A snapshot that cannot
// be read is not fatal, as nodes write everything again within minutes; it is
// logged.
func NewServer(options ServerOptions) *Server {
	if options.SnapshotEvery == 0 {
		options.SnapshotEvery = 10 * time.Minute
	}

	if options.CollectEvery == 0 {
		options.CollectEvery = time.Minute
	}

	if options.Now == nil {
		options.Now = time.Now
	}

	s := &Server{options: options, registry: newRegistry()}

	if options.Snapshot != "" {
		loaded, err := loadSnapshot(options.Snapshot, options.Now())
		if err != nil {
			options.Logger.Warn("starting without what was known before", "error", err)
		} else {
			s.registry = loaded
		}
	}

	return s
}

// Limits returns the options that a gRPC server should be made with: how often
// one address may call, and how large a message may be.
func (s *Server) Limits() []grpc.ServerOption {
	limiter := peerlimit.New(15, 60, s.options.Now)

	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(limiter.Unary()),
		grpc.ChainStreamInterceptor(limiter.Stream()),
		grpc.MaxRecvMsgSize(16 << 10),
		// Clients look every now and then whether the service is still there.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second}),
	}
}

// Register adds the service to a gRPC server.
func (s *Server) Register(registrar grpc.ServiceRegistrar) { wire.RegisterClusterServer(registrar, s) }

// Run forgets what is not renewed and writes snapshots until the context ends;
// then it writes a last one.
func (s *Server) Run(ctx context.Context) error {
	collect := time.NewTicker(s.options.CollectEvery)
	defer collect.Stop()

	snapshot := time.NewTicker(s.options.SnapshotEvery)
	defer snapshot.Stop()

	for {
		select {
		case <-ctx.Done():
			return s.Save()
		case <-collect.C:
			s.Collect()
		case <-snapshot.C:
			if err := s.Save(); err != nil {
				s.options.Logger.Error("keeping a snapshot", "error", err)
			}
		}
	}
}

// Collect forgets now what has not been renewed.
func (s *Server) Collect() {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.registry.expire(s.options.Now())
}

// Save writes the snapshot now, if there is a file for it.
func (s *Server) Save() error {
	if s.options.Snapshot == "" {
		return nil
	}

	s.mu.Lock()
	data, err := s.registry.snapshot()
	s.mu.Unlock()

	if err != nil {
		return err
	}

	return writeSnapshot(s.options.Snapshot, data)
}

// Hello tells a node the address that it comes from.
func (s *Server) Hello(ctx context.Context, req *wire.HelloRequest) (*wire.HelloResponse, error) {
	if err := checkID("cluster", req.GetClusterId()); err != nil {
		return nil, err
	}

	response := &wire.HelloResponse{}
	if s.options.Redirect != "" {
		response.Redirect = &wire.RedirectMessage{Endpoint: s.options.Redirect}
	}

	if address := peerlimit.Address(ctx); address.IsValid() {
		response.ClientIp = address.AsSlice()
	}

	return response, nil
}

// AffiliateUpdate writes a node's note, or endpoints that others found out.
func (s *Server) AffiliateUpdate(_ context.Context, req *wire.AffiliateUpdateRequest) (*wire.AffiliateUpdateResponse, error) {
	if err := checkUpdate(req); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	expires := s.options.Now().Add(req.GetTtl().AsDuration())

	err := s.registry.update(req.GetClusterId(), req.GetAffiliateId(), req.GetAffiliateData(), req.GetAffiliateEndpoints(), expires)
	if err != nil {
		return nil, statusOf(err)
	}

	return &wire.AffiliateUpdateResponse{}, nil
}

// AffiliateDelete removes a node's note.
func (s *Server) AffiliateDelete(_ context.Context, req *wire.AffiliateDeleteRequest) (*wire.AffiliateDeleteResponse, error) {
	if err := errors.Join(checkID("cluster", req.GetClusterId()), checkID("affiliate", req.GetAffiliateId())); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	s.registry.remove(req.GetClusterId(), req.GetAffiliateId())

	return &wire.AffiliateDeleteResponse{}, nil
}

// List returns all notes of a cluster.
func (s *Server) List(_ context.Context, req *wire.ListRequest) (*wire.ListResponse, error) {
	if err := checkID("cluster", req.GetClusterId()); err != nil {
		return nil, err
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	return &wire.ListResponse{Affiliates: toWire(s.registry.list(req.GetClusterId()))}, nil
}

// Watch sends all notes of a cluster, which may be none, and then every change.
// A client that cannot keep up has to start again.
func (s *Server) Watch(req *wire.WatchRequest, stream grpc.ServerStreamingServer[wire.WatchResponse]) error {
	if err := checkID("cluster", req.GetClusterId()); err != nil {
		return err
	}

	s.mu.Lock()
	notes, w, err := s.registry.watch(req.GetClusterId())
	s.mu.Unlock()

	if err != nil {
		return statusOf(err)
	}

	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()

		s.registry.unwatch(req.GetClusterId(), w)
	}()

	if err := stream.Send(&wire.WatchResponse{Affiliates: toWire(notes)}); err != nil {
		return err
	}

	for {
		select {
		case <-stream.Context().Done():
			return nil
		case what, ok := <-w.changes:
			if !ok {
				return status.Error(codes.Aborted, "the watcher was too slow: start again")
			}

			if err := stream.Send(&wire.WatchResponse{Affiliates: toWire([]note{what.note}), Deleted: what.deleted}); err != nil {
				return err
			}
		}
	}
}

func toWire(notes []note) []*wire.Affiliate {
	list := make([]*wire.Affiliate, 0, len(notes))
	for _, n := range notes {
		list = append(list, &wire.Affiliate{Id: n.id, Data: n.data, Endpoints: n.endpoints})
	}

	return list
}

// checkID returns a gRPC status with code InvalidArgument.
func checkID(what, id string) error {
	if id == "" || len(id) > maxID {
		return status.Errorf(codes.InvalidArgument, "%s ID has %d bytes, want 1 to %d", what, len(id), maxID)
	}

	return nil
}

func checkUpdate(req *wire.AffiliateUpdateRequest) error {
	if err := checkID("cluster", req.GetClusterId()); err != nil {
		return err
	}

	if err := checkID("affiliate", req.GetAffiliateId()); err != nil {
		return err
	}

	ttl := req.GetTtl()

	switch {
	case len(req.GetAffiliateData()) > maxData:
		return status.Errorf(codes.InvalidArgument, "affiliate has %d bytes, more than %d", len(req.GetAffiliateData()), maxData)
	case ttl.CheckValid() != nil || ttl.AsDuration() <= 0 || ttl.AsDuration() > maxTTL:
		return status.Errorf(codes.InvalidArgument, "TTL is %v, want more than 0 and at most %v", ttl.AsDuration(), maxTTL)
	}

	for _, endpoint := range req.GetAffiliateEndpoints() {
		if len(endpoint) == 0 || len(endpoint) > maxEndpoint {
			return status.Errorf(codes.InvalidArgument, "endpoint has %d bytes, want 1 to %d", len(endpoint), maxEndpoint)
		}
	}

	return nil
}

func statusOf(err error) error {
	if errors.Is(err, errLimit) {
		return status.Error(codes.ResourceExhausted, err.Error())
	}

	return fmt.Errorf("keeping affiliate: %w", err)
}
