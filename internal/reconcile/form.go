package reconcile

import (
	"context"
	"errors"
	"fmt"

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
	// Map fills the output. It may return ErrSkip or WaitingFor.
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
		keep  = map[string]bool{}
		going []resource.Pointer
	)

	for _, input := range inputs {
		if input.Meta.Phase == resource.TearingDown {
			going = append(going, input.Meta.Pointer())

			continue
		}

		id, err := t.one(ctx, rt, input)
		if err != nil {
			errs = append(errs, err)
		}

		keep[id] = id != ""
	}

	if err := KeepIn[O](ctx, rt, t.to(), func(id string) bool { return keep[id] }); err != nil {
		errs = append(errs, err)
	}

	// An input may go when no output is on its way out any more.
	if len(rt.blocked) == 0 {
		for _, pointer := range going {
			errs = append(errs, rt.RemoveFinalizer(ctx, pointer))
		}
	}

	return errors.Join(errs...)
}

// one maps one input and returns the ID of its output, empty when it has none.
// An output that exists stays while its input cannot be mapped.
func (t *Transform[I, O]) one(ctx context.Context, rt *Runtime, input *resource.Resource[I]) (string, error) {
	id := input.Meta.ID
	if t.ID != nil {
		id = t.ID(input)
	}

	var output O

	err := t.Map(ctx, rt, input, &output)

	switch {
	case errors.Is(err, ErrSkip):
		return "", nil
	case err != nil:
		return id, fmt.Errorf("mapping %s: %w", input.Meta.Pointer(), err)
	}

	if err := rt.AddFinalizer(ctx, input.Meta.Pointer()); err != nil {
		return id, err
	}

	return id, ModifyIn(ctx, rt, t.to(), id, func(r *resource.Resource[O]) error {
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

	for id, output := range outputs {
		errs = append(errs, ModifyIn(ctx, rt, to, id, func(r *resource.Resource[O]) error {
			r.Spec = output

			return nil
		}))
	}

	errs = append(errs, KeepIn[O](ctx, rt, to, func(id string) bool {
		_, ok := outputs[id]

		return ok
	}))

	return errors.Join(errs...)
}
