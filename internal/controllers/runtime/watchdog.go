package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/watchdog"
)

// feedsPerTimeout is how often a watchdog is fed in the time after which it
// would restart the machine.
const feedsPerTimeout = 3

// minFeedInterval bounds how often a watchdog is fed.
const minFeedInterval = time.Second

// Watchdogs are the watchdog timers of the machine.
type Watchdogs interface {
	// Open arms a timer; see [watchdog.Open].
	Open(device string, timeout time.Duration) (watchdog.Timer, error)
	// Fallback makes the kernel's own timer available, for machines without
	// one. It cannot help when the kernel itself hangs.
	Fallback() error
}

// WatchdogTimer feeds the watchdog that the configuration names, or without one
// the machine's first, which stage 1 may have armed.
//
// The timer is fed by the reconciliation itself, and only after the store has
// answered: when the engine or the store hangs, the machine starts anew.
func WatchdogTimer(timers Watchdogs) reconcile.Controller {
	w := &feeder{timers: timers}

	return derive.Act("runtime.WatchdogTimerController",
		[]reconcile.Input{
			derive.In[runtime.WatchdogTimerConfig](runtime.WatchdogTimerID),
			// The timer's driver may be a module.
			derive.In[runtime.DevicesStatus](runtime.DevicesID),
		},
		[]reconcile.Output{reconcile.Out[runtime.WatchdogTimerStatus]()}, w.reconcile)
}

// feeder remembers the timer between reconciliations.
type feeder struct {
	timers Watchdogs

	want  runtime.WatchdogTimerConfig // what the timer was opened for
	timer watchdog.Timer              // nil while there is none
}

func (w *feeder) reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	config, err := derive.Find[runtime.WatchdogTimerConfig](ctx, rt, runtime.WatchdogTimerID)
	if err != nil {
		return err
	}

	devices, err := derive.Find[runtime.DevicesStatus](ctx, rt, runtime.DevicesID)
	if err != nil {
		return err
	}

	want := runtime.WatchdogTimerConfig{Device: watchdog.DefaultDevice, Timeout: watchdog.BootTimeout}
	if config != nil {
		want = config.Spec
	}

	ready := devices != nil && devices.Spec.Ready

	if err := w.arm(want, config == nil, ready); err != nil {
		return errors.Join(err, reconcile.Keep[runtime.WatchdogTimerStatus](ctx, rt, func(string) bool { return false }))
	}

	if w.timer == nil {
		return nil
	}

	if err := w.timer.Feed(); err != nil {
		return err
	}

	interval := max(w.timer.Timeout()/feedsPerTimeout, minFeedInterval)
	rt.RequeueAfter(interval)

	return reconcile.Modify(ctx, rt, runtime.WatchdogTimerID, func(r *resource.Resource[runtime.WatchdogTimerStatus]) error {
		r.Spec = runtime.WatchdogTimerStatus{Device: want.Device, Timeout: w.timer.Timeout(), FeedInterval: interval}

		return nil
	})
}

// arm makes the timer the wanted one. Without a configuration it is no error
// that the machine has no timer before its devices are there, and then the
// kernel's own takes its place.
func (w *feeder) arm(want runtime.WatchdogTimerConfig, byItself, ready bool) error {
	if w.timer != nil && w.want == want {
		return nil
	}

	if w.timer != nil {
		// The same one cannot be opened twice.
		if err := w.timer.Disarm(); err != nil {
			return fmt.Errorf("disarming the watchdog %s: %w", w.want.Device, err)
		}

		w.timer = nil
	}

	timer, err := w.timers.Open(want.Device, want.Timeout)

	if errors.Is(err, fs.ErrNotExist) && !ready {
		return nil
	}

	if errors.Is(err, fs.ErrNotExist) && byItself {
		if err := w.timers.Fallback(); err != nil {
			return nil //nolint:nilerr // a machine may be without any
		}

		timer, err = w.timers.Open(want.Device, want.Timeout)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}

	if err != nil {
		return err
	}

	w.timer, w.want = timer, want

	return nil
}
