package host

import (
	"context"
	"fmt"
	"net"
	"sync"

	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/internal/discovery"
)

// serveDiscovery runs the cluster's discovery service until ctx ends. It keeps
// what it knows over a restart of the host process.
func (h *host) serveDiscovery(ctx context.Context, wg *sync.WaitGroup, failed chan<- error, listener net.Listener) {
	members := discovery.NewServer(discovery.ServerOptions{Snapshot: h.Folder.Path("discovery.snapshot"), Logger: h.Logger})
	server := grpc.NewServer(members.Limits()...)
	members.Register(server)

	wg.Go(func() {
		if err := members.Run(ctx); err != nil && ctx.Err() == nil {
			failed <- fmt.Errorf("running the discovery service: %w", err)
		}
	})
	wg.Go(func() {
		if err := server.Serve(listener); err != nil {
			failed <- fmt.Errorf("serving the discovery service: %w", err)
		}
	})
	wg.Go(func() {
		<-ctx.Done()
		server.Stop()
	})
}
