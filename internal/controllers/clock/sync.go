package clock

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/keep"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/clock"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/timesync"
)

// Dependencies are what the controllers of a node with a clock of its own need.
type Dependencies struct {
	Config *configured.Reader
	Clock  timesync.Clock
	Query  timesync.Query
	Now    func() time.Time
	Logger *slog.Logger
}

// Machine are all controllers of this package for a node that keeps its clock
// right by itself.
func Machine(d Dependencies) []reconcile.Controller {
	return []reconcile.Controller{newSync(d), Adjtime()}
}

// request is what the syncer is asked to do.
type request struct {
	servers []string
	nts     bool
}

// synchronizer is the controller that keeps the clock right.
type synchronizer struct {
	Dependencies

	started time.Time
	syncer  timesync.Syncer
	set     *keep.Set[request]

	mu     sync.Mutex
	state  timesync.State
	notify func()
}

func newSync(d Dependencies) *synchronizer {
	s := &synchronizer{
		Dependencies: d, started: d.Now(), notify: func() {},
		syncer: timesync.Syncer{Clock: d.Clock, Query: d.Query, Logger: d.Logger},
	}
	s.set = keep.New(s.run, nil)

	return s
}

// Name implements reconcile.Controller.
func (*synchronizer) Name() string { return "time.SyncController" }

// Inputs implements reconcile.Controller.
func (*synchronizer) Inputs() []reconcile.Input {
	return []reconcile.Input{configured.Input(), derive.In[network.TimeServerStatus](network.TimeServerID)}
}

// Outputs implements reconcile.Controller.
func (*synchronizer) Outputs() []reconcile.Output {
	return []reconcile.Output{reconcile.Out[clock.Status](), reconcile.Out[clock.NTPStatus]()}
}

// Reconcile implements reconcile.Controller.
func (s *synchronizer) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	cfg, err := s.Config.Read(ctx, rt)
	if err != nil {
		return err
	}

	// Without a configuration the clock is kept right too.
	enabled, timeout := true, time.Duration(0)
	if cfg != nil {
		settings := cfg.Machine().Time
		enabled, timeout = settings.Enabled, settings.BootTimeout
	}

	servers, err := derive.Find[network.TimeServerStatus](ctx, rt, network.TimeServerID)
	if err != nil {
		return err
	}

	s.mu.Lock()
	state := s.state
	s.mu.Unlock()

	status := clock.Status{Synced: state.Synced, Epoch: state.Epoch}
	wanted := map[string]request{}

	switch {
	case !enabled:
		status.Synced, status.SyncDisabled = true, true
	case servers != nil && len(servers.Spec.NTPServers) > 0:
		wanted["clock"] = request{servers: slices.Clone(servers.Spec.NTPServers), nts: servers.Spec.UseNTS}
	}

	s.set.Want(wanted)

	// What waits for the time waits for so long and no longer.
	if !status.Synced && timeout > 0 {
		if left := timeout - s.Now().Sub(s.started); left > 0 {
			rt.RequeueAfter(left)
		} else {
			status.Synced = true
		}
	}

	err = reconcile.Modify(ctx, rt, clock.StatusID, func(r *resource.Resource[clock.Status]) error {
		r.Spec = status

		return nil
	})
	if err != nil {
		return err
	}

	return reconcile.Modify(ctx, rt, clock.NTPStatusID, func(r *resource.Resource[clock.NTPStatus]) error {
		r.Spec = clock.NTPStatus{SpikeDetected: state.Spikes > 0, ConsecutiveSpikes: state.Spikes}

		return nil
	})
}

// Watch implements reconcile.Source: it keeps the clock right.
func (s *synchronizer) Watch(ctx context.Context, notify func()) error {
	s.mu.Lock()
	s.notify = notify
	s.mu.Unlock()

	s.set.Run(ctx)

	return nil
}

func (s *synchronizer) run(ctx context.Context, _ string, r request) {
	s.mu.Lock()
	state := s.state
	s.mu.Unlock()

	s.syncer.Run(ctx, r.servers, r.nts, state, func(state timesync.State) {
		s.mu.Lock()
		s.state = state
		notify := s.notify
		s.mu.Unlock()

		notify()
	})
}
