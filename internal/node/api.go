package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/internal/console"
	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/server/containers"
	"github.com/basalt-os/basalt/internal/server/stored"
	"github.com/basalt-os/basalt/internal/state"
	"github.com/basalt-os/basalt/internal/trust"
)

// stopCalls is how long calls may take to end when the API stops.
const stopCalls = 2 * time.Second

// serve offers the node's API on its sockets until ctx ends.
func (n *Node) serve(ctx context.Context) error {
	api, closeAPI, err := n.machineServer()
	if err != nil {
		return err
	}
	defer closeAPI()

	group, ctx := errgroup.WithContext(ctx)

	for _, socket := range []struct {
		path   string
		owner  int
		server *grpc.Server
	}{
		{machineSocket, gateway.User, api},
		{gateway.DefaultStateSocket, gateway.User, n.stateServer(gateway.User, gateway.StateTypes())},
		{console.Socket, console.User, api},
		{trust.DefaultStateSocket, trust.User, n.stateServer(trust.User, trust.StateTypes())},
	} {
		listener, err := listenUnix(socket.path, socket.owner)
		if err != nil {
			return err
		}

		group.Go(func() error { return serveUntil(ctx, socket.server, listener) })
	}

	return group.Wait()
}

// machineServer is the whole API, for processes that it knows by their user.
func (n *Node) machineServer() (*grpc.Server, func(), error) {
	facts := stored.New(n.store)

	services, err := server.New(server.Options{
		Logger:       n.logger,
		Platform:     server.Platform{Name: n.platform.name, Mode: string(n.platform.mode)},
		Machine:      lifecycle{n},
		Installation: n.installer,
		Meta:         values{Values: n.meta, platform: n.platform},
		Services:     n.supervisor,
		Logs:         n.book,
		Events:       n.events,
		Config:       configuration{n},
		Credentials:  facts,
		Etcd:         facts,
		Cluster:      facts,
		Clock:        facts,
		Containers:   containers.New(n.containerd),
		Images:       containers.NewImages(n.containerd, n.puller, n.store),
		Controllers:  n.engine,
		Disks:        n.disks(),
	})
	if err != nil {
		return nil, nil, err
	}

	authorizer := &rbac.Authorizer{
		Peers: rbac.PeersByUID(map[uint32]rbac.Grant{
			0:            {Roles: rbac.All},
			gateway.User: {Roles: rbac.All, Forwards: true},
			console.User: {Roles: rbac.Reader | rbac.MetaWriter},
		}),
		Maintenance: n.inMaintenance,
	}

	grpcServer := grpc.NewServer(
		grpc.Creds(rbac.PeerCredentials()),
		grpc.MaxRecvMsgSize(server.MaxMessageSize), grpc.MaxSendMsgSize(server.MaxMessageSize),
		grpc.ChainUnaryInterceptor(authorizer.Unary(), server.UnaryErrors),
		grpc.ChainStreamInterceptor(authorizer.Stream(), server.StreamErrors),
	)

	services.Register(grpcServer)
	state.New(n.store, n.table).Register(grpcServer)

	if err := rbac.Verify(grpcServer.GetServiceInfo()); err != nil {
		services.Close()

		return nil, nil, err
	}

	return grpcServer, services.Close, nil
}

// stateServer offers resources of a few types to one user. Others cannot open
// the socket; that it is asked again here guards against a wrong mode.
func (n *Node) stateServer(user uint32, types []string) *grpc.Server {
	allowed := func(ctx context.Context) error {
		if peer, ok := rbac.PeerFromContext(ctx); !ok || peer.UID != user {
			return status.Error(codes.PermissionDenied, "this socket is for another user")
		}

		return nil
	}

	grpcServer := grpc.NewServer(
		grpc.Creds(rbac.PeerCredentials()),
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			if err := allowed(ctx); err != nil {
				return nil, err
			}

			return handler(ctx, request)
		}),
		grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if err := allowed(stream.Context()); err != nil {
				return err
			}

			return handler(srv, stream)
		}),
	)

	state.NewFor(n.store, n.table, types...).Register(grpcServer)

	return grpcServer
}

// listenUnix listens on a socket for root and one user.
func listenUnix(path string, owner int) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing stale socket: %w", err)
	}

	listener, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", path, err)
	}

	if err := errors.Join(os.Chown(path, owner, owner), os.Chmod(path, 0o660)); err != nil {
		return nil, errors.Join(fmt.Errorf("giving socket to its user: %w", err), listener.Close())
	}

	return listener, nil
}

// serveUntil serves until ctx ends; calls then get a moment to end.
func serveUntil(ctx context.Context, s *grpc.Server, listener net.Listener) error {
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)

		hard := time.AfterFunc(stopCalls, s.Stop)
		defer hard.Stop()

		s.GracefulStop()
	})

	err := s.Serve(listener)
	if !stop() {
		<-stopped
	}

	if ctx.Err() != nil || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}

	return fmt.Errorf("serving on %s: %w", listener.Addr(), err)
}
