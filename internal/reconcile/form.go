package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/basalt-os/basalt/internal/resource"
)

// ErrSkip is returned by the function of a Transform that wants no output for
// an input.
var ErrSkip = errors.New("no output for this input")

// Transform is a controller that makes one Out of every In. The outputs go
// before their inputs do: inputs are kept by a finalizer until then.
type Transform[I, O resource.Spec] struct {
	ControllerName string
	// From and To are namespaces; empty is the default of the type.
	From, To string
	// Extra inputs are read by Map; a change in one maps everything again.
	Extra []Input
	// ID names the output; nil keeps the ID of the input.
	ID func(input *resource.Resource[I]) string
	// Map fills the output, for each input that is not tearing down. It is a
	// pure function of what it reads, and may return ErrSkip or WaitingFor.
	Map func(ctx context.Context, r resource.Reader, input *resource.Resource[I], output *O) error
}

// Name implements Controller.
func (t *Transform[I, O]) Name() string { return t.ControllerName }

// Inputs implements Controller.
func (t *Transform[I, O]) Inputs() []Input {
	input := In[I]().Strong()
	if t.From != "" {
		input.Namespace = t.From
	}

	return append([]Input{input}, t.Extra...)
}

// Outputs implements Controller.
func (t *Transform[I, O]) Outputs() []Output { return []Output{Out[O]()} }

func (t *Transform[I, O]) to() string {
	if t.To != "" {
		return t.To
	}

	return resource.KindOf[O]().Namespace
}

// Reconcile implements Controller.
func (t *Transform[I, O]) Reconcile(ctx context.Context, rt *Runtime) error {
	inputs, err := resource.ListIn[I](ctx, rt, t.Inputs()[0].Namespace)
	if err != nil {
		return err
	}

	var (
		errs  []error
		keep  = map[string]bool{} // IDs of outputs
		going []*resource.Resource[I]
	)

	for _, input := range inputs {
		if input.Meta.Phase == resource.TearingDown {
			going = append(going, input)

			continue
		}

		wanted, err := t.one(ctx, rt, input)
		if err != nil {
			errs = append(errs, err)
		}

		if wanted {
			keep[t.id(input)] = true
		}
	}

	if err := KeepIn[O](ctx, rt, t.to(), func(id string) bool { return keep[id] }); err != nil {
		errs = append(errs, err)
	}

	for _, input := range going {
		errs = append(errs, t.release(ctx, rt, input, keep))
	}

	return errors.Join(errs...)
}

// id is the ID of the output of an input.
func (t *Transform[I, O]) id(input *resource.Resource[I]) string {
	if t.ID == nil {
		return input.Meta.ID
	}

	return t.ID(input)
}

// release lets an input go whose output is gone, or has become another's.
func (t *Transform[I, O]) release(ctx context.Context, rt *Runtime, input *resource.Resource[I], keep map[string]bool) error {
	id := t.id(input)

	_, err := resource.GetIn[O](ctx, rt, t.to(), id)
	if err != nil && !errors.Is(err, resource.ErrNotFound) {
		return err
	}

	if err == nil && !keep[id] {
		return nil
	}

	return rt.RemoveFinalizer(ctx, input.Meta.Pointer())
}

// one maps one input and says whether its output is wanted. An output that
// exists stays while its input cannot be mapped.
func (t *Transform[I, O]) one(ctx context.Context, rt *Runtime, input *resource.Resource[I]) (bool, error) {
	var output O

	err := t.Map(ctx, rt, input, &output)

	switch {
	case errors.Is(err, ErrSkip):
		return false, nil
	case err != nil:
		return true, fmt.Errorf("mapping %s: %w", input.Meta.Pointer(), err)
	}

	if err := rt.AddFinalizer(ctx, input.Meta.Pointer()); err != nil {
		return true, err
	}

	return true, ModifyIn(ctx, rt, t.to(), t.id(input), func(r *resource.Resource[O]) error {
		r.Spec = output

		return nil
	})
}

// Merge is a controller that makes outputs of all inputs together, such as
// layers of configuration into what is to hold.
type Merge[I, O resource.Spec] struct {
	ControllerName string
	// From and To are namespaces; empty is the default of the type.
	From, To string
	// Combine returns the outputs by ID. It is a pure function.
	Combine func(inputs []*resource.Resource[I]) (map[string]O, error)
}

// Name implements Controller.
func (m *Merge[I, O]) Name() string { return m.ControllerName }

// Inputs implements Controller.
func (m *Merge[I, O]) Inputs() []Input {
	input := In[I]()
	if m.From != "" {
		input.Namespace = m.From
	}

	return []Input{input}
}

// Outputs implements Controller.
func (m *Merge[I, O]) Outputs() []Output { return []Output{Out[O]()} }

// Reconcile implements Controller.
func (m *Merge[I, O]) Reconcile(ctx context.Context, rt *Runtime) error {
	inputs, err := resource.ListIn[I](ctx, rt, m.Inputs()[0].Namespace)
	if err != nil {
		return err
	}

	outputs, err := m.Combine(inputs)
	if err != nil {
		return err
	}

	to := m.To
	if to == "" {
		to = resource.KindOf[O]().Namespace
	}

	var errs []error

	for _, id := range slices.Sorted(maps.Keys(outputs)) {
		errs = append(errs, ModifyIn(ctx, rt, to, id, func(r *resource.Resource[O]) error {
			r.Spec = outputs[id]

			return nil
		}))
	}

	errs = append(errs, KeepIn[O](ctx, rt, to, func(id string) bool {
		_, ok := outputs[id]

		return ok
	}))

	return errors.Join(errs...)
}
