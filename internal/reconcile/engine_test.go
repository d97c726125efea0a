package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/datadriven"
	"go.uber.org/goleak"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The specs of the tests: wishes become plans, plans become one sum.
type (
	wish struct{ Text string }
	plan struct{ Text string }
	sum  struct{ Text string }
)

func definition(kind string) resource.Definition {
	return resource.Definition{Type: kind, Namespace: "test"}
}

func (wish) Definition() resource.Definition { return definition("Wishes") }
func (plan) Definition() resource.Definition { return definition("Plans") }
func (sum) Definition() resource.Definition  { return definition("Sums") }

// clockwork is an actuator with a source that breaks and a requeue.
type clockwork struct{ strike chan string }

func (*clockwork) Name() string              { return "clockwork" }
func (*clockwork) Inputs() []reconcile.Input { return nil }
func (*clockwork) Outputs() []reconcile.Output {
	return []reconcile.Output{reconcile.Out[wish]().AsShared()}
}

func (c *clockwork) Reconcile(_ context.Context, rt *reconcile.Runtime) error {
	rt.RequeueAfter(time.Hour)

	return nil
}

func (c *clockwork) Watch(ctx context.Context, notify func()) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case how := <-c.strike:
			if how == "break" {
				return errors.New("a spring broke")
			}

			notify()
		}
	}
}

// traced remembers that a controller ran. How often it did depends on how
// changes coalesce, and is not told.
type traced struct {
	reconcile.Controller

	t *trace
}

func (c traced) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	c.t.mu.Lock()
	c.t.ran[c.Name()] = true
	c.t.mu.Unlock()

	return c.Controller.Reconcile(ctx, rt)
}

type tracedSource struct {
	traced
	reconcile.Source
}

func (c tracedSource) Name() string                { return c.traced.Name() }
func (c tracedSource) Inputs() []reconcile.Input   { return c.traced.Inputs() }
func (c tracedSource) Outputs() []reconcile.Output { return c.traced.Outputs() }
func (c tracedSource) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	return c.traced.Reconcile(ctx, rt)
}

// trace runs an engine and the commands of a test file.
type trace struct {
	t      *testing.T
	store  *resource.Store
	engine *reconcile.Engine
	strike chan string

	mu   sync.Mutex
	ran  map[string]bool
	text strings.Builder
}

func (tr *trace) printf(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()

	fmt.Fprintf(&tr.text, format+"\n", args...)
}

// flush waits until nothing happens any more and returns what did.
func (tr *trace) flush() string {
	synctest.Wait()

	tr.mu.Lock()
	defer tr.mu.Unlock()

	ran := strings.Join(slices.Sorted(maps.Keys(tr.ran)), ", ")
	if ran != "" {
		ran = "ran: " + ran + "\n"
	}

	defer tr.text.Reset()
	defer clear(tr.ran)

	return tr.text.String() + ran
}

// TestTraces plays the files of testdata: commands to a store and an engine,
// and what follows from them. Time is that of a synctest bubble.
func TestTraces(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			store := resource.NewStore(resource.WithVerification())

			tr := &trace{t: t, store: store, strike: make(chan string), ran: map[string]bool{}}
			tr.engine = reconcile.NewEngine(store, slog.New(slog.DiscardHandler),
				reconcile.WithJitter(func(time.Duration) time.Duration { return 0 }))

			clock := &clockwork{strike: tr.strike}

			for _, c := range []reconcile.Controller{
				traced{planner{}, tr}, traced{adder{}, tr}, tracedSource{traced{clock, tr}, clock},
			} {
				if err := tr.engine.Register(c); err != nil {
					t.Fatal(err)
				}
			}

			done := make(chan error, 1)

			go func() { done <- tr.engine.Run(ctx) }()

			datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
				if err := tr.command(d); err != nil {
					tr.printf("error: %v", err)
				}

				return tr.flush()
			})

			cancel()

			if err := <-done; err != nil {
				t.Error(err)
			}

			store.Verify()
		})
	})
}

