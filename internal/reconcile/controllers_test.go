package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
)

// planner makes one plan of every wish. What a wish says decides what happens.
// The plan goes before its wish does: until then a finalizer keeps the wish.
type planner struct{}

func (planner) Name() string                { return "planner" }
func (planner) Inputs() []reconcile.Input   { return []reconcile.Input{reconcile.In[wish]().Strong()} }
func (planner) Outputs() []reconcile.Output { return []reconcile.Output{reconcile.Out[plan]()} }

func (planner) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	wishes, err := resource.List[wish](ctx, rt)
	if err != nil {
		return err
	}

	var errs []error

	wanted := map[string]bool{}

	for _, w := range wishes {
		if w.Meta.Phase != resource.Running || w.Spec.Text == "skip" {
			continue
		}

		// A plan that exists stays while its wish cannot be granted.
		wanted[w.Meta.ID] = true

		if err := grant(ctx, rt, w); err != nil {
			errs = append(errs, fmt.Errorf("granting %s: %w", w.Meta.Pointer(), err))
		}
	}

	errs = append(errs, reconcile.Keep[plan](ctx, rt, func(id string) bool { return wanted[id] }))

	for _, w := range wishes {
		if w.Meta.Phase == resource.TearingDown {
			errs = append(errs, release(ctx, rt, w))
		}
	}

	return errors.Join(errs...)
}

// grant writes the plan of a wish.
func grant(ctx context.Context, rt *reconcile.Runtime, w *resource.Resource[wish]) error {
	verb, object, _ := strings.Cut(w.Spec.Text, ":")

	switch verb {
	case "fail":
		return errors.New("the wish cannot be granted")
	case "panic":
		panic("the wish is cursed")
	case "pry":
		_, err := resource.Get[sum](ctx, rt, "sum")

		return err
	case "after":
		if _, err := resource.Get[wish](ctx, rt, object); err != nil {
			return reconcile.WaitingFor(resource.PointerOf[wish](object), "it comes first")
		}
	}

	if err := rt.AddFinalizer(ctx, w.Meta.Pointer()); err != nil {
		return err
	}

	return reconcile.Modify(ctx, rt, w.Meta.ID, func(r *resource.Resource[plan]) error {
		r.Spec.Text = strings.ToUpper(w.Spec.Text)

		return nil
	})
}

// release lets a wish go whose plan is gone.
func release(ctx context.Context, rt *reconcile.Runtime, w *resource.Resource[wish]) error {
	_, err := resource.Get[plan](ctx, rt, w.Meta.ID)
	if errors.Is(err, resource.ErrNotFound) {
		return rt.RemoveFinalizer(ctx, w.Meta.Pointer())
	}

	return err
}

// adder makes one sum of all plans.
type adder struct{}

func (adder) Name() string                { return "adder" }
func (adder) Inputs() []reconcile.Input   { return []reconcile.Input{reconcile.In[plan]()} }
func (adder) Outputs() []reconcile.Output { return []reconcile.Output{reconcile.Out[sum]()} }

func (adder) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	plans, err := resource.List[plan](ctx, rt)
	if err != nil {
		return err
	}

	var texts []string

	for _, p := range plans {
		if p.Meta.Phase == resource.Running {
			texts = append(texts, p.Spec.Text)
		}
	}

	if len(texts) > 0 {
		err = reconcile.Modify(ctx, rt, "sum", func(r *resource.Resource[sum]) error {
			r.Spec.Text = strings.Join(texts, "+")

			return nil
		})
	}

	return errors.Join(err, reconcile.Keep[sum](ctx, rt, func(string) bool { return len(texts) > 0 }))
}
