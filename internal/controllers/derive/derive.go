// Package derive has the form that most controllers of a node take: they
// compute the whole of their output from their inputs, and the machinery here
// writes what changed and removes what is no longer wanted.
package derive

import (
	"context"
	"errors"

	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
)

// controller implements reconcile.Controller.
type controller struct {
	name    string
	inputs  []reconcile.Input
	outputs []reconcile.Output
	run     func(ctx context.Context, rt *reconcile.Runtime) error
}

func (c *controller) Name() string                { return c.name }
func (c *controller) Inputs() []reconcile.Input   { return c.inputs }
func (c *controller) Outputs() []reconcile.Output { return c.outputs }

func (c *controller) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	return c.run(ctx, rt)
}

// watched adds a source of events from outside the store.
type watched struct {
	reconcile.Controller

	watch func(ctx context.Context, notify func()) error
}

func (w watched) Watch(ctx context.Context, notify func()) error { return w.watch(ctx, notify) }

// Watched returns the controller with a source: it is reconciled whenever
// watch calls notify too.
func Watched(c reconcile.Controller, watch func(ctx context.Context, notify func()) error) reconcile.Controller {
	return watched{Controller: c, watch: watch}
}

// All is a controller of every resource of type T that it computes, by ID, in
// the type's namespace. Resources that it wrote earlier and does not compute
// again are removed. The computed specs belong to the store afterwards.
func All[T resource.Spec](
	name string, inputs []reconcile.Input,
	compute func(ctx context.Context, rt *reconcile.Runtime) (map[string]T, error),
) reconcile.Controller {
	return AllIn(name, resource.KindOf[T]().Namespace, inputs, compute)
}

// AllIn is All in a namespace.
func AllIn[T resource.Spec](
	name, namespace string, inputs []reconcile.Input,
	compute func(ctx context.Context, rt *reconcile.Runtime) (map[string]T, error),
) reconcile.Controller {
	run := func(ctx context.Context, rt *reconcile.Runtime) error {
		specs, err := compute(ctx, rt)
		if err != nil {
			return err
		}

		var errs []error

		// One that cannot be written, such as one that is somebody else's, does
		// not keep the others from it.
		for id, spec := range specs {
			errs = append(errs, reconcile.ModifyIn(ctx, rt, namespace, id, func(r *resource.Resource[T]) error {
				r.Spec = spec

				return nil
			}))
		}

		errs = append(errs, reconcile.KeepIn[T](ctx, rt, namespace, func(id string) bool {
			_, ok := specs[id]

			return ok
		}))

		return errors.Join(errs...)
	}

	return &controller{name: name, inputs: inputs, outputs: []reconcile.Output{reconcile.Out[T]().AsShared()}, run: run}
}

// errNone says that a computed resource is not wanted.
var errNone = errors.New("not wanted")

// None is what compute of One returns for no resource.
func None[T any]() (T, error) {
	var zero T

	return zero, errNone
}

// One is a controller of a single resource. Compute gets the spec that the
// resource has, the zero value when there is none, and must not change it; it
// returns None when there shall be no resource.
func One[T resource.Spec](
	name, id string, inputs []reconcile.Input,
	compute func(ctx context.Context, rt *reconcile.Runtime, current T) (T, error),
) reconcile.Controller {
	run := func(ctx context.Context, rt *reconcile.Runtime) error {
		err := reconcile.Modify(ctx, rt, id, func(r *resource.Resource[T]) error {
			next, err := compute(ctx, rt, r.Spec)
			if err == nil {
				r.Spec = next
			}

			return err
		})

		wanted := !errors.Is(err, errNone)
		if err != nil && wanted {
			return err
		}

		return reconcile.Keep[T](ctx, rt, func(string) bool { return wanted })
	}

	return &controller{name: name, inputs: inputs, outputs: []reconcile.Output{reconcile.Out[T]().AsShared()}, run: run}
}

// Act is a controller that brings its inputs to the outside world and may
// write statuses of the given outputs.
func Act(
	name string, inputs []reconcile.Input, outputs []reconcile.Output,
	run func(ctx context.Context, rt *reconcile.Runtime) error,
) reconcile.Controller {
	return &controller{name: name, inputs: inputs, outputs: outputs, run: run}
}

// Find returns the resource of type T in its own namespace, nil when there is
// none or when it is about to go.
func Find[T resource.Spec](ctx context.Context, r resource.Reader, id string) (*resource.Resource[T], error) {
	found, err := resource.Get[T](ctx, r, id)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case found.Meta.Phase != resource.Running:
		return nil, nil
	}

	return found, nil
}

// Need is Find for a resource that the controller cannot go on without: when
// it is missing, the error says that the controller waits for it.
func Need[T resource.Spec](ctx context.Context, r resource.Reader, id string) (*resource.Resource[T], error) {
	found, err := Find[T](ctx, r, id)
	if err == nil && found == nil {
		err = reconcile.WaitingFor(resource.PointerOf[T](id), "")
	}

	return found, err
}

// In is an input of one resource.
func In[T resource.Spec](id string) reconcile.Input { return reconcile.In[T]().WithID(id) }
