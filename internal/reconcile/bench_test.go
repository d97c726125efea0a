package reconcile_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
)

// BenchmarkChain measures how long a change takes through a chain of two
// controllers, among so many other inputs.
func BenchmarkChain(b *testing.B) {
	for _, others := range []int{0, 100, 10_000} {
		b.Run(fmt.Sprintf("inputs=%d", others), func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context())
			store := resource.NewStore()

			for i := range others {
				if err := store.Create(ctx, resource.New(fmt.Sprintf("other-%05d", i), wish{Text: "skip"}), ""); err != nil {
					b.Fatal(err)
				}
			}

			engine := reconcile.NewEngine(store, slog.New(slog.DiscardHandler))

			for _, c := range []reconcile.Controller{planner{}, adder{}} {
				if err := engine.Register(c); err != nil {
					b.Fatal(err)
				}
			}

			done := make(chan error, 1)

			go func() { done <- engine.Run(ctx) }()

			b.ReportAllocs()

			for i := 0; b.Loop(); i++ {
				chain(b, store, i)
			}

			cancel()

			if err := <-done; err != nil {
				b.Error(err)
			}
		})
	}
}

// chain changes the wish and waits for the sum.
func chain(b *testing.B, store *resource.Store, i int) {
	text := fmt.Sprint(i)

	err := store.Create(b.Context(), resource.New("a", wish{Text: text}), "")
	for err != nil {
		current, getErr := resource.Get[wish](b.Context(), store, "a")
		if getErr != nil {
			b.Fatal(getErr)
		}

		// The planner may put its finalizer on in between: then once more.
		changed := current.Copy()
		changed.Spec.Text = text
		err = store.Update(b.Context(), changed, "")
	}

	_, err = resource.WaitFor(b.Context(), store, "sum", func(s *resource.Resource[sum]) bool {
		return s != nil && s.Spec.Text == text
	})
	if err != nil {
		b.Fatal(err)
	}
}
