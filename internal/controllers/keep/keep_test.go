package keep_test

import (
	"context"
	"testing"

	"github.com/basalt-os/basalt/internal/controllers/keep"
)

func TestSet(t *testing.T) {
	t.Parallel()

	events := make(chan string, 16)
	set := keep.New(
		func(ctx context.Context, id string, spec int) {
			events <- id + " runs"

			if spec == 0 {
				return
			}

			<-ctx.Done()
			events <- id + " stops"
		},
		func(id string) { events <- id + " ended" })

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})

	go func() { defer close(done); set.Run(ctx) }()

	expect := func(want ...string) {
		t.Helper()

		for _, w := range want {
			if got := <-events; got != w {
				t.Fatalf("%q, want %q", got, w)
			}
		}
	}

	set.Want(map[string]int{"a": 1})
	expect("a runs")

	set.Want(map[string]int{"a": 2})
	expect("a stops", "a ended", "a runs")

	// What is as it was goes on.
	set.Want(map[string]int{"a": 2, "b": 0})
	expect("b runs")

	set.Want(map[string]int{"b": 0})
	expect("a stops", "a ended")

	set.Want(map[string]int{"c": 1})
	expect("b ended", "c runs")

	cancel()
	<-done
	expect("c stops")
}
