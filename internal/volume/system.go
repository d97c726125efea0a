package volume

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// MountSystem has everything mounted that makes up the file systems of a running
// machine besides META and STATE: EPHEMERAL, the volumes that have been given a
// place of their own instead of a folder on it, and the folders below. It waits
// for EPHEMERAL to be configured first. All are tried; the error tells of those
// that failed.
func MountSystem(ctx context.Context, store *resource.Store, requester string) error {
	_, err := resource.WaitFor(ctx, store, volumes.Ephemeral, func(r *resource.Resource[block.VolumeConfig]) bool { return r != nil })
	if err != nil {
		return err
	}

	configs, err := resource.List[block.VolumeConfig](ctx, store)
	if err != nil {
		return err
	}

	var (
		group errgroup.Group
		errs  = make([]error, len(configs))
	)

	for i, c := range configs {
		if c.Meta.Phase == resource.Running && isSystem(c.Meta.ID) {
			group.Go(func() error {
				_, errs[i] = Mount(ctx, store, c.Meta.ID, requester)

				return nil
			})
		}
	}

	return errors.Join(group.Wait(), errors.Join(errs...))
}

func isSystem(id string) bool {
	ofUsers := slices.ContainsFunc([]string{
		volumes.PrefixUser, volumes.PrefixRaw, volumes.PrefixSwap, volumes.PrefixExisting, volumes.PrefixExternal, "/dev/",
	}, func(prefix string) bool { return strings.HasPrefix(id, prefix) })

	return !ofUsers && id != volumes.Meta && id != volumes.State
}
