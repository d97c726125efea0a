// Package reconciletest runs controllers in tests.
package reconciletest

import (
	"context"
	"log/slog"
	"sync"
	"testing"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
)

// Run runs controllers on a store until the test ends, or until what it returns
// is called, which waits for their end. An error of the engine fails the test;
// what the controllers log is the test's output.
func Run(t *testing.T, store *resource.Store, controllers ...reconcile.Controller) (stop func()) {
	t.Helper()

	engine := reconcile.NewEngine(store, slog.New(slog.NewTextHandler(t.Output(), nil)))

	for _, c := range controllers {
		if err := engine.Register(c); err != nil {
			t.Fatal(err)
		}
	}

	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)

	go func() { done <- engine.Run(ctx) }()

	stop = sync.OnceFunc(func() {
		cancel()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)

	return stop
}
