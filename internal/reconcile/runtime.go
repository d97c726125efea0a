package reconcile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// ErrUndeclared is wrapped by errors about access to resources that a
// controller has not declared.
var ErrUndeclared = errors.New("not declared by the controller")

// Runtime is a controller's view of the store: it reads inputs and outputs and
// writes outputs, owned by the controller. It is valid during one call of
// Reconcile.
type Runtime struct {
	store   *resource.Store
	name    string
	inputs  []Input
	outputs []Output
	logger  *slog.Logger
	requeue time.Duration
	blocked []*resource.Watch // on outputs that finalizers keep from going
}

// Logger returns the controller's logger.
func (rt *Runtime) Logger() *slog.Logger { return rt.logger }

// RequeueAfter has Reconcile called again after a time even if no input
// changes. The shortest of several times counts; it is forgotten when an input
// changes first.
func (rt *Runtime) RequeueAfter(d time.Duration) {
	if rt.requeue == 0 || d < rt.requeue {
		rt.requeue = max(d, 1)
	}
}

// Get implements resource.Reader.
func (rt *Runtime) Get(ctx context.Context, pointer resource.Pointer) (resource.Object, error) {
	declared := slices.ContainsFunc(rt.inputs, func(i Input) bool { return i.covers(pointer) })

	if !declared && !rt.writes(pointer.Type) {
		return nil, fmt.Errorf("reading %s: %w", pointer, ErrUndeclared)
	}

	return rt.store.Get(ctx, pointer)
}

// List implements resource.Reader.
func (rt *Runtime) List(ctx context.Context, kind resource.Kind, options ...resource.ListOption) ([]resource.Object, error) {
	declared := slices.ContainsFunc(rt.inputs, func(i Input) bool { return i.kind() == kind && i.ID == "" })

	if !declared && !rt.writes(kind.Type) {
		return nil, fmt.Errorf("listing %s: %w", kind, ErrUndeclared)
	}

	return rt.store.List(ctx, kind, options...)
}

func (rt *Runtime) writes(resourceType string) bool {
	return slices.ContainsFunc(rt.outputs, func(o Output) bool { return o.Type == resourceType })
}

func (rt *Runtime) mayWrite(pointer resource.Pointer) error {
	if !rt.writes(pointer.Type) {
		return fmt.Errorf("writing %s: %w", pointer, ErrUndeclared)
	}

	return nil
}

// Teardown begins the removal of an output and says whether it can be
// destroyed. The controller is called again when that changes.
func (rt *Runtime) Teardown(ctx context.Context, pointer resource.Pointer) (ready bool, err error) {
	if err := rt.mayWrite(pointer); err != nil {
		return false, err
	}

	return rt.store.Teardown(ctx, pointer, rt.name)
}

// Destroy removes an output.
func (rt *Runtime) Destroy(ctx context.Context, pointer resource.Pointer) error {
	if err := rt.mayWrite(pointer); err != nil {
		return err
	}

	return rt.store.Destroy(ctx, pointer, rt.name)
}

// AddFinalizer keeps a strong input from going.
func (rt *Runtime) AddFinalizer(ctx context.Context, pointer resource.Pointer) error {
	return rt.finalizer(ctx, pointer, rt.store.AddFinalizer)
}

// RemoveFinalizer lets a strong input go.
func (rt *Runtime) RemoveFinalizer(ctx context.Context, pointer resource.Pointer) error {
	return rt.finalizer(ctx, pointer, rt.store.RemoveFinalizer)
}

func (rt *Runtime) finalizer(ctx context.Context, pointer resource.Pointer,
	change func(context.Context, resource.Pointer, ...string) error,
) error {
	strong := slices.ContainsFunc(rt.inputs, func(i Input) bool { return i.covers(pointer) && i.Mode == Strong })
	if !strong {
		return fmt.Errorf("changing finalizers of %s: strong input %w", pointer, ErrUndeclared)
	}

	return change(ctx, pointer, rt.name)
}

