package resource

import (
	"context"
	"encoding/binary"
	"fmt"
)

// EventType says what happened.
type EventType uint8

// The types of events.
const (
	Created EventType = iota + 1
	Updated
	Destroyed
	// Bootstrapped ends the resources that were there when a watch began.
	Bootstrapped
	// Noop carries a bookmark alone: it begins a watch that wanted one.
	Noop
)

// Event is a change of one resource.
type Event struct {
	Type EventType
	// Object is the resource after the change; the last state of one that was
	// destroyed. It is nil in events that are about the watch, and in the
	// Destroyed event by which the watch of a resource that is not there
	// begins.
	Object Object
	Old    Object // before an update
	// Bookmark resumes a watch after this event.
	Bookmark Bookmark
}

// Bookmark is a position in what happened to a kind. It is opaque to clients
// and valid as long as the store lives and remembers the position.
type Bookmark []byte

const bookmarkSize = 16

func (s *Store) bookmark(sequence uint64) Bookmark {
	b := make(Bookmark, 0, bookmarkSize)
	b = binary.BigEndian.AppendUint64(b, s.epoch)

	return binary.BigEndian.AppendUint64(b, sequence)
}

// position returns the sequence number that follows a bookmark.
func (s *Store) position(c *collection, b Bookmark) (uint64, error) {
	if len(b) != bookmarkSize || binary.BigEndian.Uint64(b) != s.epoch {
		return 0, ErrBookmark
	}

	sequence := binary.BigEndian.Uint64(b[8:]) + 1

	switch {
	case sequence > c.next():
		return 0, ErrBookmark
	case sequence < c.first:
		return 0, ErrLagged
	default:
		return sequence, nil
	}
}

// WatchRequest says what to watch and from where.
type WatchRequest struct {
	Kind Kind
	ID   string // of the one resource to watch; empty for all of the kind
	// Bootstrap begins with a Created event for every resource that is there,
	// followed by a Bootstrapped event. Without it, and without Bookmark and
	// Tail, the watch begins with what happens next.
	Bootstrap bool
	// Current begins with what the one resource is: a Created event, or a
	// Destroyed event when there is none. It needs an ID and, as the start
	// from a bookmark or a tail replaces it, neither of these.
	Current bool
	// Position begins with a Noop event that carries the bookmark of the
	// beginning.
	Position bool
	// Tail begins with up to so many of the latest events.
	Tail int
	// Bookmark begins after the event that carried it.
	Bookmark Bookmark
	// Options filter the resources. A resource that begins to match is
	// reported as created, one that no longer matches as destroyed.
	Options []ListOption
}

// Watch delivers every event of a kind in order. It holds no buffer of its
// own: it reads the store's log of the kind, so that a slow watcher costs
// nothing, and learns with ErrLagged when it was overtaken. A Watch belongs to
// one goroutine, and needs no closing.
type Watch struct {
	store   *Store
	c       *collection
	id      string
	matches filter
	pending []Event // to be delivered before what follows in the log
	next    uint64  // sequence number of the next event in the log
}

// Watch begins a watch. The error wraps ErrLagged or ErrBookmark when the
// bookmark cannot be resumed from.
func (s *Store) Watch(_ context.Context, request WatchRequest) (*Watch, error) {
	s.mu.Lock()
	defer s.mu.Unlock()

	c := s.collection(request.Kind)
	w := &Watch{store: s, c: c, id: request.ID, matches: newFilter(request.Options), next: c.next()}

	switch {
	case request.Bookmark != nil:
		position, err := s.position(c, request.Bookmark)
		if err != nil {
			return nil, fmt.Errorf("watching %s: %w", request.Kind, err)
		}

		w.next = position
	case request.Tail > 0:
		w.next = w.tail(request.Tail)
	case request.Bootstrap:
		w.bootstrap()
	case request.Current:
		w.current()
	}

	if request.Position && len(w.pending) == 0 {
		w.pending = []Event{{Type: Noop, Bookmark: s.bookmark(w.next - 1)}}
	}

	return w, nil
}

// bootstrap begins with all resources that are there.
func (w *Watch) bootstrap() {
	bookmark := w.store.bookmark(w.next - 1)

	for _, object := range w.store.choose(w.c.all(), w.matches) {
		if w.id == "" || w.id == object.Metadata().ID {
			w.pending = append(w.pending, Event{Type: Created, Object: object, Bookmark: bookmark})
		}
	}

	w.pending = append(w.pending, Event{Type: Bootstrapped, Bookmark: bookmark})
}

// current begins with what one resource is.
func (w *Watch) current() {
	first := Event{Type: Destroyed, Bookmark: w.store.bookmark(w.next - 1)}

	if object, ok := w.c.objects[w.id]; ok && w.matches(object) {
		first.Type, first.Object = Created, object
	}

	w.pending = []Event{first}
}

// tail finds the position from which so many events are to be delivered.
func (w *Watch) tail(count int) uint64 {
	position := w.c.next()

	for count > 0 && position > w.c.first {
		position--

		if _, ok := w.see(w.c.log[position-w.c.first]); ok {
			count--
		}
	}

	return position
}

// Next returns the next event, waiting for it until ctx ends. The error wraps
// ErrLagged when events were missed; the watch is over then.
func (w *Watch) Next(ctx context.Context) (Event, error) {
	for {
		event, changed, err := w.poll()
		if err != nil || changed == nil {
			return event, err
		}

		select {
		case <-ctx.Done():
			return Event{}, context.Cause(ctx)
		case <-changed:
		}
	}
}

// Poll returns the next event if there is one already. Its error is that of
// Next.
func (w *Watch) Poll() (event Event, ok bool, err error) {
	event, changed, err := w.poll()

	return event, changed == nil && err == nil, err
}

// poll returns the next event to be delivered, or the channel that is closed
// when there may be one.
func (w *Watch) poll() (Event, <-chan struct{}, error) {
	if len(w.pending) > 0 {
		event := w.pending[0]
		w.pending = w.pending[1:]

		return event, nil, nil
	}

	for {
		event, changed, err := w.read()
		if err != nil || changed != nil {
			return Event{}, changed, err
		}

		if event, ok := w.see(event); ok {
			return event, nil, nil
		}
	}
}

// Bookmark is the position of the watch: a watch from it sees what this one
// will see next, apart from what the store held at its beginning.
func (w *Watch) Bookmark() Bookmark { return w.store.bookmark(w.next - 1) }

// read takes the next event from the log, or the channel that is closed when
// there is one.
func (w *Watch) read() (Event, <-chan struct{}, error) {
	w.store.mu.RLock()
	defer w.store.mu.RUnlock()

	switch {
	case w.next < w.c.first:
		return Event{}, nil, fmt.Errorf("watching: %w: %d of them", ErrLagged, w.c.first-w.next)
	case w.next == w.c.next():
		return Event{}, w.c.changed, nil
	}

	event := w.c.log[w.next-w.c.first]
	w.next++

	return event, nil, nil
}

// see turns an event of the kind into what this watch is to see of it.
func (w *Watch) see(event Event) (Event, bool) {
	if w.id != "" && w.id != event.Object.Metadata().ID {
		return Event{}, false
	}

	now := w.matches(event.Object)
	if event.Type != Updated {
		return event, now
	}

	before := w.matches(event.Old)

	switch {
	case now && before:
		return event, true
	case now:
		return Event{Type: Created, Object: event.Object, Bookmark: event.Bookmark}, true
	case before:
		return Event{Type: Destroyed, Object: event.Object, Bookmark: event.Bookmark}, true
	default:
		return Event{}, false
	}
}
