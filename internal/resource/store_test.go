package resource_test

import (
	"context"
	"errors"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/basalt-os/basalt/internal/resource"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// note is a spec for tests.
type note struct {
	Text string
	Tags []string
}

func (note) Definition() resource.Definition {
	return resource.Definition{Type: "Notes.test.basalt.dev", Namespace: "test", DisplayType: "Note"}
}

func pointer(id string) resource.Pointer { return resource.PointerOf[note](id) }

// put creates a note and returns what is stored.
func put(t *testing.T, s *resource.Store, id, text, owner string) *resource.Resource[note] {
	t.Helper()

	if err := s.Create(t.Context(), resource.New(id, note{Text: text}), owner); err != nil {
		t.Fatal(err)
	}

	stored, err := resource.Get[note](t.Context(), s, id)
	if err != nil {
		t.Fatal(err)
	}

	return stored
}

func TestLifeOfAResource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := resource.NewStore(resource.WithVerification())
		begin := time.Now()

		object := resource.New("a", note{Text: "one"})
		object.Meta.Version, object.Meta.Phase, object.Meta.Owner = 7, resource.TearingDown, "liar"

		if err := s.Create(ctx, object, "me"); err != nil {
			t.Fatal(err)
		}

		time.Sleep(time.Minute)

		stored, err := resource.Get[note](ctx, s, "a")
		if err != nil {
			t.Fatal(err)
		}

		changed := stored.Copy()
		changed.Spec.Text = "two"
		changed.Meta.SetLabel("k", "v")

		if err := s.Update(ctx, changed, "me"); err != nil {
			t.Fatal(err)
		}

		stored, err = resource.Get[note](ctx, s, "a")
		if err != nil {
			t.Fatal(err)
		}

		want := &resource.Resource[note]{
			Meta: resource.Metadata{
				Namespace: "test", Type: "Notes.test.basalt.dev", ID: "a", Version: 2, Owner: "me",
				Labels: map[string]string{"k": "v"}, Created: begin, Updated: begin.Add(time.Minute),
			},
			Spec: note{Text: "two"},
		}
		if diff := cmp.Diff(want, stored); diff != "" {
			t.Error(diff)
		}

		if err := s.AddFinalizer(ctx, pointer("a"), "x", "y", "x"); err != nil {
			t.Fatal(err)
		}

		if ready, err := s.Teardown(ctx, pointer("a"), "me"); err != nil || ready {
			t.Errorf("a resource with finalizers is ready: %t, %v", ready, err)
		}

		if err := s.RemoveFinalizer(ctx, pointer("a"), "x", "y", "z"); err != nil {
			t.Fatal(err)
		}

		if ready, err := s.Teardown(ctx, pointer("a"), "me"); err != nil || !ready {
			t.Errorf("a resource without finalizers is not ready: %t, %v", ready, err)
		}

		if err := s.Destroy(ctx, pointer("a"), "me"); err != nil {
			t.Fatal(err)
		}

		if _, err := s.Get(ctx, pointer("a")); !errors.Is(err, resource.ErrNotFound) {
			t.Errorf("a destroyed resource: %v", err)
		}
	})
}

