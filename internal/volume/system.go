package volume

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/resource"
)

// WaitSystem waits until all that MountSystem mounts can be mounted. It fails
// with ErrFailed, and tells of all that failed.
func WaitSystem(ctx context.Context, store *resource.Store) error {
	return eachOfSystem(func(id string) error {
		_, err := WaitReady(ctx, store, id)

		return err
	})
}

// MountSystem has everything mounted that makes up the file systems of a running
// machine besides META and STATE: EPHEMERAL, the volumes that have been given a
// place of their own instead of a folder on it, and the folders below. It waits
// for those that are not ready. All are tried; the error tells of those that
// failed.
func MountSystem(ctx context.Context, store *resource.Store, requester string) error {
	return eachOfSystem(func(id string) error {
		_, err := Mount(ctx, store, id, requester)

		return err
	})
}

func eachOfSystem(do func(id string) error) error {
	var (
		tree  = volumes.Tree()
		group errgroup.Group
		errs  = make([]error, len(tree))
	)

	for i, id := range tree {
		group.Go(func() error {
			errs[i] = do(id)

			return nil
		})
	}

	return errors.Join(group.Wait(), errors.Join(errs...))
}
