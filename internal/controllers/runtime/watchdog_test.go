package runtime

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/watchdog"
)

// timers are the watchdogs of a machine that writes down what happens to them.
type timers struct {
	present []string // devices
	noSoft  bool     // the kernel has no timer of its own
	calls   []string
}

type timer struct {
	timers  *timers
	device  string
	timeout time.Duration
}

func (w *timers) Open(device string, timeout time.Duration) (watchdog.Timer, error) {
	if !slices.Contains(w.present, device) {
		return nil, fs.ErrNotExist
	}

	w.calls = append(w.calls, fmt.Sprintf("arm %s %s", device, timeout))

	return &timer{timers: w, device: device, timeout: timeout}, nil
}

func (w *timers) Fallback() error {
	if w.noSoft {
		return errors.New("no such module")
	}

	w.calls = append(w.calls, "fallback")
	w.present = append(w.present, watchdog.DefaultDevice)

	return nil
}

func (t *timer) Timeout() time.Duration { return t.timeout }
func (t *timer) Leave() error           { return nil }

func (t *timer) Feed() error {
	t.timers.calls = append(t.timers.calls, "feed "+t.device)

	return nil
}

func (t *timer) Disarm() error {
	t.timers.calls = append(t.timers.calls, "disarm "+t.device)

	return nil
}

// story runs the controller over a store; steps happen one after another, with
// nothing else to do in between.
func story(t *testing.T, timers *timers, steps ...func(ctx context.Context, store *resource.Store) error) *runtime.WatchdogTimerStatus {
	t.Helper()

	var status *runtime.WatchdogTimerStatus

	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()

		store := resource.NewStore()
		engine := reconcile.NewEngine(store, slog.New(slog.DiscardHandler))

		if err := engine.Register(WatchdogTimer(timers)); err != nil {
			t.Fatal(err)
		}

		done := make(chan error)

		go func() { done <- engine.Run(ctx) }()

		synctest.Wait()

		for _, step := range steps {
			if err := step(ctx, store); err != nil {
				t.Fatal(err)
			}

			<-time.After(50 * time.Millisecond) // what changes quickly is looked at once
			synctest.Wait()
		}

		if found, err := resource.Get[runtime.WatchdogTimerStatus](ctx, store, runtime.WatchdogTimerID); err == nil {
			status = &found.Spec
		}

		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	return status
}

func devicesReady(ctx context.Context, store *resource.Store) error {
	return resource.Put(ctx, store, "test", runtime.DevicesID, runtime.DevicesStatus{Ready: true})
}

func configure(device string, timeout time.Duration) func(context.Context, *resource.Store) error {
	return func(ctx context.Context, store *resource.Store) error {
		return resource.Put(ctx, store, "test", runtime.WatchdogTimerID, runtime.WatchdogTimerConfig{Device: device, Timeout: timeout})
	}
}

func wait(d time.Duration) func(context.Context, *resource.Store) error {
	return func(context.Context, *resource.Store) error {
		<-time.After(d)

		return nil
	}
}

func TestWatchdogTimer(t *testing.T) {
	for _, test := range []struct {
		about  string
		timers timers
		steps  []func(context.Context, *resource.Store) error
		want   []string
		status *runtime.WatchdogTimerStatus
	}{
		{
			about:  "the machine's own, fed three times in its time",
			timers: timers{present: []string{"/dev/watchdog0"}},
			steps:  []func(context.Context, *resource.Store) error{wait(201 * time.Second)},
			want:   []string{"arm /dev/watchdog0 5m0s", "feed /dev/watchdog0", "feed /dev/watchdog0", "feed /dev/watchdog0"},
			status: &runtime.WatchdogTimerStatus{Device: "/dev/watchdog0", Timeout: 5 * time.Minute, FeedInterval: 100 * time.Second},
		},
		{
			about:  "the configuration's",
			timers: timers{present: []string{"/dev/watchdog0", "/dev/watchdog1"}},
			steps:  []func(context.Context, *resource.Store) error{configure("/dev/watchdog1", 30*time.Second)},
			want: []string{
				"arm /dev/watchdog0 5m0s", "feed /dev/watchdog0", "disarm /dev/watchdog0", "arm /dev/watchdog1 30s", "feed /dev/watchdog1",
			},
			status: &runtime.WatchdogTimerStatus{Device: "/dev/watchdog1", Timeout: 30 * time.Second, FeedInterval: 10 * time.Second},
		},
		{
			about: "a machine without one",
			steps: []func(context.Context, *resource.Store) error{devicesReady},
			want:  []string{"fallback", "arm /dev/watchdog0 5m0s", "feed /dev/watchdog0"},
			status: &runtime.WatchdogTimerStatus{
				Device: "/dev/watchdog0", Timeout: 5 * time.Minute, FeedInterval: 100 * time.Second,
			},
		},
		{about: "a machine whose devices are not there yet"},
		{about: "a machine that cannot have one", timers: timers{noSoft: true}, steps: []func(context.Context, *resource.Store) error{devicesReady}},
		{
			about:  "a configured one that is not there has no stand-in",
			timers: timers{present: []string{"/dev/watchdog0"}},
			steps:  []func(context.Context, *resource.Store) error{devicesReady, configure("/dev/watchdog7", time.Minute)},
			want:   []string{"arm /dev/watchdog0 5m0s", "feed /dev/watchdog0", "feed /dev/watchdog0", "disarm /dev/watchdog0"},
		},
	} {
		status := story(t, &test.timers, test.steps...)

		if diff := cmp.Diff(test.want, test.timers.calls); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", test.about, diff)
		}

		if diff := cmp.Diff(test.status, status); diff != "" {
			t.Errorf("%s: status (-want +got):\n%s", test.about, diff)
		}
	}
}
