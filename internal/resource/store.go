package resource

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultHistory is how many events of one kind a store remembers for slow and
// returning watchers.
const DefaultHistory = 1024

// Store holds resources. Its methods are safe for concurrent use and
// linearizable. The objects that it hands out are the stored ones.
type Store struct {
	clock    func() time.Time
	history  int
	epoch    uint64    // tells the bookmarks of this store from those of another
	verifier *verifier // nil when modifications are not looked for

	mu    sync.RWMutex
	kinds map[Kind]*collection
}

// Option changes how a store works.
type Option func(*Store)

// WithClock sets the source of creation and update times.
func WithClock(clock func() time.Time) Option { return func(s *Store) { s.clock = clock } }

// WithHistory sets how many of the latest events of one kind are remembered at
// least; up to twice as many are.
func WithHistory(events int) Option { return func(s *Store) { s.history = events } }

// NewStore returns an empty store.
func NewStore(options ...Option) *Store {
	s := &Store{clock: time.Now, history: DefaultHistory, epoch: rand.Uint64(), kinds: map[Kind]*collection{}}
	for _, option := range options {
		option(s)
	}

	return s
}

// collection is all resources of one kind and what lately happened to them.
type collection struct {
	objects map[string]Object
	log     []Event       // the latest events, at most twice the store's history
	first   uint64        // sequence number of log[0]
	changed chan struct{} // closed and replaced at every event
}

// next is the sequence number of the next event.
func (c *collection) next() uint64 { return c.first + uint64(len(c.log)) }

func (s *Store) collection(kind Kind) *collection {
	c, ok := s.kinds[kind]
	if !ok {
		c = &collection{objects: map[string]Object{}, first: 1, changed: make(chan struct{})}
		s.kinds[kind] = c
	}

	return c
}

// record appends an event and wakes the watchers. Called with the lock held.
func (s *Store) record(c *collection, event Event) {
	event.Bookmark = s.bookmark(c.next())

	if len(c.log) >= 2*s.history {
		// Moved in bulk, so that appending stays cheap.
		drop := len(c.log) - s.history
		c.log = append(make([]Event, 0, 2*s.history), c.log[drop:]...)
		c.first += uint64(drop)
	}

	c.log = append(c.log, event)

	close(c.changed)
	c.changed = make(chan struct{})
}

// Get returns one resource, or an error that wraps ErrNotFound.
func (s *Store) Get(_ context.Context, pointer Pointer) (Object, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()

	return s.get(pointer)
}

// get looks a resource up. Called with the lock held.
func (s *Store) get(pointer Pointer) (Object, error) {
	if c, ok := s.kinds[pointer.Kind()]; ok {
		if object, ok := c.objects[pointer.ID]; ok {
			s.verifier.check(object)

			return object, nil
		}
	}

	return nil, fmt.Errorf("%s: %w", pointer, ErrNotFound)
}

// List returns the resources of a kind that match, by ID.
func (s *Store) List(_ context.Context, kind Kind, options ...ListOption) ([]Object, error) {
	return s.choose(s.snapshot(kind), newFilter(options)), nil
}

// snapshot returns all resources of a kind in no order.
func (s *Store) snapshot(kind Kind) []Object {
	s.mu.RLock()
	defer s.mu.RUnlock()

	c, ok := s.kinds[kind]
	if !ok {
		return nil
	}

	return c.all()
}

// all returns all resources in no order. Called with the store's lock held.
func (c *collection) all() []Object {
	objects := make([]Object, 0, len(c.objects))
	for _, object := range c.objects {
		objects = append(objects, object)
	}

	return objects
}

// choose keeps the objects that match and puts them in order. It needs no
// lock, since what is stored does not change.
func (s *Store) choose(objects []Object, matches filter) []Object {
	objects = slices.DeleteFunc(objects, func(object Object) bool { return !matches(object) })
	slices.SortFunc(objects, func(a, b Object) int { return strings.Compare(a.Metadata().ID, b.Metadata().ID) })

	for _, object := range objects {
		s.verifier.check(object)
	}

	return objects
}

// Kinds lists the kinds that have, or had, resources.
func (s *Store) Kinds() []Kind {
	s.mu.RLock()
	defer s.mu.RUnlock()

	return slices.SortedFunc(maps.Keys(s.kinds), func(a, b Kind) int { return strings.Compare(a.String(), b.String()) })
}

// Create stores a new resource for an owner, or fails with ErrExists. The
// object belongs to the store from then on; its version, owner, phase and
// times are set.
func (s *Store) Create(_ context.Context, object Object, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	meta := object.Metadata()
	c := s.collection(meta.Kind())

	if _, ok := c.objects[meta.ID]; ok {
		return fmt.Errorf("%s: %w", meta.Pointer(), ErrExists)
	}

	now := s.clock()
	meta.Version, meta.Owner, meta.Phase, meta.Created, meta.Updated = 1, owner, Running, now, now
	c.objects[meta.ID] = object
	s.verifier.remember(object)
	s.record(c, Event{Type: Created, Object: object})

	return nil
}

