package clock

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/clock"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/timesync"
)

// still is a clock that nothing happens to.
type still struct{}

func (still) Adjust(*unix.Timex) (int, error)      { return 0, nil }
func (still) After(time.Duration) <-chan time.Time { return nil }
func (still) Persist() error                       { return nil }

// run runs the controller; servers whose name is "good" answer.
func run(t *testing.T, now func() time.Time) *resource.Store {
	t.Helper()

	logger := slog.New(slog.DiscardHandler)
	store := resource.NewStore()
	reconciletest.Run(t, store, newSync(Dependencies{
		Config: &configured.Reader{}, Clock: still{}, Now: now, Logger: logger,
		Query: func(_ context.Context, server string, _ bool) (timesync.Sample, error) {
			if server != "good" {
				return timesync.Sample{}, errors.New("no answer")
			}

			return timesync.Sample{Offset: time.Hour}, nil
		},
	}))

	return store
}

func await(t *testing.T, store *resource.Store, want clock.Status) {
	t.Helper()

	_, err := resource.WaitFor(t.Context(), store, clock.StatusID, func(r *resource.Resource[clock.Status]) bool {
		return r != nil && r.Spec == want
	})
	if err != nil {
		t.Fatalf("waiting for %+v: %v", want, err)
	}
}

func create(t *testing.T, store *resource.Store, object resource.Object) {
	t.Helper()

	if err := store.Create(t.Context(), object, "test"); err != nil {
		t.Fatal(err)
	}
}

func servers(names ...string) resource.Object {
	return resource.New(network.TimeServerID, network.TimeServerStatus{NTPServers: names})
}

func TestSync(t *testing.T) {
	t.Parallel()

	store := run(t, time.Now)
	await(t, store, clock.Status{})

	create(t, store, servers("bad", "good"))
	await(t, store, clock.Status{Synced: true, Epoch: 1})
}

func TestDisabled(t *testing.T) {
	t.Parallel()

	store := run(t, time.Now)
	create(t, store, servers("bad"))
	create(t, store, resource.New(config.ActiveID, config.MachineConfig{
		Text: "apiVersion: v1alpha1\nkind: TimeSyncConfig\nenabled: false\n",
	}))
	await(t, store, clock.Status{Synced: true, SyncDisabled: true})
}

func TestBootTimeout(t *testing.T) {
	t.Parallel()

	var (
		mu  sync.Mutex
		now = time.Unix(1000, 0)
	)

	store := run(t, func() time.Time {
		mu.Lock()
		defer mu.Unlock()

		return now
	})

	create(t, store, servers("bad"))
	create(t, store, resource.New(config.ActiveID, config.MachineConfig{
		Text: "apiVersion: v1alpha1\nkind: TimeSyncConfig\nbootTimeout: 1m\n",
	}))
	await(t, store, clock.Status{})

	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()

	// Any event has it look again; on a machine it is the time itself.
	current, err := resource.Get[network.TimeServerStatus](t.Context(), store, network.TimeServerID)
	if err != nil {
		t.Fatal(err)
	}

	next := current.Copy()
	next.Spec.UseNTS = true

	if err := store.Update(t.Context(), next, "test"); err != nil {
		t.Fatal(err)
	}

	await(t, store, clock.Status{Synced: true})
}
