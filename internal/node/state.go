package node

import (
	"context"
	"errors"
	"sync"
)

// stateFolder is the part of a node that outlives its reboots: STATE. A
// container has it from the start; a machine finds it on its disk, or gets it
// when it is installed, or has none. It is safe for concurrent use.
type stateFolder struct {
	settled chan struct{} // closes when it is known whether it was there at boot

	mu      sync.Mutex
	decided bool
	there   bool
	pending []func() error
}

func newStateFolder() *stateFolder { return &stateFolder{settled: make(chan struct{})} }

// wait returns whether the folder was there when the machine booted.
func (s *stateFolder) wait(ctx context.Context) (bool, error) {
	select {
	case <-s.settled:
	case <-ctx.Done():
		return false, ctx.Err()
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	return s.there, nil
}

// arrive says that the folder is there now. What waited for it is done, in its
// order; the errors are returned.
func (s *stateFolder) arrive() error {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.there = true
	s.settle()

	var errs []error
	for _, f := range s.pending {
		errs = append(errs, f())
	}

	s.pending = nil

	return errors.Join(errs...)
}

// absent says that there is no folder yet.
func (s *stateFolder) absent() {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.settle()
}

// leave says that the folder is about to go. It returns whether it was there.
func (s *stateFolder) leave() bool {
	s.mu.Lock()
	defer s.mu.Unlock()

	there := s.there
	s.there = false

	return there
}

func (s *stateFolder) settle() {
	if !s.decided {
		s.decided = true
		close(s.settled)
	}
}

// whenThere calls f, now if the folder is there and else when it arrives.
func (s *stateFolder) whenThere(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	if s.there {
		return f()
	}

	s.pending = append(s.pending, f)

	return nil
}
