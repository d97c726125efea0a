package derive_test

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/reconcile/reconciletest"
	"github.com/basalt-os/basalt/internal/resource"
)

// Source is an input of the tests: a number.
type Source struct {
	Number int `yaml:"number" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Source) Definition() resource.Definition {
	return resource.Definition{Type: "Sources.test.basalt.dev", Namespace: "test"}
}

// Result is an output.
type Result struct {
	Text string `yaml:"text" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Result) Definition() resource.Definition {
	return resource.Definition{Type: "Results.test.basalt.dev", Namespace: "test"}
}

func start(t *testing.T, controllers ...reconcile.Controller) *resource.Store {
	t.Helper()

	store := resource.NewStore()
	reconciletest.Run(t, store, controllers...)

	return store
}

func set(t *testing.T, store *resource.Store, number int) {
	t.Helper()

	current, err := resource.Get[Source](t.Context(), store, "source")
	if err != nil {
		err = store.Create(t.Context(), resource.New("source", Source{Number: number}), "test")
	} else {
		next := current.Copy()
		next.Spec.Number = number
		err = store.Update(t.Context(), next, "test")
	}

	if err != nil {
		t.Fatal(err)
	}
}

func await(t *testing.T, store *resource.Store, id, text string) {
	t.Helper()

	_, err := resource.WaitFor(t.Context(), store, id, func(r *resource.Resource[Result]) bool {
		if text == "" {
			return r == nil
		}

		return r != nil && r.Spec.Text == text
	})
	if err != nil {
		t.Fatalf("waiting for %q of %s: %v", text, id, err)
	}
}

func TestAll(t *testing.T) {
	t.Parallel()

	store := start(t, derive.All("test.All", []reconcile.Input{derive.In[Source]("source")},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]Result, error) {
			source, err := derive.Need[Source](ctx, rt, "source")
			if err != nil {
				return nil, err
			}

			out := map[string]Result{}
			for i := range source.Spec.Number {
				out[strconv.Itoa(i)] = Result{Text: "of " + strconv.Itoa(source.Spec.Number)}
			}

			return out, nil
		}))

	set(t, store, 2)
	await(t, store, "0", "of 2")
	await(t, store, "1", "of 2")

	// What is no longer computed goes.
	set(t, store, 1)
	await(t, store, "0", "of 1")
	await(t, store, "1", "")
}

func TestOne(t *testing.T) {
	t.Parallel()

	store := start(t, derive.One("test.One", "result", []reconcile.Input{derive.In[Source]("source")},
		func(ctx context.Context, rt *reconcile.Runtime, current Result) (Result, error) {
			source, err := derive.Need[Source](ctx, rt, "source")
			if err != nil {
				return Result{}, err
			}

			if source.Spec.Number == 0 {
				return derive.None[Result]()
			}

			// Called again at any time, it must come to the same.
			number := strconv.Itoa(source.Spec.Number)
			if strings.HasSuffix(current.Text, number) {
				return current, nil
			}

			return Result{Text: current.Text + number}, nil
		}))

	set(t, store, 1)
	await(t, store, "result", "1")

	// What there is, is seen.
	set(t, store, 2)
	await(t, store, "result", "12")

	set(t, store, 0)
	await(t, store, "result", "")

	set(t, store, 3)
	await(t, store, "result", "3")
}

func TestWatched(t *testing.T) {
	t.Parallel()

	events := make(chan int64)

	var last atomic.Int64

	controller := derive.Watched(
		derive.One("test.Watched", "result", nil, func(context.Context, *reconcile.Runtime, Result) (Result, error) {
			if n := last.Load(); n != 0 {
				return Result{Text: strconv.FormatInt(n, 10)}, nil
			}

			return derive.None[Result]()
		}),
		func(ctx context.Context, notify func()) error {
			for {
				select {
				case <-ctx.Done():
					return nil
				case n := <-events:
					last.Store(n)
					notify()
				}
			}
		})

	store := start(t, controller)

	events <- 7
	await(t, store, "result", "7")
}
