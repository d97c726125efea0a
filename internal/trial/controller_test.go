package trial

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
)

// fake is a machine with a clock that only the test moves.
type fake struct {
	mu      sync.Mutex
	record  Record
	now     time.Time
	blessed int
	gaveUp  string
	pokes   int
	store   *resource.Store
}

func (f *fake) Record() (Record, error) {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.record, nil
}

func (f *fake) Save(_ context.Context, record Record) error {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.record = record

	return nil
}

func (f *fake) Bless(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.blessed++

	return nil
}

func (f *fake) GiveUp(_ context.Context, reason string) error {
	f.mu.Lock()
	defer f.mu.Unlock()

	f.gaveUp = reason

	return nil
}

func (f *fake) EtcdMember() bool { return true }

func (f *fake) clock() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()

	return f.now
}

// advance moves the clock and lets the controller look at it.
func (f *fake) advance(t *testing.T, d time.Duration) {
	t.Helper()

	f.mu.Lock()
	f.now = f.now.Add(d)
	f.pokes++
	f.mu.Unlock()

	err := resource.Put(t.Context(), f.store, "test", "0x0c", runtime.MetaKey{Value: strconv.Itoa(f.pokes)})
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, f *fake) *resource.Store {
	t.Helper()

	store := f.store
	reconciletest.Run(t, store, Controller(Dependencies{
		Config: &configured.Reader{}, Machine: f, Begun: f.now, Now: f.clock,
	}))

	return store
}

func await(t *testing.T, store *resource.Store, holds func(Status) bool) Status {
	t.Helper()

	found, err := resource.WaitFor(t.Context(), store, StatusID, func(r *resource.Resource[Status]) bool {
		return r != nil && holds(r.Spec)
	})
	if err != nil {
		t.Fatal(err)
	}

	return found.Spec
}

func up(t *testing.T, store *resource.Store) {
	t.Helper()

	err := resource.Put(t.Context(), store, "test", network.StatusID, network.Status{AddressReady: true})
	if err != nil {
		t.Fatal(err)
	}

	if err := resource.Put(t.Context(), store, "test", "apid", v1alpha1.Service{Running: true, Healthy: true}); err != nil {
		t.Fatal(err)
	}
}

func newFake() *fake {
	return &fake{record: Begin(older, newer, "image", start).Boot(newer, start), now: start, store: resource.NewStore()}
}

func TestCommits(t *testing.T) {
	f := newFake()
	store := run(t, f)

	status := await(t, store, func(s Status) bool { return s.State == string(Trying) && len(s.Gates) == 4 })
	if status.Gates[0].Hold || status.Gates[0].Reason != "the machine has no address" {
		t.Errorf("gates are %+v", status.Gates)
	}

	up(t, store)
	await(t, store, func(s Status) bool { return !s.HoldingSince.IsZero() })

	f.advance(t, DefaultStable)

	status = await(t, store, func(s Status) bool { return s.State == string(Committed) })
	f.mu.Lock()
	defer f.mu.Unlock()

	if f.blessed == 0 || f.gaveUp != "" || status.Gates != nil {
		t.Errorf("blessed %d times, gave up for %q, gates %v", f.blessed, f.gaveUp, status.Gates)
	}
}

func TestGivesUp(t *testing.T) {
	f := newFake()
	store := run(t, f)

	await(t, store, func(s Status) bool { return s.State == string(Trying) })
	f.advance(t, DefaultWithin)

	// The record says why before the machine restarts.
	for {
		record, err := f.Record()
		if err != nil {
			t.Fatal(err)
		}

		if failure := record.Attempts[0].Failure; failure != "" {
			if !strings.Contains(failure, "network (the machine has no address), api (service apid is not running)") {
				t.Errorf("the failure is %q", failure)
			}

			return
		}

		if t.Context().Err() != nil {
			t.Fatal("the controller does not give up")
		}

		f.advance(t, 0)
	}
}
