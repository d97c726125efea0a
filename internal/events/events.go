// Package events keeps the node's recent API events and lets any number of
// readers follow them.
//
// An event is a protobuf message (a sequence began, a service changed its
// state, the machine became ready) with an identifier that sorts by time and,
// when an API call caused it, the identifier of that call: the actor. Events
// live in a ring of fixed size. Readers hold a position in the ring, so a slow
// reader costs nothing and blocks nobody; when the ring has passed over a
// reader, the reader is told how many events it has missed before it reads on.
package events

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/xid"
	"google.golang.org/protobuf/proto"
)

// DefaultCapacity is the number of events a node keeps.
const DefaultCapacity = 1000

// Event is one entry of the ring. Its payload is shared between all readers
// and must not be modified.
type Event struct {
	ID      string // xid: sorts by time of publication
	ActorID string // identifies the API call that caused the event; may be empty
	Time    time.Time
	Payload proto.Message
}

// GapError tells a reader that events were overwritten before it read them.
// The next call of [Reader.Next] continues with the oldest event that is left.
type GapError struct {
	Missed uint64
}

func (e *GapError) Error() string {
	return fmt.Sprintf("following events: %d events were overwritten before they were read", e.Missed)
}

// Ring holds the last events. Its methods may be called concurrently.
type Ring struct {
	now func() time.Time

	mu     sync.Mutex
	slots  []Event
	next   uint64        // sequence number of the next event; slot = number % len(slots)
	arrive chan struct{} // closed and replaced by every publication
}

// NewRing returns a ring of the given capacity, which must be positive. The
// clock stamps events; nil means [time.Now].
func NewRing(capacity int, now func() time.Time) *Ring {
	if capacity <= 0 {
		panic("events: capacity of a ring must be positive")
	}

	if now == nil {
		now = time.Now
	}

	return &Ring{now: now, slots: make([]Event, capacity), arrive: make(chan struct{})}
}

// Publish appends an event with the actor of ctx, see [WithActor]. The ring
// owns the payload from now on. It never blocks.
func (r *Ring) Publish(ctx context.Context, payload proto.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()

	now := r.now()
	r.slots[r.next%uint64(len(r.slots))] = Event{
		ID:      xid.NewWithTime(now).String(),
		ActorID: Actor(ctx),
		Time:    now,
		Payload: payload,
	}
	r.next++

	close(r.arrive)
	r.arrive = make(chan struct{})
}

// Start says where a reader begins. The zero value means: with the next event
// that is published. When several fields are set, the one that is mentioned
// first here decides.
type Start struct {
	AfterID string        // after the event with this identifier; with the oldest when it is gone
	Count   int           // with the last Count events; negative means with the oldest
	Age     time.Duration // with the oldest event that is not older than Age
}

// Reader follows a ring. It belongs to one goroutine.
type Reader struct {
	ring  *Ring
	pos   uint64
	actor string
}

// Follow returns a reader that begins at start and, when actor is not empty,
// sees the events of that actor only.
func (r *Ring) Follow(start Start, actor string) *Reader {
	r.mu.Lock()
	defer r.mu.Unlock()

	return &Reader{ring: r, pos: r.position(start), actor: actor}
}

// position translates a start into a sequence number. The mutex is held.
func (r *Ring) position(start Start) uint64 {
	oldest := r.oldest()

	switch {
	case start.AfterID != "":
		for pos := r.next; pos > oldest; pos-- {
			if r.at(pos-1).ID == start.AfterID {
				return pos
			}
		}

		return oldest
	case start.Count < 0 || uint64(start.Count) > r.next-oldest:
		return oldest
	case start.Count > 0:
		return r.next - uint64(start.Count)
	case start.Age > 0:
		limit := r.now().Add(-start.Age)

		pos := oldest
		for pos < r.next && r.at(pos).Time.Before(limit) {
			pos++
		}

		return pos
	default:
		return r.next
	}
}

func (r *Ring) oldest() uint64 {
	if size := uint64(len(r.slots)); r.next > size {
		return r.next - size
	}

	return 0
}

func (r *Ring) at(pos uint64) Event {
	return r.slots[pos%uint64(len(r.slots))]
}

// Next returns the next event and waits for it when there is none yet. It
// fails with a [*GapError] when events were lost, and with the error of ctx
// when ctx ends first.
func (r *Reader) Next(ctx context.Context) (Event, error) {
	for {
		event, ok, arrive, err := r.poll()
		if ok || err != nil {
			return event, err
		}

		select {
		case <-arrive:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

// poll returns the next event that is there already, or else the channel that
// closes when another one arrives.
func (r *Reader) poll() (Event, bool, <-chan struct{}, error) {
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()

	if oldest := r.ring.oldest(); r.pos < oldest {
		missed := oldest - r.pos
		r.pos = oldest

		return Event{}, false, nil, &GapError{Missed: missed}
	}

	for r.pos < r.ring.next {
		event := r.ring.at(r.pos)
		r.pos++

		if r.actor == "" || r.actor == event.ActorID {
			return event, true, nil, nil
		}
	}

	return Event{}, false, r.ring.arrive, nil
}

type actorKey struct{}

// WithActor returns a context whose events carry the given actor.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor returns the actor of ctx, or an empty string.
func Actor(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)

	return actor
}