func TestRefusals(t *testing.T) {
	ctx := t.Context()
	s := resource.NewStore()

	mine := put(t, s, "mine", "", "me")
	put(t, s, "going", "", "me")
	put(t, s, "held", "", "me")

	if _, err := s.Teardown(ctx, pointer("going"), "me"); err != nil {
		t.Fatal(err)
	}

	if err := s.AddFinalizer(ctx, pointer("held"), "x"); err != nil {
		t.Fatal(err)
	}

	stale := mine.Copy()
	stale.Meta.Version = 9

	going, err := resource.Get[note](ctx, s, "going")
	if err != nil {
		t.Fatal(err)
	}

	teardown := func(id, owner string) error {
		_, err := s.Teardown(ctx, pointer(id), owner)

		return err
	}

	for _, test := range []struct {
		name string
		err  error
		want error
	}{
		{"create what exists", s.Create(ctx, resource.New("mine", note{}), "me"), resource.ErrExists},
		{"update what does not exist", s.Update(ctx, resource.New("none", note{}), "me"), resource.ErrNotFound},
		{"update for another", s.Update(ctx, mine.Copy(), "you"), resource.ErrOwner},
		{"update an old version", s.Update(ctx, stale, "me"), resource.ErrConflict},
		{"update what goes", s.Update(ctx, going.Copy(), "me"), resource.ErrPhase},
		{"update what runs, expected to go", s.Update(ctx, mine.Copy(), "me", resource.TearingDown), resource.ErrPhase},
		{"tear down for another", teardown("mine", "you"), resource.ErrOwner},
		{"tear down what does not exist", teardown("none", "me"), resource.ErrNotFound},
		{"finalizer on what goes", s.AddFinalizer(ctx, pointer("going"), "x"), resource.ErrPhase},
		{"finalizer on what does not exist", s.AddFinalizer(ctx, pointer("none"), "x"), resource.ErrNotFound},
		{"destroy for another", s.Destroy(ctx, pointer("mine"), "you"), resource.ErrOwner},
		{"destroy what is held", s.Destroy(ctx, pointer("held"), "me"), resource.ErrFinalizers},
		{"destroy what does not exist", s.Destroy(ctx, pointer("none"), "me"), resource.ErrNotFound},
	} {
		if !errors.Is(test.err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, test.err, test.want)
		}
	}

	if err := s.Update(ctx, going.Copy(), "me", resource.Running, resource.TearingDown); err != nil {
		t.Errorf("an expected phase is refused: %v", err)
	}
}

func TestNothingChangesNothing(t *testing.T) {
	ctx := t.Context()
	s := resource.NewStore()
	before := put(t, s, "a", "", "me")

	if err := s.RemoveFinalizer(ctx, pointer("a"), "x"); err != nil {
		t.Fatal(err)
	}

	if err := s.AddFinalizer(ctx, pointer("a")); err != nil {
		t.Fatal(err)
	}

	if after, err := resource.Get[note](ctx, s, "a"); err != nil || after != before {
		t.Errorf("the resource was written: %v, %v", after, err)
	}
}

func TestListIsSortedAndFiltered(t *testing.T) {
	ctx := t.Context()
	s := resource.NewStore()

	for _, id := range []string{"b", "c", "a"} {
		put(t, s, id, "", "")
	}

	if err := s.Create(ctx, resource.NewIn("elsewhere", "d", note{}), ""); err != nil {
		t.Fatal(err)
	}

	ids := func(namespace string, options ...resource.ListOption) []string {
		notes, err := resource.ListIn[note](ctx, s, namespace, options...)
		if err != nil {
			t.Fatal(err)
		}

		var ids []string
		for _, n := range notes {
			ids = append(ids, n.Meta.ID)
		}

		return ids
	}

	for _, test := range []struct {
		got, want []string
	}{
		{ids("test"), []string{"a", "b", "c"}},
		{ids("test", resource.WithID(regexp.MustCompile("[bc]"))), []string{"b", "c"}},
		{ids("elsewhere"), []string{"d"}},
		{ids("nowhere"), nil},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestVerificationFindsModifiedSpecs(t *testing.T) {
	s := resource.NewStore(resource.WithVerification())
	stored := put(t, s, "a", "one", "")
	s.Verify()

	stored.Spec.Text = "two"

	defer func() {
		if got, want := recover(), any("stored resource test/Notes.test.basalt.dev/a was modified in place"); got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}()

	s.Verify()
}

func TestWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := resource.NewStore(resource.WithHistory(1))

		found := make(chan *resource.Resource[note])

		go func() {
			defer close(found)

			got, err := resource.WaitFor(t.Context(), s, "a", func(n *resource.Resource[note]) bool {
				return n != nil && n.Spec.Text == "three"
			})
			if err != nil {
				t.Error(err)
			}

			found <- got
		}()

		stored := put(t, s, "a", "one", "")

		for _, text := range []string{"two", "three", "three"} {
			next := stored.Copy()
			next.Spec.Text = text

			if err := s.Update(t.Context(), next, ""); err != nil {
				t.Fatal(err)
			}

			stored = next
		}

		if got := <-found; got.Spec.Text != "three" {
			t.Errorf("found %v", got)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()

		_, err := resource.WaitFor(ctx, s, "b", func(n *resource.Resource[note]) bool { return n != nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for what never comes: %v", err)
		}
	})
}