func (tr *trace) command(d *datadriven.TestData) error {
	ctx := tr.t.Context()
	synctest.Wait()

	arg := func(i int) string { return d.CmdArgs[i].Key }

	switch d.Cmd {
	case "start":
		return nil
	case "wish":
		return tr.wish(arg(0), strings.TrimSpace(d.Input))
	case "teardown":
		ready, err := tr.store.Teardown(ctx, resource.PointerOf[wish](arg(0)), "")
		if err == nil {
			tr.printf("ready: %t", ready)
		}

		return err
	case "destroy":
		return tr.store.Destroy(ctx, resource.PointerOf[wish](arg(0)), "")
	case "hold":
		return tr.store.AddFinalizer(ctx, resource.PointerOf[plan](arg(0)), "test")
	case "release":
		return tr.store.RemoveFinalizer(ctx, resource.PointerOf[plan](arg(0)), "test")
	case "strike":
		tr.strike <- arg(0)
	case "wait":
		d, err := time.ParseDuration(arg(0))
		if err != nil {
			return err
		}

		time.Sleep(d)
	case "show":
		return tr.show()
	case "status":
		return tr.status(len(d.CmdArgs) > 0)
	case "graph":
		tr.printf("%s", strings.TrimSpace(tr.engine.Graph().String()))
	case "why":
		return tr.why(arg(0), arg(1))
	default:
		return fmt.Errorf("unknown command %q", d.Cmd)
	}

	return nil
}

// wish makes a wish, or changes it.
func (tr *trace) wish(id, text string) error {
	current, err := resource.Get[wish](tr.t.Context(), tr.store, id)
	if errors.Is(err, resource.ErrNotFound) {
		return tr.store.Create(tr.t.Context(), resource.New(id, wish{text}), "")
	} else if err != nil {
		return err
	}

	changed := current.Copy()
	changed.Spec.Text = text

	return tr.store.Update(tr.t.Context(), changed, "")
}

// show prints all resources but the statuses.
func (tr *trace) show() error {
	for _, kind := range tr.store.Kinds() {
		if kind == resource.KindOf[reconcile.Status]() {
			continue
		}

		objects, err := tr.store.List(tr.t.Context(), kind)
		if err != nil {
			return err
		}

		for _, object := range objects {
			meta := object.Metadata()
			tr.printf("%s/%s@%d %s %v %v", meta.Type, meta.ID, meta.Version, meta.Phase, meta.Finalizers, object.SpecValue())
		}
	}

	return nil
}

// status prints what the controllers say of themselves.
func (tr *trace) status(counted bool) error {
	statuses, err := resource.List[reconcile.Status](tr.t.Context(), tr.store)
	if err != nil {
		return err
	}

	for _, s := range statuses {
		tr.printf("%s: %s", s.Meta.ID, s.Spec.State)

		for _, line := range []string{s.Spec.WaitingFor, s.Spec.Reason, s.Spec.Error} {
			if line != "" {
				tr.printf("  %s", line)
			}
		}

		if s.Spec.Failures > 0 && counted {
			tr.printf("  failures: %d", s.Spec.Failures)
		}
	}

	return nil
}

// why explains what a client of the API would see.
func (tr *trace) why(kind, id string) error {
	ctx := tr.t.Context()

	list, err := resource.List[reconcile.Status](ctx, tr.store)
	if err != nil {
		return err
	}

	statuses := map[string]reconcile.Status{}
	for _, s := range list {
		statuses[s.Meta.ID] = s.Spec
	}

	situation := reconcile.Situation{
		Graph:    reconcile.GraphOf(statuses),
		Statuses: statuses,
		Present: func(i reconcile.Input) bool {
			objects, _ := tr.store.List(ctx, resource.Kind{Namespace: i.Namespace, Type: i.Type})
			for _, object := range objects {
				if i.ID == "" || i.ID == object.Metadata().ID {
					return true
				}
			}

			return false
		},
	}

	for _, sentence := range situation.Why(resource.Pointer{Namespace: "test", Type: kind, ID: id}) {
		tr.printf("%s", sentence)
	}

	return nil
}
