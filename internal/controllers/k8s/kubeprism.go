package k8s

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/loadbalancer"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// kubePrismHost is where the load balancer listens, and where it finds the
// node's own API server.
const kubePrismHost = "127.0.0.1"

// KubePrismEndpoints collects where API servers are: at the cluster's address,
// on this node if it runs one, and on every other control plane that discovery
// knows.
func KubePrismEndpoints(reader *configured.Reader) reconcile.Controller {
	return derive.One("k8s.KubePrismEndpointsController", k8s.KubePrismEndpointsID,
		[]reconcile.Input{configured.Input(), reconcile.In[cluster.Member]()},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.KubePrismEndpoints) (k8s.KubePrismEndpoints, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return k8s.KubePrismEndpoints{}, err
			}

			if cfg == nil || !cfg.Machine().KubePrism.Enabled {
				return derive.None[k8s.KubePrismEndpoints]()
			}

			members, err := resource.List[cluster.Member](ctx, rt)
			if err != nil {
				return k8s.KubePrismEndpoints{}, err
			}

			return kubePrismEndpoints(cfg, members)
		})
}

func kubePrismEndpoints(cfg *machineconfig.Config, members []*resource.Resource[cluster.Member]) (k8s.KubePrismEndpoints, error) {
	var out k8s.KubePrismEndpoints

	add := func(host string, port uint32) {
		if e := (k8s.KubePrismEndpoint{Host: host, Port: port}); !slices.Contains(out.Endpoints, e) {
			out.Endpoints = append(out.Endpoints, e)
		}
	}

	c := cfg.Cluster()
	port := uint64(443)

	if text := c.Endpoint.Port(); text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil {
			return out, fmt.Errorf("parsing the port of the cluster's endpoint %s: %w", c.Endpoint.String(), err)
		}
	}

	add(c.Endpoint.Hostname(), uint32(port))

	if cfg.Machine().IsControlPlane() {
		add(kubePrismHost, uint32(c.APIServer.Port))
	}

	for _, m := range members {
		if m.Spec.ControlPlane == nil {
			continue
		}

		for _, address := range m.Spec.Addresses {
			add(address.String(), uint32(m.Spec.ControlPlane.APIServerPort))
		}
	}

	return out, nil
}

// KubePrismConfig says where the node's load balancer listens and what is
// behind it.
func KubePrismConfig(reader *configured.Reader) reconcile.Controller {
	return derive.One("k8s.KubePrismConfigController", k8s.KubePrismConfigID,
		[]reconcile.Input{configured.Input(), derive.In[k8s.KubePrismEndpoints](k8s.KubePrismEndpointsID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.KubePrismConfig) (k8s.KubePrismConfig, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return k8s.KubePrismConfig{}, err
			}

			if cfg == nil || !cfg.Machine().KubePrism.Enabled {
				return derive.None[k8s.KubePrismConfig]()
			}

			endpoints, err := derive.Need[k8s.KubePrismEndpoints](ctx, rt, k8s.KubePrismEndpointsID)
			if err != nil {
				return k8s.KubePrismConfig{}, err
			}

			return k8s.KubePrismConfig{
				Host: kubePrismHost, Port: cfg.Machine().KubePrism.Port, Endpoints: endpoints.Spec.Endpoints,
			}, nil
		})
}

// kubePrism runs one load balancer.
type kubePrism struct {
	logger   *slog.Logger
	balancer *loadbalancer.Balancer

	mu      sync.Mutex
	address string
	changed chan struct{}
}

// healthInterval is how often the load balancer's health is looked at.
const healthInterval = 5 * time.Second

// KubePrism runs the node's load balancer for the Kubernetes API and tells
// whether any API server answers.
func KubePrism(logger *slog.Logger) reconcile.Controller {
	prism := &kubePrism{logger: logger, balancer: loadbalancer.New(logger), changed: make(chan struct{}, 1)}

	controller := derive.One("k8s.KubePrismController", k8s.KubePrismStatusesID,
		[]reconcile.Input{derive.In[k8s.KubePrismConfig](k8s.KubePrismConfigID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.KubePrismStatuses) (k8s.KubePrismStatuses, error) {
			config, err := derive.Find[k8s.KubePrismConfig](ctx, rt, k8s.KubePrismConfigID)
			if err != nil {
				return k8s.KubePrismStatuses{}, err
			}

			if config == nil {
				prism.set("")

				return derive.None[k8s.KubePrismStatuses]()
			}

			var backends []string
			for _, e := range config.Spec.Endpoints {
				backends = append(backends, net.JoinHostPort(e.Host, fmt.Sprint(e.Port)))
			}

			address := net.JoinHostPort(config.Spec.Host, strconv.Itoa(config.Spec.Port))

			prism.balancer.SetBackends(backends)
			prism.set(address)
			rt.RequeueAfter(healthInterval)

			return k8s.KubePrismStatuses{Host: address, Healthy: prism.balancer.Healthy()}, nil
		})

	return derive.Watched(controller, prism.run)
}

func (p *kubePrism) set(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()

	if p.address == address {
		return
	}

	p.address = address

	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// run listens where the configuration says, until ctx ends.
func (p *kubePrism) run(ctx context.Context, _ func()) error {
	for {
		p.mu.Lock()
		address := p.address
		p.mu.Unlock()

		serving, stop := context.WithCancel(ctx)
		ended := make(chan error, 1)

		if address != "" {
			var config net.ListenConfig

			listener, err := config.Listen(ctx, "tcp", address)
			if err != nil {
				stop()

				return fmt.Errorf("listening for the Kubernetes API on %s: %w", address, err)
			}

			go func() { ended <- p.balancer.Serve(serving, listener) }()
		}

		select {
		case <-ctx.Done():
		case <-p.changed:
		case err := <-ended:
			stop()

			return err
		}

		stop()

		if address != "" {
			<-ended //nolint:errcheck // it ended because it was stopped
		}

		if ctx.Err() != nil {
			return nil
		}
	}
}
