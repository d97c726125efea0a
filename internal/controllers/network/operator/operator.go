// Package operator runs the operators of links: programs such as a DHCP client
// that find out by themselves how a link is to be configured. What they find
// out is the operator layer of the network's configuration.
package operator

import (
	"context"
	"log/slog"
	"reflect"
	"sync"

	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Run operates a link until ctx ends. It calls publish with all that it knows
// whenever that changes; the specs belong to the caller then.
type Run func(ctx context.Context, logger *slog.Logger, spec network.OperatorSpec, publish func(layer.Specs))

// Manager is the controller that runs operators while their specs are there
// and their links are up.
type Manager struct {
	operators map[network.Operator]Run
	logger    *slog.Logger

	mu     sync.Mutex
	wanted map[string]network.OperatorSpec
	found  map[string]layer.Specs
	change chan struct{} // has an element when wanted changed
}

// New returns a manager of operators by kind. Specs of other kinds are left
// alone.
func New(logger *slog.Logger, operators map[network.Operator]Run) *Manager {
	return &Manager{
		operators: operators, logger: logger, found: map[string]layer.Specs{}, change: make(chan struct{}, 1),
	}
}

// Name implements reconcile.Controller.
func (*Manager) Name() string { return "network.OperatorSpecController" }

// Inputs implements reconcile.Controller.
func (*Manager) Inputs() []reconcile.Input {
	return []reconcile.Input{reconcile.In[network.OperatorSpec](), reconcile.In[network.LinkStatus]()}
}

// Outputs implements reconcile.Controller.
func (*Manager) Outputs() []reconcile.Output { return layer.Outputs() }

// Reconcile implements reconcile.Controller.
func (m *Manager) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	specs, err := resource.List[network.OperatorSpec](ctx, rt)
	if err != nil {
		return err
	}

	links, err := resource.List[network.LinkStatus](ctx, rt)
	if err != nil {
		return err
	}

	up := map[string]bool{}
	for _, link := range links {
		up[link.Meta.ID] = link.Spec.LinkState
	}

	wanted := map[string]network.OperatorSpec{}

	for _, spec := range specs {
		state, present := up[spec.Spec.LinkName]
		runs := m.operators[spec.Spec.Operator] != nil && present && (state || !spec.Spec.RequireUp)

		if runs && spec.Meta.Phase == resource.Running {
			wanted[spec.Meta.ID] = spec.Copy().Spec
		}
	}

	var found layer.Specs

	m.mu.Lock()
	m.wanted = wanted

	for id := range wanted {
		// A copy: what is written belongs to the store.
		specs := m.found[id]
		found.Append(specs.In(network.ConfigLayerOperator))
	}
	m.mu.Unlock()

	select {
	case m.change <- struct{}{}:
	default:
	}

	return found.Write(ctx, rt, "operator")
}

// running is an operator that runs.
type running struct {
	spec network.OperatorSpec
	stop context.CancelFunc
	done chan struct{}
}

// Watch implements reconcile.Source: it runs the operators.
func (m *Manager) Watch(ctx context.Context, notify func()) error {
	ctx, cancel := context.WithCancel(ctx)
	active := map[string]*running{}

	defer func() {
		cancel()

		for _, r := range active {
			<-r.done
		}
	}()

	for {
		m.mu.Lock()
		wanted := m.wanted
		m.mu.Unlock()

		for id, r := range active {
			if spec, ok := wanted[id]; ok && reflect.DeepEqual(spec, r.spec) {
				continue
			}

			r.stop()
			<-r.done
			delete(active, id)
			m.publish(id, nil)
		}

		for id, spec := range wanted {
			if active[id] == nil {
				active[id] = m.start(ctx, id, spec, notify)
			}
		}

		select {
		case <-ctx.Done():
			return nil
		case <-m.change:
		}
	}
}

func (m *Manager) start(ctx context.Context, id string, spec network.OperatorSpec, notify func()) *running {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{spec: spec, stop: cancel, done: make(chan struct{})}
	logger := m.logger.With("operator", id)

	go func() {
		defer close(r.done)

		m.operators[spec.Operator](ctx, logger, spec, func(specs layer.Specs) {
			m.publish(id, &specs)
			notify()
		})
	}()

	return r
}

// publish keeps what an operator found out; nil forgets it.
func (m *Manager) publish(id string, specs *layer.Specs) {
	m.mu.Lock()
	defer m.mu.Unlock()

	if specs == nil {
		delete(m.found, id)
	} else {
		m.found[id] = *specs
	}
}
