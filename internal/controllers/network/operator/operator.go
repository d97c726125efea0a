// Package operator runs the operators of links: programs such as a DHCP client
// that find out by themselves how a link is to be configured. What they find
// out is the operator layer of the network's configuration.
package operator

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/keep"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Task is what an operator is to do.
type Task struct {
	Spec   network.OperatorSpec // LinkName is the link's own name
	Logger *slog.Logger
	Clock  Clock
	// Hostname is the node's name, unless an operator found it out; empty while
	// there is none.
	Hostname func() string
	// Publish tells all that the operator knows. The specs belong to the
	// caller of Run then.
	Publish func(layer.Specs)
}

// Run operates a link until ctx ends. It publishes what it knows whenever that
// changes.
type Run func(ctx context.Context, task Task)

// Manager is the controller that runs operators while their specs are there
// and their links are up.
type Manager struct {
	operators map[network.Operator]Run
	logger    *slog.Logger
	clock     Clock
	set       *keep.Set[network.OperatorSpec]

	mu       sync.Mutex
	found    map[string]layer.Specs
	hostname string
	notify   func()
}

// New returns a manager of operators by kind. Specs of other kinds are left
// alone.
func New(logger *slog.Logger, clock Clock, operators map[network.Operator]Run) *Manager {
	m := &Manager{operators: operators, logger: logger, clock: clock, found: map[string]layer.Specs{}, notify: func() {}}
	m.set = keep.New(m.run, m.forget)

	return m
}

// Name implements reconcile.Controller.
func (*Manager) Name() string { return "network.OperatorSpecController" }

// Inputs implements reconcile.Controller.
func (*Manager) Inputs() []reconcile.Input {
	return []reconcile.Input{
		reconcile.In[network.OperatorSpec](), reconcile.In[network.LinkStatus](),
		derive.In[network.HostnameSpec](network.HostnameID),
	}
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

	wanted := m.wanted(specs, links)

	host, err := derive.Find[network.HostnameSpec](ctx, rt, network.HostnameID)
	if err != nil {
		return err
	}

	var found layer.Specs

	m.mu.Lock()
	m.hostname = ""
	if host != nil && host.Spec.ConfigLayer != network.ConfigLayerOperator {
		m.hostname = host.Spec.Hostname
	}

	for _, id := range slices.Sorted(maps.Keys(wanted)) {
		// A copy: what is written belongs to the store.
		specs := m.found[id]
		found.Append(specs.In(network.ConfigLayerOperator))
	}
	m.mu.Unlock()

	m.set.Want(wanted)

	return found.Write(ctx, rt, "operator")
}

// wanted are the operators that are to run, by their IDs. They have links by
// their own names. Of those that would do the same on a link that is named in
// two ways, the one of the highest layer runs.
func (m *Manager) wanted(
	specs []*resource.Resource[network.OperatorSpec], links []*resource.Resource[network.LinkStatus],
) map[string]network.OperatorSpec {
	present := make(map[string]network.LinkStatus, len(links))
	for _, link := range links {
		present[link.Meta.ID] = link.Spec
	}

	out, chosen := map[string]network.OperatorSpec{}, map[string]string{}

	for _, r := range specs {
		own, ok := network.LinkNamed(present, r.Spec.LinkName)
		runs := m.operators[r.Spec.Operator] != nil && ok && (present[own].LinkState || !r.Spec.RequireUp)

		if !runs || r.Meta.Phase != resource.Running {
			continue
		}

		spec := r.Copy().Spec
		spec.LinkName = own

		identity := layer.OperatorID(spec)
		if other, ok := chosen[identity]; ok {
			if out[other].ConfigLayer >= spec.ConfigLayer {
				continue
			}

			delete(out, other)
		}

		out[r.Meta.ID], chosen[identity] = spec, r.Meta.ID
	}

	return out
}

// Watch implements reconcile.Source: it runs the operators.
func (m *Manager) Watch(ctx context.Context, notify func()) error {
	m.mu.Lock()
	m.notify = notify
	m.mu.Unlock()

	m.set.Run(ctx)

	return nil
}

func (m *Manager) run(ctx context.Context, id string, spec network.OperatorSpec) {
	m.operators[spec.Operator](ctx, Task{
		Spec: spec, Logger: m.logger.With("operator", id), Clock: m.clock,
		Hostname: func() string {
			m.mu.Lock()
			defer m.mu.Unlock()

			return m.hostname
		},
		Publish: func(specs layer.Specs) {
			m.mu.Lock()
			m.found[id] = specs
			notify := m.notify
			m.mu.Unlock()

			notify()
		},
	})
}

// forget forgets what an operator found out.
func (m *Manager) forget(id string) {
	m.mu.Lock()
	delete(m.found, id)
	notify := m.notify
	m.mu.Unlock()

	notify()
}
