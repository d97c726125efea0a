// Package keep runs a goroutine for each of a changing set of specs.
package keep

import (
	"context"
	"reflect"
	"sync"
)

// Set is a set of specs with a goroutine each. A spec that changes has its
// goroutine ended and another one started. It is safe for concurrent use.
type Set[S any] struct {
	run   func(ctx context.Context, id string, spec S)
	ended func(id string)

	mu     sync.Mutex
	wanted map[string]S
	change chan struct{} // has an element when wanted changed
}

// New returns an empty set. run runs until its ctx ends; when it returns
// earlier, it is not started again before its spec changes. ended, which may be
// nil, is called after a goroutine was ended because its spec changed or went.
func New[S any](run func(ctx context.Context, id string, spec S), ended func(id string)) *Set[S] {
	return &Set[S]{run: run, ended: ended, change: make(chan struct{}, 1)}
}

// Want sets the specs. They belong to the set afterwards.
func (s *Set[S]) Want(specs map[string]S) {
	s.mu.Lock()
	s.wanted = specs
	s.mu.Unlock()

	select {
	case s.change <- struct{}{}:
	default:
	}
}

// running is a goroutine.
type running[S any] struct {
	spec S
	stop context.CancelFunc
	done chan struct{}
}

// Run runs the goroutines until ctx ends and all of them have.
func (s *Set[S]) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	active := map[string]*running[S]{}

	defer func() {
		cancel()

		for _, r := range active {
			<-r.done
		}
	}()

	for {
		s.mu.Lock()
		wanted := s.wanted
		s.mu.Unlock()

		s.stop(active, wanted)

		for id, spec := range wanted {
			if active[id] == nil {
				active[id] = s.start(ctx, id, spec)
			}
		}

		select {
		case <-ctx.Done():
			return
		case <-s.change:
		}
	}
}

// stop ends what is no longer wanted. They end at the same time.
func (s *Set[S]) stop(active map[string]*running[S], wanted map[string]S) {
	var ending []string

	for id, r := range active {
		if spec, ok := wanted[id]; !ok || !reflect.DeepEqual(spec, r.spec) {
			r.stop()
			ending = append(ending, id)
		}
	}

	for _, id := range ending {
		<-active[id].done
		delete(active, id)

		if s.ended != nil {
			s.ended(id)
		}
	}
}

func (s *Set[S]) start(ctx context.Context, id string, spec S) *running[S] {
	ctx, cancel := context.WithCancel(ctx)
	r := &running[S]{spec: spec, stop: cancel, done: make(chan struct{})}

	go func() {
		defer close(r.done)
		defer cancel()

		s.run(ctx, id, spec)
	}()

	return r
}