// Update replaces a resource by a changed clone of it, whose version must
// still be the stored one. The object belongs to the store from then on. The
// stored resource must be in one of the expected phases, Running when none is
// given; its phase, owner, finalizers and time of creation stay. The error
// wraps ErrNotFound, ErrOwner, ErrConflict or ErrPhase.
func (s *Store) Update(_ context.Context, object Object, owner string, expected ...Phase) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	meta := object.Metadata()

	old, err := s.get(meta.Pointer())
	if err != nil {
		return err
	}

	if len(expected) == 0 {
		expected = []Phase{Running}
	}

	stored := old.Metadata()

	switch {
	case stored.Owner != owner:
		return fmt.Errorf("%s: %w: %q, not %q", stored.Pointer(), ErrOwner, stored.Owner, owner)
	case stored.Version != meta.Version:
		return fmt.Errorf("%s: %w: it has version %d, not %d", stored.Pointer(), ErrConflict, stored.Version, meta.Version)
	case !slices.Contains(expected, stored.Phase):
		return fmt.Errorf("%s: %w: %s", stored.Pointer(), ErrPhase, stored.Phase)
	}

	meta.Owner, meta.Phase, meta.Created = stored.Owner, stored.Phase, stored.Created
	meta.Finalizers = slices.Clone(stored.Finalizers)
	s.replace(old, object)

	return nil
}

// replace stores the next version of an object. Called with the lock held.
func (s *Store) replace(old, object Object) {
	meta := object.Metadata()
	meta.Version, meta.Updated = old.Metadata().Version+1, s.clock()

	c := s.collection(meta.Kind())
	c.objects[meta.ID] = object
	s.verifier.forget(old)
	s.verifier.remember(object)
	s.record(c, Event{Type: Updated, Object: object, Old: old})
}

// change stores a copy of a resource whose phase or finalizers were changed.
func (s *Store) change(pointer Pointer, change func(*Metadata) error) (Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	old, err := s.get(pointer)
	if err != nil {
		return nil, err
	}

	before := old.Metadata()

	after := before.clone()
	if err := change(&after); err != nil {
		return nil, fmt.Errorf("%s: %w", pointer, err)
	}

	if before.Phase == after.Phase && slices.Equal(before.Finalizers, after.Finalizers) {
		return old, nil
	}

	object := old.Clone()
	*object.Metadata() = after
	s.replace(old, object)

	return object, nil
}

// Teardown begins the removal of a resource and says whether no finalizers are
// left, so that it can be destroyed. Calling it again is harmless.
func (s *Store) Teardown(_ context.Context, pointer Pointer, owner string) (ready bool, err error) {
	object, err := s.change(pointer, func(meta *Metadata) error {
		if meta.Owner != owner {
			return fmt.Errorf("%w: %q, not %q", ErrOwner, meta.Owner, owner)
		}

		meta.Phase = TearingDown

		return nil
	})
	if err != nil {
		return false, err
	}

	return len(object.Metadata().Finalizers) == 0, nil
}

// AddFinalizer adds finalizers to a resource that is running; whoever does so
// need not own it.
func (s *Store) AddFinalizer(_ context.Context, pointer Pointer, names ...string) error {
	_, err := s.change(pointer, func(meta *Metadata) error {
		if meta.Phase != Running {
			return fmt.Errorf("%w: %s", ErrPhase, meta.Phase)
		}

		for _, name := range names {
			if !slices.Contains(meta.Finalizers, name) {
				meta.Finalizers = append(meta.Finalizers, name)
			}
		}

		return nil
	})

	return err
}

// RemoveFinalizer takes finalizers off a resource.
func (s *Store) RemoveFinalizer(_ context.Context, pointer Pointer, names ...string) error {
	_, err := s.change(pointer, func(meta *Metadata) error {
		meta.Finalizers = slices.DeleteFunc(meta.Finalizers, func(name string) bool { return slices.Contains(names, name) })

		return nil
	})

	return err
}

// Destroy removes a resource that has no finalizers. The error wraps
// ErrNotFound, ErrOwner or ErrFinalizers.
func (s *Store) Destroy(_ context.Context, pointer Pointer, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()

	object, err := s.get(pointer)
	if err != nil {
		return err
	}

	meta := object.Metadata()

	switch {
	case meta.Owner != owner:
		return fmt.Errorf("%s: %w: %q, not %q", pointer, ErrOwner, meta.Owner, owner)
	case len(meta.Finalizers) > 0:
		return fmt.Errorf("%s: %w: %s", pointer, ErrFinalizers, strings.Join(meta.Finalizers, ", "))
	}

	c := s.collection(pointer.Kind())
	delete(c.objects, pointer.ID)
	s.verifier.forget(object)
	s.record(c, Event{Type: Destroyed, Object: object})

	return nil
}