// Modify creates or updates an output in the default namespace of its type.
// change gets a copy that it may alter, or a new resource; nothing is written
// when it alters nothing. An output that is tearing down is removed first, and
// made anew; WaitingFor is returned while finalizers keep it.
func Modify[T resource.Spec](ctx context.Context, rt *Runtime, id string, change func(*resource.Resource[T]) error) error {
	return ModifyIn(ctx, rt, resource.KindOf[T]().Namespace, id, change)
}

// ModifyIn is Modify in a namespace.
func ModifyIn[T resource.Spec](ctx context.Context, rt *Runtime, namespace, id string, change func(*resource.Resource[T]) error) error {
	pointer := resource.Pointer{Namespace: namespace, Type: resource.KindOf[T]().Type, ID: id}
	if err := rt.mayWrite(pointer); err != nil {
		return err
	}

	current, err := resource.GetIn[T](ctx, rt.store, namespace, id)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		var zero T

		created := resource.NewIn(namespace, id, zero)
		if err := change(created); err != nil {
			return err
		}

		return rt.store.Create(ctx, created, rt.name)
	case err != nil:
		return err
	}

	changed := current.Copy()
	if err := change(changed); err != nil {
		return err
	}

	if current.Meta.Phase == resource.TearingDown && current.Meta.Owner == rt.name {
		return replace(ctx, rt, changed)
	}

	if changed.EqualSpec(current) && maps.Equal(changed.Meta.Labels, current.Meta.Labels) &&
		maps.Equal(changed.Meta.Annotations, current.Meta.Annotations) {
		return nil
	}

	return rt.store.Update(ctx, changed, rt.name)
}

// replace makes an output anew that is tearing down.
func replace[T resource.Spec](ctx context.Context, rt *Runtime, wanted *resource.Resource[T]) error {
	gone, err := remove(ctx, rt, wanted.Meta.Pointer())
	if err != nil {
		return err
	}

	if !gone {
		return WaitingFor(wanted.Meta.Pointer(), "it is tearing down, kept by "+strings.Join(wanted.Meta.Finalizers, ", "))
	}

	wanted.Meta.Finalizers = nil

	return rt.store.Create(ctx, wanted, rt.name)
}

// Keep removes the controller's own resources of type T, in the type's default
// namespace, whose ID keep refuses. Those with finalizers are torn down and go
// in a later call, after the finalizers have gone.
func Keep[T resource.Spec](ctx context.Context, rt *Runtime, keep func(id string) bool) error {
	return KeepIn[T](ctx, rt, resource.KindOf[T]().Namespace, keep)
}

// KeepIn is Keep in a namespace.
func KeepIn[T resource.Spec](ctx context.Context, rt *Runtime, namespace string, keep func(id string) bool) error {
	objects, err := rt.store.List(ctx, resource.Kind{Namespace: namespace, Type: resource.KindOf[T]().Type})
	if err != nil {
		return err
	}

	for _, object := range objects {
		meta := object.Metadata()
		if meta.Owner != rt.name || keep(meta.ID) {
			continue
		}

		if err := Remove(ctx, rt, meta.Pointer()); err != nil {
			return err
		}
	}

	return nil
}

// Remove tears an output down and destroys it if it has no finalizers;
// otherwise the controller is called again when they change. It is no error
// when the output does not exist.
func Remove(ctx context.Context, rt *Runtime, pointer resource.Pointer) error {
	_, err := remove(ctx, rt, pointer)

	return err
}

// remove says whether the output is gone.
func remove(ctx context.Context, rt *Runtime, pointer resource.Pointer) (gone bool, err error) {
	// The watch begins before the look at the finalizers.
	watch, err := rt.store.Watch(ctx, resource.WatchRequest{Kind: pointer.Kind(), ID: pointer.ID})
	if err != nil {
		return false, err
	}

	ready, err := rt.Teardown(ctx, pointer)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		return true, nil
	case err != nil:
		return false, err
	case !ready:
		rt.blocked = append(rt.blocked, watch)

		return false, nil
	}

	return true, rt.Destroy(ctx, pointer)
}
