package runtime

import (
	"context"
	"maps"
	"sync"
)

// tasks keeps functions running, one for each key, and ends those whose keys
// are not wanted any more. A function that returns is not called again.
type tasks struct {
	changed chan struct{}

	mu     sync.Mutex
	wanted map[string]func(context.Context)
}

func newTasks() *tasks { return &tasks{changed: make(chan struct{}, 1)} }

// set says what shall run. The function of a key that runs already goes on.
func (t *tasks) set(wanted map[string]func(context.Context)) {
	t.mu.Lock()
	t.wanted = wanted
	t.mu.Unlock()

	select {
	case t.changed <- struct{}{}:
	default:
	}
}

// run is the source of a controller: it runs the functions until ctx ends, and
// returns when all of them have.
func (t *tasks) run(ctx context.Context, _ func()) error {
	var wg sync.WaitGroup
	defer wg.Wait()

	running := map[string]context.CancelFunc{}
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()

	for {
		t.mu.Lock()
		wanted := maps.Clone(t.wanted)
		t.mu.Unlock()

		for key, stop := range running {
			if wanted[key] == nil {
				stop()
				delete(running, key)
			}
		}

		for key, f := range wanted {
			if running[key] != nil {
				continue
			}

			task, stop := context.WithCancel(ctx)
			running[key] = stop

			wg.Go(func() { f(task) })
		}

		select {
		case <-t.changed:
		case <-ctx.Done():
			return nil
		}
	}
}
