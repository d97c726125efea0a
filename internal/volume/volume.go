// Package volume is how the tasks and services of a node use volumes: it asks
// for them as resources and waits until the controllers have done the work.
package volume

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Errors of this package.
var (
	// ErrMissing says that there is no such volume on the disks, and none is to
	// be made.
	ErrMissing = errors.New("the volume does not exist")
	// ErrFailed says that a volume cannot be used; the error has the reason.
	ErrFailed = errors.New("the volume cannot be used")
)

// Location is where a volume is.
type Location struct {
	// Device is the node of the partition or disk: /dev/vda2.
	Device string
	// Disk is the node of the disk that the partition is on; empty for a
	// volume that is a whole disk.
	Disk string
	// Partition is the number of the partition, and Offset where it begins on
	// the disk, in bytes.
	Partition int
	Offset    uint64
	Size      uint64 // bytes
}

// WaitDiscovered waits until all disks that were there when the machine started
// have been looked at.
func WaitDiscovered(ctx context.Context, store *resource.Store) error {
	_, err := resource.WaitFor(ctx, store, "status", func(r *resource.Resource[block.DiscoveredVolumesStatus]) bool {
		return r != nil && r.Spec.Ready
	})
	if err != nil {
		return fmt.Errorf("waiting for the disks: %w", err)
	}

	return nil
}

// Rediscover has all disks looked at anew, and waits until that is done.
func Rediscover(ctx context.Context, store *resource.Store) error {
	request, err := resource.Get[block.DiscoveryRefreshRequest](ctx, store, block.RefreshID)

	var number int

	switch {
	case errors.Is(err, resource.ErrNotFound):
		number = 1
		err = store.Create(ctx, resource.New(block.RefreshID, block.DiscoveryRefreshRequest{Request: number}), owner)
	case err == nil:
		next := request.Copy()
		next.Spec.Request++
		number = next.Spec.Request
		err = store.Update(ctx, next, owner)
	}

	if err != nil {
		return fmt.Errorf("asking for a look at the disks: %w", err)
	}

	_, err = resource.WaitFor(ctx, store, block.RefreshID, func(r *resource.Resource[block.DiscoveryRefreshStatus]) bool {
		return r != nil && r.Spec.Request >= number
	})
	if err != nil {
		return fmt.Errorf("waiting for the disks: %w", err)
	}

	return nil
}

// Locate waits until it is known where a volume is. It fails with ErrMissing
// when there is none, and with ErrFailed.
func Locate(ctx context.Context, store *resource.Store, id string) (Location, error) {
	status, err := settle(ctx, store, id, func(phase block.VolumePhase) bool { return phase != block.VolumePhaseWaiting })
	if err != nil {
		return Location{}, err
	}

	if status.Phase == block.VolumePhaseMissing {
		return Location{}, fmt.Errorf("volume %s: %w", id, ErrMissing)
	}

	l := Location{
		Device: status.Location, Disk: status.ParentLocation, Partition: status.PartitionIndex, Size: status.Size,
	}

	found, err := resource.List[block.DiscoveredVolume](ctx, store)
	if err != nil {
		return Location{}, err
	}

	for _, v := range found {
		if v.Spec.DevPath == l.Device {
			l.Offset = v.Spec.Offset
		}
	}

	return l, nil
}

// WaitReady waits until a volume can be mounted. It fails with ErrFailed. A
// volume that is missing may still be made, when there is a configuration that
// says so, and is waited for: see Locate.
func WaitReady(ctx context.Context, store *resource.Store, id string) (block.VolumeStatus, error) {
	return settle(ctx, store, id, func(phase block.VolumePhase) bool { return phase == block.VolumePhaseReady })
}

// settle waits for a volume to come into a phase, or to fail.
func settle(ctx context.Context, store *resource.Store, id string, holds func(block.VolumePhase) bool) (block.VolumeStatus, error) {
	var last block.VolumeStatus

	_, err := resource.WaitFor(ctx, store, id, func(r *resource.Resource[block.VolumeStatus]) bool {
		if r == nil || r.Meta.Phase != resource.Running {
			return false
		}

		last = r.Spec

		return last.Phase == block.VolumePhaseFailed || holds(last.Phase)
	})

	switch {
	case err != nil:
		return last, fmt.Errorf("waiting for volume %s (%s): %w", id, last.Phase, err)
	case last.Phase == block.VolumePhaseFailed:
		return last, fmt.Errorf("volume %s: %w: %s", id, ErrFailed, last.ErrorMessage)
	}

	return last, nil
}

// owner owns the requests that this package writes.
const owner = "volume"

// Request asks for a volume. The zero value of its fields is how nearly all
// volumes are mounted.
type Request struct {
	ReadOnly, NoAccessTime, Secure, NoExec bool
}

