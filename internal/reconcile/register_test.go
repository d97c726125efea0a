package reconcile_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
)

// plain is a controller made of values.
type plain struct {
	name    string
	inputs  []reconcile.Input
	outputs []reconcile.Output
	run     func(context.Context, *reconcile.Runtime) error
}

func (p plain) Name() string                { return p.name }
func (p plain) Inputs() []reconcile.Input   { return p.inputs }
func (p plain) Outputs() []reconcile.Output { return p.outputs }

func (p plain) Reconcile(ctx context.Context, rt *reconcile.Runtime) error { return p.run(ctx, rt) }

func TestRegister(t *testing.T) {
	exclusive := []reconcile.Output{reconcile.Out[plan]()}
	shared := []reconcile.Output{reconcile.Out[plan]().AsShared()}

	for _, test := range []struct {
		name          string
		first, second plain
		want          string
	}{
		{"two", plain{name: "a"}, plain{name: "b"}, ""},
		{"same name", plain{name: "a"}, plain{name: "a"}, "the name is taken"},
		{"two writers", plain{name: "a", outputs: exclusive}, plain{name: "b", outputs: exclusive}, "Plans is written by a already"},
		{"one shares", plain{name: "a", outputs: exclusive}, plain{name: "b", outputs: shared}, "Plans is written by a already"},
		{"both share", plain{name: "a", outputs: shared}, plain{name: "b", outputs: shared}, ""},
	} {
		engine := reconcile.NewEngine(resource.NewStore(), slog.New(slog.DiscardHandler))
		if err := engine.Register(test.first); err != nil {
			t.Fatal(err)
		}

		err := engine.Register(test.second)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: got %v, want %q", test.name, err, test.want)
		}
	}
}

// once runs a controller one time and returns what it returned.
func once(t *testing.T, store *resource.Store, p plain) error {
	t.Helper()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	var result error

	run := p.run
	p.run = func(ctx context.Context, rt *reconcile.Runtime) error {
		result = run(ctx, rt)

		cancel()

		return nil
	}

	engine := reconcile.NewEngine(store, slog.New(slog.DiscardHandler))
	if err := engine.Register(p); err != nil {
		t.Fatal(err)
	}

	if err := engine.Run(ctx); err != nil {
		t.Fatal(err)
	}

	if err := engine.Run(t.Context()); err == nil {
		t.Error("an engine ran twice")
	}

	return result
}

func TestAccessIsChecked(t *testing.T) {
	pointer := resource.PointerOf[wish]("a")
	kind := pointer.Kind()

	weak := []reconcile.Input{reconcile.In[wish]()}
	strong := []reconcile.Input{reconcile.In[wish]().Strong()}
	other := []reconcile.Input{reconcile.In[wish]().WithID("b")}
	output := []reconcile.Output{reconcile.Out[wish]()}

	get := func(ctx context.Context, rt *reconcile.Runtime) error {
		_, err := rt.Get(ctx, pointer)

		return err
	}
	list := func(ctx context.Context, rt *reconcile.Runtime) error {
		_, err := rt.List(ctx, kind)

		return err
	}
	hold := func(ctx context.Context, rt *reconcile.Runtime) error { return rt.AddFinalizer(ctx, pointer) }
	modify := func(ctx context.Context, rt *reconcile.Runtime) error {
		return reconcile.Modify(ctx, rt, "a", func(r *resource.Resource[wish]) error {
			r.Spec.Text = "mine"

			return nil
		})
	}
	remove := func(ctx context.Context, rt *reconcile.Runtime) error { return reconcile.Remove(ctx, rt, pointer) }

	for _, test := range []struct {
		name string
		p    plain
		want error
	}{
		{"get an input", plain{inputs: weak, run: get}, nil},
		{"get an output", plain{outputs: output, run: get}, nil},
		{"get another of the kind", plain{inputs: other, run: get}, reconcile.ErrUndeclared},
		{"get nothing declared", plain{run: get}, reconcile.ErrUndeclared},
		{"list an input", plain{inputs: weak, run: list}, nil},
		{"list with one declared", plain{inputs: other, run: list}, reconcile.ErrUndeclared},
		{"hold a strong input", plain{inputs: strong, run: hold}, nil},
		{"hold a weak input", plain{inputs: weak, run: hold}, reconcile.ErrUndeclared},
		{"modify an input", plain{inputs: strong, run: modify}, reconcile.ErrUndeclared},
		{"modify another's output", plain{outputs: output, run: modify}, resource.ErrOwner},
		{"remove an input", plain{inputs: strong, run: remove}, reconcile.ErrUndeclared},
	} {
		store := resource.NewStore()
		if err := store.Create(t.Context(), resource.New("a", wish{"x"}), "somebody"); err != nil {
			t.Fatal(err)
		}

		test.p.name = "controller"

		if err := once(t, store, test.p); !errors.Is(err, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, err, test.want)
		}
	}
}

func TestKeepRemovesOnlyItsOwn(t *testing.T) {
	ctx := t.Context()
	store := resource.NewStore()

	for id, owner := range map[string]string{"kept": "controller", "dropped": "controller", "foreign": "somebody"} {
		if err := store.Create(ctx, resource.New(id, plan{}), owner); err != nil {
			t.Fatal(err)
		}
	}

	err := once(t, store, plain{
		name: "controller", outputs: []reconcile.Output{reconcile.Out[plan]()},
		run: func(ctx context.Context, rt *reconcile.Runtime) error {
			return reconcile.Keep[plan](ctx, rt, func(id string) bool { return id == "kept" })
		},
	})
	if err != nil {
		t.Fatal(err)
	}

	left, err := resource.List[plan](ctx, store)
	if err != nil {
		t.Fatal(err)
	}

	if len(left) != 2 || left[0].Meta.ID != "foreign" || left[1].Meta.ID != "kept" {
		t.Errorf("left are %v", left)
	}
}
