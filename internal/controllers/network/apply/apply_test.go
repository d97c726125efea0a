package apply

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// recorded are actions that remember.
type recorded struct {
	mu      sync.Mutex
	applied chan []string
	undone  []string
	refuse  bool
}

func (r *recorded) apply(specs []network.AddressSpec) error {
	var names []string
	for _, s := range specs {
		names = append(names, s.LinkName)
	}

	select {
	case r.applied <- names:
	default:
	}

	return nil
}

func (r *recorded) undo(spec network.AddressSpec, _ []network.AddressSpec) error {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.refuse {
		r.refuse = false

		return errors.New("not now")
	}

	r.undone = append(r.undone, spec.LinkName)

	return nil
}

// A spec stays until what was done about it is undone.
func TestActuator(t *testing.T) {
	t.Parallel()

	var (
		store   = resource.NewStore()
		engine  = reconcile.NewEngine(store, slog.New(slog.DiscardHandler))
		actions = &recorded{applied: make(chan []string, 1), refuse: true}
		done    = make(chan error, 1)
	)

	if err := engine.Register(actuator("test.Actuator", actions)); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- engine.Run(ctx) }()

	defer func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	if err := store.Create(ctx, resource.New("eth0", network.AddressSpec{LinkName: "eth0"}), "test"); err != nil {
		t.Fatal(err)
	}

	for names := range actions.applied {
		if slices.Equal(names, []string{"eth0"}) {
			break
		}
	}

	pointer := resource.PointerOf[network.AddressSpec]("eth0")
	if _, err := store.Teardown(ctx, pointer, "test"); err != nil {
		t.Fatal(err)
	}

	_, err := resource.WaitFor(ctx, store, "eth0", func(r *resource.Resource[network.AddressSpec]) bool {
		return len(r.Meta.Finalizers) == 0
	})
	if err != nil {
		t.Fatal(err)
	}

	actions.mu.Lock()
	defer actions.mu.Unlock()

	if !slices.Equal(actions.undone, []string{"eth0"}) {
		t.Errorf("undone: %v", actions.undone)
	}
}
