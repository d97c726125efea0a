package trial

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/clock"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Defaults of a [Policy].
const (
	DefaultWithin = 10 * time.Minute
	DefaultStable = 30 * time.Second
)

// DefaultGates are what is asked for when the configuration does not say.
func DefaultGates() []string { return []string{"network", "api", "kubelet", "etcd"} }

// Machine is what the controller does to the machine, and what it is told.
type Machine interface {
	// Record is the record in META.
	Record() (Record, error)
	// Save writes the record to META.
	Save(ctx context.Context, record Record) error
	// Bless tells the boot loader that the running version stays.
	Bless(ctx context.Context) error
	// GiveUp restarts the machine, because the running version is no good.
	GiveUp(ctx context.Context, reason string) error
	// EtcdMember says whether the machine has data of etcd.
	EtcdMember() bool
}

// Dependencies are what the controller needs.
type Dependencies struct {
	Config  *configured.Reader
	Machine Machine
	// Begun is when this boot began, by Now.
	Begun time.Time
	Now   func() time.Time
}

// Controller judges the running version while it is on trial, and tells what
// became of the last upgrade.
func Controller(d Dependencies) reconcile.Controller {
	inputs := []reconcile.Input{
		configured.Input(),
		reconcile.In[runtime.MetaKey](), // the record is one
		reconcile.In[v1alpha1.Service](),
		derive.In[network.Status](network.StatusID),
		derive.In[clock.Status](clock.StatusID),
		reconcile.In[k8s.NodeStatus](),
	}

	return derive.One("runtime.TrialController", StatusID, inputs,
		func(ctx context.Context, rt *reconcile.Runtime, current Status) (Status, error) {
			record, err := d.Machine.Record()
			if err != nil {
				return current, err
			}

			if record.State != Trying {
				return record.Status(), nil
			}

			cfg, err := d.Config.Read(ctx, rt)
			if err != nil {
				return current, err
			}

			facts, err := readFacts(ctx, rt)
			if err != nil {
				return current, err
			}

			facts.configured, facts.etcdMember = cfg != nil, d.Machine.EtcdMember()
			policy := policyOf(cfg)

			return d.act(ctx, rt, current, Judge(record, policy, facts.gates(policy.Gates), d.Begun, current.HoldingSince, d.Now()),
				facts.gates(policy.Gates))
		})
}

// act carries out a judgement. The record is written before, so that whatever
// comes, it tells the truth.
func (d Dependencies) act(
	ctx context.Context, rt *reconcile.Runtime, current Status, j Judgement, gates []Gate,
) (Status, error) {
	if j.Action == Bless {
		if err := d.Machine.Bless(ctx); err != nil {
			return current, err
		}
	}

	if j.Changed {
		if err := d.Machine.Save(ctx, j.Record); err != nil {
			return current, err
		}
	}

	if j.Action == GiveUp {
		if err := d.Machine.GiveUp(ctx, j.Reason); err != nil {
			return current, err
		}
	}

	if j.Again > 0 {
		rt.RequeueAfter(j.Again)
	}

	status := j.Record.Status()
	status.HoldingSince = j.Since

	if j.Record.State == Trying {
		status.Gates = gates
	}

	return status, nil
}

// policyOf is what the configuration asks of a new version.
func policyOf(cfg *machineconfig.Config) Policy {
	policy := Policy{Gates: DefaultGates(), Within: DefaultWithin, Stable: DefaultStable}

	if cfg == nil {
		return policy
	}

	doc := machineconfig.Find[document.BootHealthConfig](cfg)
	if doc == nil {
		return policy
	}

	if len(doc.Gates) > 0 {
		policy.Gates = doc.Gates
	}

	if doc.Timeout > 0 {
		policy.Within = doc.Timeout
	}

	if doc.StableFor > 0 {
		policy.Stable = doc.StableFor
	}

	return policy
}

// facts are what gates are made of.
type facts struct {
	configured bool // the machine has a configuration
	etcdMember bool
	services   map[string]v1alpha1.Service
	network    *network.Status
	synced     bool
	nodeReady  bool
}

func readFacts(ctx context.Context, r resource.Reader) (facts, error) {
	f := facts{services: map[string]v1alpha1.Service{}}

	services, err := resource.List[v1alpha1.Service](ctx, r)
	if err != nil {
		return f, err
	}

	for _, s := range services {
		f.services[s.Meta.ID] = s.Spec
	}

	nodes, err := resource.List[k8s.NodeStatus](ctx, r)
	if err != nil {
		return f, err
	}

	for _, node := range nodes {
		f.nodeReady = f.nodeReady || node.Spec.NodeReady
	}

	net, err := derive.Find[network.Status](ctx, r, network.StatusID)
	if err == nil && net != nil {
		f.network = &net.Spec
	}

	sync, syncErr := derive.Find[clock.Status](ctx, r, clock.StatusID)
	f.synced = syncErr == nil && sync != nil && sync.Spec.Synced

	return f, errors.Join(err, syncErr)
}

// gates evaluates the gates of these names. Those that do not concern this
// machine hold.
func (f facts) gates(names []string) []Gate {
	gates := make([]Gate, 0, len(names))

	for _, name := range names {
		reason := f.missing(name)
		gates = append(gates, Gate{Name: name, Hold: reason == "", Reason: reason})
	}

	return gates
}

// missing says why a gate does not hold; it is empty when it does.
func (f facts) missing(name string) string {
	switch name {
	case "network":
		switch {
		case f.network == nil || !f.network.AddressReady:
			return "the machine has no address"
		case f.configured && !f.network.HostnameReady:
			return "the machine has no name"
		}
	case "time":
		if !f.synced {
			return "the clock is not in sync"
		}
	case "api":
		return f.unhealthy("apid")
	case "kubelet":
		if f.configured {
			return f.unhealthy("kubelet")
		}
	case "etcd":
		if f.configured && f.etcdMember {
			return f.unhealthy("etcd")
		}
	case "nodeReady":
		if f.configured && !f.nodeReady {
			return "the node is not Ready"
		}
	case "services":
		for _, id := range slices.Sorted(maps.Keys(f.services)) {
			if reason := f.unhealthy(id); reason != "" {
				return reason
			}
		}
	}

	return ""
}

// unhealthy says what is wrong with a service.
func (f facts) unhealthy(id string) string {
	s, ok := f.services[id]

	switch {
	case !ok || !s.Running:
		return "service " + id + " is not running"
	case s.Unknown:
		return "service " + id + " has not been checked yet"
	case !s.Healthy:
		return "service " + id + " is not healthy"
	}

	return ""
}
