package events_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/basalt-os/basalt/internal/events"
)

// clock is a clock that advances one second per reading.
type clock struct{ t time.Time }

func (c *clock) now() time.Time {
	c.t = c.t.Add(time.Second)

	return c.t
}

func newRing(capacity int) *events.Ring {
	return events.NewRing(capacity, (&clock{t: time.Unix(1000, 0)}).now)
}

func publish(ctx context.Context, ring *events.Ring, names ...string) {
	for _, name := range names {
		ring.Publish(ctx, wrapperspb.String(name))
	}
}

// take reads n events and returns their names; gaps appear as "gap <n>".
func take(t *testing.T, reader *events.Reader, n int) []string {
	t.Helper()

	var names []string

	for range n {
		event, err := reader.Next(t.Context())

		var gap *events.GapError

		switch {
		case errors.As(err, &gap):
			names = append(names, fmt.Sprintf("gap %d", gap.Missed))
		case err != nil:
			t.Fatal(err)
		default:
			names = append(names, event.Payload.(*wrapperspb.StringValue).GetValue())
		}
	}

	return names
}

func TestFollowStart(t *testing.T) {
	for _, test := range []struct {
		name     string
		capacity int
		start    events.Start
		want     []string // what is read before the event "end"
	}{
		{"from now", 10, events.Start{}, nil},
		{"last two", 10, events.Start{Count: 2}, []string{"d", "e"}},
		{"more than there are", 10, events.Start{Count: 50}, []string{"a", "b", "c", "d", "e"}},
		{"all", 10, events.Start{Count: -1}, []string{"a", "b", "c", "d", "e"}},
		{"all that the ring holds", 3, events.Start{Count: -1}, []string{"c", "d", "e"}},
		{"young", 10, events.Start{Age: 2 * time.Second}, []string{"d", "e"}},
		{"young, all", 10, events.Start{Age: time.Hour}, []string{"a", "b", "c", "d", "e"}},
		{"unknown id", 10, events.Start{AfterID: "none"}, []string{"a", "b", "c", "d", "e"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ring := newRing(test.capacity)
			publish(t.Context(), ring, "a", "b", "c", "d", "e")

			reader := ring.Follow(test.start, "")
			got := take(t, reader, len(test.want))

			publish(t.Context(), ring, "end")

			if diff := cmp.Diff(append(slices.Clone(test.want), "end"), append(got, take(t, reader, 1)...)); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFollowAfterID(t *testing.T) {
	ring := newRing(10)
	publish(t.Context(), ring, "a", "b", "c")

	first := ring.Follow(events.Start{Count: -1}, "")
	if _, err := first.Next(t.Context()); err != nil {
		t.Fatal(err)
	}

	second, err := first.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	got := take(t, ring.Follow(events.Start{AfterID: second.ID}, ""), 1)
	if diff := cmp.Diff([]string{"c"}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestFollowReportsGap(t *testing.T) {
	ring := newRing(3)
	reader := ring.Follow(events.Start{}, "")

	publish(t.Context(), ring, "a", "b", "c", "d", "e")

	if diff := cmp.Diff([]string{"gap 2", "c", "d", "e"}, take(t, reader, 4)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestFollowActor(t *testing.T) {
	ring := newRing(10)
	reader := ring.Follow(events.Start{}, "me")

	publish(t.Context(), ring, "a")
	publish(events.WithActor(t.Context(), "me"), ring, "b")
	publish(events.WithActor(t.Context(), "you"), ring, "c")
	publish(events.WithActor(t.Context(), "me"), ring, "d")

	if diff := cmp.Diff([]string{"b", "d"}, take(t, reader, 2)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNextEndsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := newRing(1).Follow(events.Start{}, "").Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want %v", err, context.Canceled)
	}
}

func TestFollowersSeeEverythingInOrder(t *testing.T) {
	const (
		followers = 8
		count     = 500
	)

	ring := events.NewRing(count, nil)

	var wg sync.WaitGroup

	results := make([][]string, followers)

	for i := range followers {
		reader := ring.Follow(events.Start{}, "")

		wg.Go(func() { results[i] = take(t, reader, count) })
	}

	want := make([]string, count)
	for i := range want {
		want[i] = fmt.Sprint(i)
		publish(t.Context(), ring, want[i])
	}

	wg.Wait()

	for _, got := range results {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("events (-want +got):\n%s", diff)
		}
	}
}
