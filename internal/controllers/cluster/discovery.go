package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/discovery"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// finder runs a client for each discovery service.
type finder struct {
	Dependencies

	mu       sync.Mutex
	services cluster.Config
	node     string
	clients  []*discovery.Client
	told     *cluster.Affiliate // to the clients, about this node
	changed  chan struct{}
}

// DiscoveryServiceName is the controller that talks to the discovery services. A
// [runtime.MachineResetSignal] with a finalizer of this name is kept by it until
// the services have forgotten this node.
const DiscoveryServiceName = "cluster.DiscoveryServiceController"

// DiscoveryService finds the other nodes by discovery services, until the machine
// is reset.
func DiscoveryService(d Dependencies) reconcile.Controller {
	f := &finder{Dependencies: d, changed: make(chan struct{}, 1)}

	controller := derive.AllIn(DiscoveryServiceName, cluster.RawNamespaceName,
		[]reconcile.Input{
			derive.In[runtime.MachineResetSignal](runtime.MachineResetSignalID).Strong(),
			derive.In[cluster.Config](cluster.ConfigID),
			derive.In[cluster.Identity](cluster.LocalIdentityID),
			reconcile.InIn[cluster.Affiliate](cluster.RawNamespaceName),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]cluster.Affiliate, error) {
			reset, err := derive.Find[runtime.MachineResetSignal](ctx, rt, runtime.MachineResetSignalID)
			if err != nil {
				return nil, err
			}

			if reset != nil {
				if err := f.leave(ctx); err != nil {
					return nil, err
				}

				return f.others(), rt.RemoveFinalizer(ctx, reset.Meta.Pointer())
			}

			config, err := derive.Need[cluster.Config](ctx, rt, cluster.ConfigID)
			if err != nil {
				return nil, err
			}

			identity, err := derive.Need[cluster.Identity](ctx, rt, cluster.LocalIdentityID)
			if err != nil {
				return nil, err
			}

			if err := f.follow(config.Spec, identity.Spec.NodeID); err != nil {
				return nil, err
			}

			local, err := resource.ListIn[cluster.Affiliate](ctx, rt, cluster.RawNamespaceName)
			if err != nil {
				return nil, err
			}

			for _, r := range local {
				if r.Meta.ID == rawLocal+identity.Spec.NodeID {
					f.tell(r.Spec)
				}
			}

			return f.others(), nil
		})

	return derive.Watched(controller, f.run)
}

// follow makes the clients of the configured services, if those changed.
func (f *finder) follow(services cluster.Config, node string) error {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.node == node && resource.Equal(f.services, services) {
		return nil
	}

	var clients []*discovery.Client

	if services.DiscoveryEnabled {
		for _, s := range services.ServiceEndpoints {
			client, err := discovery.NewClient(discovery.ClientOptions{
				Endpoint: s.Endpoint, Insecure: s.Insecure, ClusterID: services.ServiceClusterID,
				Key: services.ServiceEncryptionKey, AffiliateID: node, Version: f.Version, TLS: f.TLS, Dial: f.Dial,
				Logger: f.Logger,
			})
			if err != nil {
				return fmt.Errorf("preparing discovery service %s: %w", s.Endpoint, err)
			}

			clients = append(clients, client)
		}
	}

	f.services, f.node, f.clients, f.told = services, node, clients, nil

	select {
	case f.changed <- struct{}{}:
	default:
	}

	return nil
}

// tell says what the services are to know about this node. It is said once:
// everything said goes to the services, and what comes back leads here again.
func (f *finder) tell(local cluster.Affiliate) {
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.told != nil && resource.Equal(*f.told, local) {
		return
	}

	f.told = &local

	for _, c := range f.clients {
		c.SetLocal(local)
	}
}

// leave has the services forget this node. It may be called again.
func (f *finder) leave(ctx context.Context) error {
	f.mu.Lock()
	clients := f.clients
	f.mu.Unlock()

	var wg sync.WaitGroup

	errs := make([]error, len(clients))

	for i, c := range clients {
		wg.Go(func() { errs[i] = c.Delete(ctx) })
	}

	wg.Wait()

	return errors.Join(errs...)
}

// others are the nodes that the services know. Those that several know are the
// same.
func (f *finder) others() map[string]cluster.Affiliate {
	f.mu.Lock()
	defer f.mu.Unlock()

	out := map[string]cluster.Affiliate{}

	for _, c := range f.clients {
		for _, a := range c.Affiliates() {
			if a.NodeID != f.node {
				out[rawService+a.NodeID] = a
			}
		}
	}

	return out
}

// run keeps the clients of the time going until ctx ends.
func (f *finder) run(ctx context.Context, notify func()) error {
	for ctx.Err() == nil {
		f.mu.Lock()
		clients := f.clients
		f.mu.Unlock()

		running, stop := context.WithCancel(ctx)

		var wg sync.WaitGroup

		for _, c := range clients {
			wg.Go(func() {
				if err := c.Run(running, notify); err != nil {
					f.Logger.Warn("discovery ended", "error", err)
				}
			})
		}

		select {
		case <-ctx.Done():
		case <-f.changed:
		}

		stop()
		wg.Wait()
	}

	return nil
}
