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
