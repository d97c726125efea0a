package resource_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/basalt-os/basalt/internal/resource"
)

// operation is one call on one resource.
type operation struct {
	name    string // "get", "create", "update", "destroy"
	id      string
	version uint64 // that an update expects
}

// outcome is what the call returned: the version read, and the kind of error.
type outcome struct {
	version uint64
	err     error
}

// model is the store as one thread sees it: the version of one resource, 0
// when there is none.
func model() porcupine.Model {
	return porcupine.Model{
		Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
			byID := map[string][]porcupine.Operation{}

			for _, o := range history {
				id := o.Input.(operation).id //nolint:forcetypeassert // recorded so below
				byID[id] = append(byID[id], o)
			}

			var parts [][]porcupine.Operation
			for _, part := range byID {
				parts = append(parts, part)
			}

			return parts
		},
		Init: func() any { return uint64(0) },
		Step: func(state, input, output any) (bool, any) {
			version, in, out := state.(uint64), input.(operation), output.(outcome) //nolint:forcetypeassert // recorded so below
			want, next := expect(version, in)

			return want == out, next
		},
		Equal: func(a, b any) bool { return a == b },
		DescribeOperation: func(input, output any) string {
			return fmt.Sprintf("%+v -> %+v", input, output)
		},
	}
}

// expect is what a call returns at a version of the resource, and the version
// after it.
func expect(version uint64, in operation) (outcome, uint64) {
	exists := version > 0

	switch {
	case in.name == "create" && exists:
		return outcome{err: resource.ErrExists}, version
	case in.name == "create":
		return outcome{}, 1
	case !exists:
		return outcome{err: resource.ErrNotFound}, 0
	case in.name == "get":
		return outcome{version: version}, version
	case in.name == "destroy":
		return outcome{}, 0
	case in.version != version:
		return outcome{err: resource.ErrConflict}, version
	default:
		return outcome{}, version + 1
	}
}

// perform makes a call on the store.
func perform(ctx context.Context, s *resource.Store, in operation) outcome {
	var (
		out outcome
		err error
	)

	switch in.name {
	case "get":
		var object resource.Object
		if object, err = s.Get(ctx, pointer(in.id)); err == nil {
			out.version = object.Metadata().Version
		}
	case "create":
		err = s.Create(ctx, resource.New(in.id, note{}), "")
	case "update":
		object := resource.New(in.id, note{})
		object.Meta.Version = in.version
		err = s.Update(ctx, object, "")
	default:
		err = s.Destroy(ctx, pointer(in.id), "")
	}

	for _, known := range []error{resource.ErrNotFound, resource.ErrExists, resource.ErrConflict} {
		if errors.Is(err, known) {
			out.err = known
		}
	}

	return out
}

func TestStoreIsLinearizable(t *testing.T) {
	const (
		clients = 8
		calls   = 400
	)

	var (
		s       = resource.NewStore()
		begin   = time.Now()
		names   = []string{"get", "get", "create", "update", "update", "update", "destroy"}
		history = make([][]porcupine.Operation, clients)
		wg      sync.WaitGroup
	)

	for client := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(client)))
			known := map[string]uint64{} // the version last read

			for range calls {
				in := operation{name: names[random.IntN(len(names))], id: string(rune('a' + random.IntN(3)))}
				if in.name == "update" {
					in.version = known[in.id]
				}

				called := time.Since(begin)
				out := perform(t.Context(), s, in)
				returned := time.Since(begin)

				switch {
				case in.name == "get":
					known[in.id] = out.version
				case in.name == "create" && out.err == nil:
					known[in.id] = 1
				case in.name == "update" && out.err == nil:
					known[in.id]++
				}

				history[client] = append(history[client], porcupine.Operation{
					ClientId: client, Input: in, Output: out, Call: called.Nanoseconds(), Return: returned.Nanoseconds(),
				})
			}
		})
	}

	wg.Wait()

	var all []porcupine.Operation
	for _, part := range history {
		all = append(all, part...)
	}

	if result := porcupine.CheckOperationsTimeout(model(), all, time.Minute); result != porcupine.Ok {
		t.Errorf("the history of %d calls is %s", len(all), result)
	}
}

// TestWatchersSeeOneOrder has writers and watchers run at the same time: every
// watcher sees the same events in the same order, none missing.
func TestWatchersSeeOneOrder(t *testing.T) {
	const (
		writers  = 4
		watchers = 8
		writes   = 200
	)

	s := resource.NewStore(resource.WithHistory(writers * writes))

	var wg sync.WaitGroup

	orders := make([][]string, watchers)

	for i := range watchers {
		w, err := s.Watch(t.Context(), resource.WatchRequest{Kind: resource.KindOf[note]()})
		if err != nil {
			t.Fatal(err)
		}

		wg.Go(func() {
			for range writers * writes {
				event, err := w.Next(t.Context())
				if err != nil {
					t.Error(err)

					return
				}

				orders[i] = append(orders[i], event.Object.Metadata().ID)
			}
		})
	}

	for writer := range writers {
		wg.Go(func() {
			for i := range writes {
				if err := s.Create(t.Context(), resource.New(fmt.Sprintf("%d-%d", writer, i), note{}), ""); err != nil {
					t.Error(err)
				}
			}
		})
	}

	wg.Wait()

	for i, order := range orders[1:] {
		if fmt.Sprint(order) != fmt.Sprint(orders[0]) {
			t.Errorf("watcher %d saw another order", i+1)
		}
	}
}