// Mount has a volume mounted for a requester, and waits for it. The volume
// stays mounted until Unmount with the same requester. It returns the path. A
// failed volume ends the wait with ErrFailed; the request stays, and Unmount
// takes it back.
func Mount(ctx context.Context, store *resource.Store, id, requester string) (string, error) {
	return MountWith(ctx, store, id, requester, Request{})
}

// MountWith is Mount in a certain way.
func MountWith(ctx context.Context, store *resource.Store, id, requester string, how Request) (string, error) {
	name := requestID(id, requester)

	request := resource.New(name, block.VolumeMountRequest{
		VolumeID: id, Requester: requester, ReadOnly: how.ReadOnly, DisableAccessTime: how.NoAccessTime,
		Secure: how.Secure, NoExec: how.NoExec,
	})
	if err := store.Create(ctx, request, owner); err != nil && !errors.Is(err, resource.ErrExists) {
		return "", fmt.Errorf("asking for volume %s: %w", id, err)
	}

	if _, err := WaitReady(ctx, store, id); err != nil {
		return "", err
	}

	status, err := resource.WaitFor(ctx, store, name, func(r *resource.Resource[block.VolumeMountStatus]) bool {
		return r != nil && r.Meta.Phase == resource.Running
	})
	if err != nil {
		return "", fmt.Errorf("waiting for volume %s to be mounted: %w", id, err)
	}

	// It stays until we let go.
	if err := store.AddFinalizer(ctx, status.Meta.Pointer(), owner); err != nil {
		return "", fmt.Errorf("using volume %s: %w", id, err)
	}

	return status.Spec.Target, nil
}

// Unmount takes a request back, and waits until the volume is unmounted, if no
// other wants it. It is no error when there is no request.
func Unmount(ctx context.Context, store *resource.Store, id, requester string) error {
	name := requestID(id, requester)
	pointer := resource.PointerOf[block.VolumeMountRequest](name)

	if err := takeBack(ctx, store, pointer); err != nil {
		return fmt.Errorf("unmounting volume %s: %w", id, err)
	}

	return nil
}

// takeBack removes a request. Its finalizers go when what was done for it is
// undone.
func takeBack(ctx context.Context, store *resource.Store, pointer resource.Pointer) error {
	if _, err := store.Teardown(ctx, pointer, owner); errors.Is(err, resource.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}

	err := store.RemoveFinalizer(ctx, resource.PointerOf[block.VolumeMountStatus](pointer.ID), owner)
	if err != nil && !errors.Is(err, resource.ErrNotFound) {
		return err
	}

	_, err = resource.WaitFor(ctx, store, pointer.ID, func(r *resource.Resource[block.VolumeMountRequest]) bool {
		return r == nil || len(r.Meta.Finalizers) == 0
	})
	if err != nil {
		return err
	}

	if err := store.Destroy(ctx, pointer, owner); err != nil && !errors.Is(err, resource.ErrNotFound) {
		return err
	}

	return nil
}

func requestID(id, requester string) string {
	return requester + "-" + strings.Trim(strings.ReplaceAll(id, "/", "-"), "-")
}

// Open says that volumes may be used, until Close, after which nothing is located,
// made or mounted any more: what is done to the disks then is not put right.
func Open(ctx context.Context, store *resource.Store) error {
	err := store.Create(ctx, resource.New(block.VolumeLifecycleID, block.VolumeLifecycle{}), owner)
	if err != nil && !errors.Is(err, resource.ErrExists) {
		return fmt.Errorf("opening volumes: %w", err)
	}

	return nil
}

// Close takes back all requests that were made through this package, one after
// the other, the latest first, and then has all volumes closed. It waits until
// nothing is mounted any more; ctx should have a deadline.
func Close(ctx context.Context, store *resource.Store) error {
	requests, err := resource.List[block.VolumeMountRequest](ctx, store)
	if err != nil {
		return fmt.Errorf("closing volumes: %w", err)
	}

	slices.SortFunc(requests, func(a, b *resource.Resource[block.VolumeMountRequest]) int {
		return b.Meta.Created.Compare(a.Meta.Created)
	})

	var errs []error

	for _, r := range requests {
		if r.Meta.Owner == owner {
			errs = append(errs, takeBack(ctx, store, r.Meta.Pointer()))
		}
	}

	pointer := resource.PointerOf[block.VolumeLifecycle](block.VolumeLifecycleID)

	if _, err := store.Teardown(ctx, pointer, owner); errors.Is(err, resource.ErrNotFound) {
		return errors.Join(errs...)
	} else if err != nil {
		return fmt.Errorf("closing volumes: %w", errors.Join(append(errs, err)...))
	}

	_, err = resource.WaitFor(ctx, store, block.VolumeLifecycleID, func(r *resource.Resource[block.VolumeLifecycle]) bool {
		return r == nil || len(r.Meta.Finalizers) == 0
	})
	if err = errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("closing volumes: %w", err)
	}

	return nil
}
