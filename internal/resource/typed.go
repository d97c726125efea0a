package resource

import (
	"context"
	"errors"
	"fmt"
)

// Reader is what reads resources: a store, or a controller's view of one.
type Reader interface {
	Get(ctx context.Context, pointer Pointer) (Object, error)
	List(ctx context.Context, kind Kind, options ...ListOption) ([]Object, error)
}

// Get returns the T of that ID in the default namespace. The result is the
// stored resource: it is not to be changed.
func Get[T Spec](ctx context.Context, r Reader, id string) (*Resource[T], error) {
	return GetIn[T](ctx, r, KindOf[T]().Namespace, id)
}

// GetIn is Get in a namespace.
func GetIn[T Spec](ctx context.Context, r Reader, namespace, id string) (*Resource[T], error) {
	object, err := r.Get(ctx, Pointer{namespace, KindOf[T]().Type, id})
	if err != nil {
		return nil, err
	}

	return As[T](object)
}

// As returns an object with its type.
func As[T Spec](object Object) (*Resource[T], error) {
	typed, ok := object.(*Resource[T])
	if !ok {
		return nil, fmt.Errorf("%s is a %T, not a %T", object.Metadata().Pointer(), object, typed)
	}

	return typed, nil
}

// List returns all T in the default namespace that match, by ID.
func List[T Spec](ctx context.Context, r Reader, options ...ListOption) ([]*Resource[T], error) {
	return ListIn[T](ctx, r, KindOf[T]().Namespace, options...)
}

// ListIn is List in a namespace.
func ListIn[T Spec](ctx context.Context, r Reader, namespace string, options ...ListOption) ([]*Resource[T], error) {
	objects, err := r.List(ctx, Kind{namespace, KindOf[T]().Type}, options...)
	if err != nil {
		return nil, err
	}

	resources := make([]*Resource[T], len(objects))

	for i, object := range objects {
		if resources[i], err = As[T](object); err != nil {
			return nil, err
		}
	}

	return resources, nil
}

// WaitFor waits until a condition holds for the T of that ID in the default
// namespace, and returns the resource; both see nil while there is none.
func WaitFor[T Spec](ctx context.Context, s *Store, id string, holds func(*Resource[T]) bool) (*Resource[T], error) {
	return WaitForIn(ctx, s, KindOf[T]().Namespace, id, holds)
}

// WaitForIn is WaitFor in a namespace.
func WaitForIn[T Spec](ctx context.Context, s *Store, namespace, id string, holds func(*Resource[T]) bool) (*Resource[T], error) {
	for {
		// The watch begins before the look, so that nothing falls between.
		w, err := s.Watch(ctx, WatchRequest{Kind: Kind{namespace, KindOf[T]().Type}, ID: id})
		if err != nil {
			return nil, err
		}

		for {
			current, err := GetIn[T](ctx, s, namespace, id)
			if err != nil && !errors.Is(err, ErrNotFound) {
				return nil, err
			}

			if holds(current) {
				return current, nil
			}

			if _, err := w.Next(ctx); errors.Is(err, ErrLagged) {
				break
			} else if err != nil {
				return nil, err
			}
		}
	}
}

// Put creates or replaces the T of that ID in the default namespace, which one
// owner alone writes. Nothing happens when it says so already.
func Put[T Spec](ctx context.Context, s *Store, owner, id string, spec T) error {
	current, err := Get[T](ctx, s, id)

	switch {
	case errors.Is(err, ErrNotFound):
		return s.Create(ctx, New(id, spec), owner)
	case err != nil:
		return err
	case Equal(current.Spec, spec):
		return nil
	}

	next := current.Copy()
	next.Spec = spec

	return s.Update(ctx, next, owner)
}

// Drop removes the T of that ID, if it is there and nobody holds it by a
// finalizer.
func Drop[T Spec](ctx context.Context, s *Store, owner, id string) error {
	err := s.Destroy(ctx, PointerOf[T](id), owner)
	if errors.Is(err, ErrNotFound) {
		return nil
	}

	return err
}
