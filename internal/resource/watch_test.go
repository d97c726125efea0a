package resource_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/basalt-os/basalt/internal/resource"
)

// drain returns what a watch has to say now, as text.
func drain(t testing.TB, w *resource.Watch) (events []string, last resource.Event) {
	t.Helper()

	names := map[resource.EventType]string{
		resource.Created: "created", resource.Updated: "updated", resource.Destroyed: "destroyed",
		resource.Bootstrapped: "bootstrapped", resource.Noop: "noop",
	}

	for {
		event, ok, err := w.Poll()
		if err != nil {
			t.Fatal(err)
		}

		if !ok {
			return events, last
		}

		text := names[event.Type]
		if event.Object != nil {
			text += fmt.Sprintf(" %s@%d", event.Object.Metadata().ID, event.Object.Metadata().Version)
		}

		events, last = append(events, text), event
	}
}

func TestBeginningsOfAWatch(t *testing.T) {
	ctx := t.Context()
	s := resource.NewStore()
	kind := resource.KindOf[note]()

	put(t, s, "a", "", "")
	put(t, s, "b", "", "")

	for _, object := range []string{"a", "b"} {
		if err := s.AddFinalizer(ctx, pointer(object), "x"); err != nil {
			t.Fatal(err)
		}
	}

	watch := func(request resource.WatchRequest) *resource.Watch {
		request.Kind = kind

		w, err := s.Watch(ctx, request)
		if err != nil {
			t.Fatal(err)
		}

		return w
	}

	bookmarked := watch(resource.WatchRequest{Tail: 3})
	first, _, _ := bookmarked.Poll()

	for _, test := range []struct {
		name    string
		request resource.WatchRequest
		want    []string
	}{
		{"now", resource.WatchRequest{}, nil},
		{"position", resource.WatchRequest{Position: true}, []string{"noop"}},
		{"bootstrap", resource.WatchRequest{Bootstrap: true}, []string{"created a@2", "created b@2", "bootstrapped"}},
		{"current", resource.WatchRequest{ID: "a", Current: true}, []string{"created a@2"}},
		{"current of nothing", resource.WatchRequest{ID: "c", Current: true}, []string{"destroyed"}},
		{"tail", resource.WatchRequest{Tail: 2}, []string{"updated a@2", "updated b@2"}},
		{"tail of one", resource.WatchRequest{ID: "a", Tail: 9}, []string{"created a@1", "updated a@2"}},
		{"bookmark", resource.WatchRequest{Bookmark: first.Bookmark}, []string{"updated a@2", "updated b@2"}},
	} {
		got, _ := drain(t, watch(test.request))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

func TestFilteredWatch(t *testing.T) {
	ctx := t.Context()
	s := resource.NewStore()
	wanted := resource.WithLabels(resource.LabelQuery{{Key: "wanted", Op: resource.LabelExists}})

	w, err := s.Watch(ctx, resource.WatchRequest{Kind: resource.KindOf[note](), Options: []resource.ListOption{wanted}})
	if err != nil {
		t.Fatal(err)
	}

	stored := put(t, s, "a", "", "")

	for _, labels := range []map[string]string{{"wanted": ""}, {"wanted": "1"}, {}, {}, {"wanted": ""}} {
		next := stored.Copy()
		next.Meta.Labels = labels

		if err := s.Update(ctx, next, ""); err != nil {
			t.Fatal(err)
		}

		stored = next
	}

	if err := s.Destroy(ctx, pointer("a"), ""); err != nil {
		t.Fatal(err)
	}

	got, _ := drain(t, w)
	if diff := cmp.Diff([]string{"created a@2", "updated a@3", "destroyed a@4", "created a@6", "destroyed a@6"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestBookmarks(t *testing.T) {
	ctx := t.Context()
	kind := resource.KindOf[note]()
	s, other := resource.NewStore(resource.WithHistory(4)), resource.NewStore()

	watch := func(s *resource.Store, request resource.WatchRequest) (*resource.Watch, resource.Bookmark) {
		request.Kind, request.Position = kind, true

		w, err := s.Watch(ctx, request)
		if err != nil {
			t.Fatal(err)
		}

		_, last := drain(t, w)

		return w, last.Bookmark
	}

	slow, old := watch(s, resource.WatchRequest{})
	_, foreign := watch(other, resource.WatchRequest{})

	for i := range 20 {
		put(t, s, fmt.Sprint(i), "", "")
	}

	future := slices.Clone(old)
	future[len(future)-1] = 99

	for name, test := range map[string]struct {
		bookmark resource.Bookmark
		want     error
	}{
		"too old":   {old, resource.ErrLagged},
		"foreign":   {foreign, resource.ErrBookmark},
		"to come":   {future, resource.ErrBookmark},
		"too short": {old[:4], resource.ErrBookmark},
		"empty":     {resource.Bookmark{}, resource.ErrBookmark},
	} {
		if _, err := s.Watch(ctx, resource.WatchRequest{Kind: kind, Bookmark: test.bookmark}); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}

	if _, err := slow.Next(ctx); !errors.Is(err, resource.ErrLagged) {
		t.Errorf("a watch that was overtaken: %v", err)
	}
}

// TestWatchIsComplete follows random writes with watches that begin anywhere
// and resume from bookmarks, and rebuilds the store from what they say.
func TestWatchIsComplete(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := t.Context()
		kind := resource.KindOf[note]()
		s := resource.NewStore(resource.WithVerification(), resource.WithHistory(1000))

		w, err := s.Watch(ctx, resource.WatchRequest{Kind: kind, Bootstrap: true})
		if err != nil {
			rt.Fatal(err)
		}

		seen := map[string]uint64{}

		var bookmark resource.Bookmark

		follow := func() {
			for {
				event, ok, err := w.Poll()
				if err != nil {
					rt.Fatal(err)
				}

				if !ok {
					return
				}

				bookmark = event.Bookmark
				apply(rt, seen, event)
			}
		}
		id := rapid.SampledFrom([]string{"a", "b", "c"})

		rt.Repeat(map[string]func(*rapid.T){
			"create": func(rt *rapid.T) { _ = s.Create(ctx, resource.New(id.Draw(rt, "id"), note{}), "") },
			"update": func(rt *rapid.T) {
				if stored, err := resource.Get[note](ctx, s, id.Draw(rt, "id")); err == nil {
					_ = s.Update(ctx, stored.Copy(), "")
				}
			},
			"destroy":  func(rt *rapid.T) { _ = s.Destroy(ctx, pointer(id.Draw(rt, "id")), "") },
			"teardown": func(rt *rapid.T) { _, _ = s.Teardown(ctx, pointer(id.Draw(rt, "id")), "") },
			"hold":     func(rt *rapid.T) { _ = s.AddFinalizer(ctx, pointer(id.Draw(rt, "id")), "x") },
			"let go":   func(rt *rapid.T) { _ = s.RemoveFinalizer(ctx, pointer(id.Draw(rt, "id")), "x") },
			"follow":   func(*rapid.T) { follow() },
			"resume": func(rt *rapid.T) {
				follow()

				if w, err = s.Watch(ctx, resource.WatchRequest{Kind: kind, Bookmark: bookmark}); err != nil {
					rt.Fatal(err)
				}
			},
			"": func(rt *rapid.T) {},
		})

		follow()

		stored, err := s.List(ctx, kind)
		if err != nil {
			rt.Fatal(err)
		}

		want := map[string]uint64{}
		for _, object := range stored {
			want[object.Metadata().ID] = object.Metadata().Version
		}

		if !maps.Equal(want, seen) {
			rt.Errorf("the watch tells of %v, stored is %v", seen, want)
		}

		s.Verify()
	})
}

// apply applies an event to what a watcher knows, and fails when one is
// missing in between.
func apply(t rapid.TB, seen map[string]uint64, event resource.Event) {
	if event.Object == nil {
		return
	}

	meta := event.Object.Metadata()

	switch event.Type {
	case resource.Created:
		if _, ok := seen[meta.ID]; ok || meta.Version != 1 {
			t.Errorf("%s@%d created over %d", meta.ID, meta.Version, seen[meta.ID])
		}

		seen[meta.ID] = meta.Version
	case resource.Updated:
		if seen[meta.ID]+1 != meta.Version || event.Old.Metadata().Version != seen[meta.ID] {
			t.Errorf("%s@%d follows %d", meta.ID, meta.Version, seen[meta.ID])
		}

		seen[meta.ID] = meta.Version
	case resource.Destroyed:
		if seen[meta.ID] != meta.Version {
			t.Errorf("%s@%d destroyed at %d", meta.ID, meta.Version, seen[meta.ID])
		}

		delete(seen, meta.ID)
	}
}
