package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/basalt-os/basalt/internal/logs"
)

// Supervisor runs services. Its methods may be called concurrently.
type Supervisor struct {
	logger   *slog.Logger
	logs     *logs.Book
	observer Observer

	mu       sync.Mutex
	services map[string]*unit
	closed   bool
	changed  chan struct{} // closed and replaced by every change of a status
}

// NewSupervisor returns a supervisor without services. The output of services
// goes to book.
func NewSupervisor(logger *slog.Logger, book *logs.Book, observer Observer) *Supervisor {
	return &Supervisor{
		logger:   logger,
		logs:     book,
		observer: observer,
		services: map[string]*unit{},
		changed:  make(chan struct{}),
	}
}

// Add makes services known. It fails when one is known already.
func (s *Supervisor) Add(definitions ...Definition) error {
	for _, definition := range definitions {
		if err := s.add(definition); err != nil {
			return err
		}
	}

	return nil
}

func (s *Supervisor) add(definition Definition) error {
	s.mu.Lock()

	if s.services[definition.ID] != nil {
		s.mu.Unlock()

		return fmt.Errorf("adding service %q: it exists", definition.ID)
	}

	u := &unit{supervisor: s, definition: definition}
	s.services[definition.ID] = u
	s.mu.Unlock()

	u.enter(Initialized, "Service is known")

	return nil
}

// Start starts services that do not run, without waiting for them.
func (s *Supervisor) Start(ids ...string) error {
	for _, id := range ids {
		u, err := s.unit(id)
		if err != nil {
			return err
		}

		if err := u.start(); err != nil {
			return fmt.Errorf("starting service %q: %w", id, err)
		}
	}

	return nil
}

// Stop stops services and, before them, the services that depend on them. It
// returns when all have ended.
func (s *Supervisor) Stop(ctx context.Context, ids ...string) error {
	for _, id := range ids {
		if _, err := s.unit(id); err != nil {
			return err
		}
	}

	return s.stop(ctx, s.withDependants(ids))
}

// Restart stops one service, without its dependants, and starts it again.
func (s *Supervisor) Restart(ctx context.Context, id string) error {
	u, err := s.unit(id)
	if err != nil {
		return err
	}

	if err := u.stop(ctx); err != nil {
		return fmt.Errorf("restarting service %q: %w", id, err)
	}

	return s.Start(id)
}

// Close refuses new starts from now on and stops everything except the given
// services.
func (s *Supervisor) Close(ctx context.Context, except ...string) error {
	s.mu.Lock()
	s.closed = true

	var ids []string

	for id := range s.services {
		if !slices.Contains(except, id) {
			ids = append(ids, id)
		}
	}
	s.mu.Unlock()

	return s.stop(ctx, ids)
}

// stop stops the given services concurrently, each one after those of the set
// that depend on it.
func (s *Supervisor) stop(ctx context.Context, ids []string) error {
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)

	done := map[string]chan struct{}{}
	for _, id := range ids {
		done[id] = make(chan struct{})
	}

	for _, id := range ids {
		u, err := s.unit(id)
		if err != nil {
			return err
		}

		wg.Go(func() {
			defer close(done[id])

			for _, dependant := range s.dependants(id) {
				if ended := done[dependant]; ended != nil {
					<-ended
				}
			}

			if err := u.stop(ctx); err != nil {
				mu.Lock()
				defer mu.Unlock()

				errs = append(errs, fmt.Errorf("stopping service %q: %w", id, err))
			}
		})
	}

	wg.Wait()

	return errors.Join(errs...)
}

// Operate does what an API caller asks for: exactly one operation. It fails
// with [ErrNotAllowed] when the service does not permit it.
func (s *Supervisor) Operate(ctx context.Context, id string, operation Operations) error {
	u, err := s.unit(id)
	if err != nil {
		return err
	}

	if u.definition.Allow&operation == 0 {
		return fmt.Errorf("operating service %q: %w", id, ErrNotAllowed)
	}

	switch operation {
	case CanStart:
		return s.Start(id)
	case CanStop:
		return s.Stop(ctx, id)
	case CanRestart:
		return s.Restart(ctx, id)
	default:
		return fmt.Errorf("operating service %q: %w", id, ErrNotAllowed)
	}
}

// Services returns the status of all services, sorted by ID.
func (s *Supervisor) Services() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()

	all := make([]Status, 0, len(s.services))
	for _, u := range s.services {
		all = append(all, u.snapshot())
	}

	slices.SortFunc(all, func(a, b Status) int { return strings.Compare(a.ID, b.ID) })

	return all
}

// Status returns the status of one service.
func (s *Supervisor) Status(id string) (Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	u := s.services[id]
	if u == nil {
		return Status{}, fmt.Errorf("service %q: %w", id, ErrUnknown)
	}

	return u.snapshot(), nil
}

// WaitUp returns when all given services are up, or were skipped. Services
// that are not known yet are waited for.
func (s *Supervisor) WaitUp(ctx context.Context, ids ...string) error {
	for {
		s.mu.Lock()
		changed := s.changed
		missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
			u := s.services[id]

			return u != nil && (u.status.Up() || u.status.State == Skipped)
		})
		s.mu.Unlock()

		if len(missing) == 0 {
			return nil
		}

		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for services %s: %w", strings.Join(missing, ", "), context.Cause(ctx))
		}
	}
}

// Graph returns what each service depends on: for explaining what waits for
// what.
func (s *Supervisor) Graph() map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()

	graph := make(map[string][]string, len(s.services))
	for id, u := range s.services {
		graph[id] = slices.Clone(u.definition.DependsOn)
	}

	return graph
}

func (s *Supervisor) unit(id string) (*unit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	u := s.services[id]
	if u == nil {
		return nil, fmt.Errorf("service %q: %w", id, ErrUnknown)
	}

	return u, nil
}

// dependants returns the services that name id as a dependency.
func (s *Supervisor) dependants(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()

	var ids []string

	for other, u := range s.services {
		if slices.Contains(u.definition.DependsOn, id) {
			ids = append(ids, other)
		}
	}

	return ids
}

// withDependants returns the given services and all that depend on them.
func (s *Supervisor) withDependants(ids []string) []string {
	all := slices.Clone(ids)

	for i := 0; i < len(all); i++ {
		for _, id := range s.dependants(all[i]) {
			if !slices.Contains(all, id) {
				all = append(all, id)
			}
		}
	}

	return all
}
