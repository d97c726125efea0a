package node

import (
	"context"
	"errors"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/clock"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/service"
)

// condition is a [service.Condition] made of a function.
type condition struct {
	name string
	wait func(ctx context.Context) error
}

func (c condition) Wait(ctx context.Context) error { return c.wait(ctx) }
func (c condition) String() string                 { return c.name }

func present[T resource.Spec](r *resource.Resource[T]) bool { return r != nil }

// timeSync holds when the clock can be trusted: certificates depend on it.
func (n *Node) timeSync() service.Condition {
	return condition{name: "time sync", wait: func(ctx context.Context) error {
		_, err := resource.WaitFor(ctx, n.store, clock.StatusID, func(r *resource.Resource[clock.Status]) bool {
			return r != nil && r.Spec.Synced
		})

		return err
	}}
}

// networkReady holds when the node has an address and a name.
func (n *Node) networkReady() service.Condition {
	return condition{name: "network", wait: func(ctx context.Context) error {
		_, err := resource.WaitFor(ctx, n.store, network.StatusID, func(r *resource.Resource[network.Status]) bool {
			return r != nil && r.Spec.AddressReady && r.Spec.HostnameReady && r.Spec.EtcFilesReady
		})

		return err
	}}
}

// exists holds when there is a T of that ID.
func exists[T resource.Spec](store *resource.Store, id, name string) service.Condition {
	return condition{name: name, wait: func(ctx context.Context) error {
		_, err := resource.WaitFor(ctx, store, id, present[T])

		return err
	}}
}

// staleSpec returns when the T of that ID says something else than it did at
// the time of the call, so that what was made of it must be made anew. A T
// that goes away changes nothing.
func staleSpec[T resource.Spec](store *resource.Store, id string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		begin, err := resource.Get[T](ctx, store, id)
		if err != nil && !errors.Is(err, resource.ErrNotFound) {
			return err
		}

		_, err = resource.WaitFor(ctx, store, id, func(now *resource.Resource[T]) bool {
			return now != nil && (begin == nil || !resource.Equal(begin.Spec, now.Spec))
		})

		return err
	}
}

// changed is staleSpec for a T that may be absent: that it appears or goes away
// is a change too.
func changed[T resource.Spec](store *resource.Store, id string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		begin, err := resource.Get[T](ctx, store, id)
		if errors.Is(err, resource.ErrNotFound) {
			begin, err = nil, nil
		}

		if err != nil {
			return err
		}

		_, err = resource.WaitFor(ctx, store, id, func(now *resource.Resource[T]) bool {
			return differs(begin, now)
		})

		return err
	}
}

// differs compares two states of a resource; nil is its absence.
func differs[T resource.Spec](was, now *resource.Resource[T]) bool {
	if was == nil || now == nil {
		return was != now
	}

	return !resource.Equal(was.Spec, now.Spec)
}

// first returns what the first of several waits returns, and leaves none of
// them behind.
func first(waits ...func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		results := make(chan error, len(waits))

		for _, wait := range waits {
			go func() { results <- wait(ctx) }()
		}

		result := <-results

		cancel()

		for range len(waits) - 1 {
			<-results //nolint:errcheck // the first error counts
		}

		return result
	}
}
