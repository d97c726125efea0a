// Package manager brings volumes into being: it looks for each volume on the
// disks, makes the partition where the configuration wants one, and the file
// system in it, and says in a VolumeStatus how far it has come.
//
// It writes to a disk only when the configuration selects that disk, and puts
// a file system only where there is nothing. What stands in the way ends in the
// phase failed, with the reason, and is tried again when something changes.
package manager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// retryPause is how long after a failure things are tried again when nothing
// has changed.
const retryPause = 30 * time.Second

// lockedPause is how long until a look whether a disk is free whose partitions
// another works on, such as the installation.
const lockedPause = time.Second

// Maker makes file systems, as [mkfs.Maker] does.
type Maker interface {
	Make(ctx context.Context, node string, size uint64, spec mkfs.Spec) error
}

// Encryption opens encrypted volumes, and makes those that are new.
type Encryption interface {
	// Open returns the node of what is inside of an encrypted volume. A volume
	// that is empty is encrypted first.
	Open(ctx context.Context, id string, config block.VolumeConfig, status block.VolumeStatus) (node string, err error)
	// Close ends that.
	Close(ctx context.Context, id string) error
}

// Dependencies are the outside world of the manager.
type Dependencies struct {
	System blockdev.System
	Opener blockdev.Opener
	Maker  Maker
	// Encryption may be nil: then volumes that shall be encrypted are refused.
	Encryption Encryption
	// BootPartition is the identity of the partition that the boot loader came
	// from, empty when it is not known. Of several disks with META, the one with
	// this partition is the system's.
	BootPartition func() string
}

// manager is the controller.
type manager struct {
	Dependencies

	compiled *compiled
}

// New is the volume manager.
func New(d Dependencies) reconcile.Controller {
	m := &manager{Dependencies: d, compiled: newCompiled()}

	return derive.Act("block.VolumeManagerController",
		[]reconcile.Input{
			reconcile.In[block.VolumeConfig]().Strong(),
			reconcile.In[block.VolumeLifecycle]().WithID(block.VolumeLifecycleID).Strong(),
			reconcile.In[block.DiscoveredVolume](), reconcile.In[block.DiscoveredVolumesStatus](), reconcile.In[block.Disk](),
		},
		[]reconcile.Output{reconcile.Out[block.VolumeStatus]().AsShared()}, m.reconcile)
}

func (m *manager) reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	configs, err := resource.List[block.VolumeConfig](ctx, rt)
	if err != nil {
		return err
	}

	closing, err := m.closing(ctx, rt)
	if err != nil {
		return err
	}

	if closing {
		return m.closeAll(ctx, rt, configs)
	}

	w, err := look(ctx, rt, m.compiled)
	if err != nil {
		return err
	}

	volumes, err := m.volumes(ctx, rt, configs)
	if err != nil {
		return err
	}

	var errs []error

	for _, v := range volumes {
		before := v.status.Phase
		m.advance(ctx, w, v, volumes)

		if v.status.Phase != before {
			rt.Logger().Info("volume", "id", v.id, "phase", v.status.Phase, "location", v.status.Location, "error", v.status.ErrorMessage)
		}

		switch {
		case v.status.Phase == block.VolumePhaseFailed:
			rt.RequeueAfter(retryPause)
		case v.locked:
			rt.RequeueAfter(lockedPause)
		}

		errs = append(errs, reconcile.Modify(ctx, rt, v.id, func(r *resource.Resource[block.VolumeStatus]) error {
			r.Spec = v.status

			return nil
		}))
	}

	for _, c := range configs {
		if c.Meta.Phase == resource.TearingDown {
			errs = append(errs, m.closeOne(ctx, rt, c))
		}
	}

	return errors.Join(errs...)
}

// volume is one volume in the works.
type volume struct {
	id     string
	config block.VolumeConfig
	status block.VolumeStatus
	locked bool // the disk is another's to change for now
}

// volumes are those that shall be, in the order in which they are made.
func (m *manager) volumes(ctx context.Context, rt *reconcile.Runtime, configs []*resource.Resource[block.VolumeConfig]) ([]*volume, error) {
	var out []*volume

	for _, c := range configs {
		if c.Meta.Phase == resource.TearingDown {
			continue
		}

		if err := rt.AddFinalizer(ctx, c.Meta.Pointer()); err != nil {
			return nil, err
		}

		v := &volume{id: c.Meta.ID, config: c.Spec}

		current, err := derive.Find[block.VolumeStatus](ctx, rt, v.id)
		if err != nil {
			return nil, err
		}

		if current != nil {
			v.status = current.Copy().Spec
		}

		v.describe()
		out = append(out, v)
	}

	sortVolumes(out)

	return out, nil
}

// describe repeats in the status what others need to know of the configuration.
func (v *volume) describe() {
	s := &v.status
	s.Type, s.ParentID, s.MountSpec, s.SymlinkSpec = v.config.Type, v.config.ParentID, v.config.Mount, v.config.Symlink
	s.TrimEnabled, s.TrimInterval = v.config.TrimEnabled, v.config.TrimInterval
	s.ScrubEnabled, s.ScrubInterval = v.config.ScrubEnabled, v.config.ScrubInterval
}

// closing says whether all volumes shall be closed.
func (m *manager) closing(ctx context.Context, rt *reconcile.Runtime) (bool, error) {
	lifecycle, err := resource.Get[block.VolumeLifecycle](ctx, rt, block.VolumeLifecycleID)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	case lifecycle.Meta.Phase == resource.TearingDown:
		return true, nil
	}

	return false, rt.AddFinalizer(ctx, lifecycle.Meta.Pointer())
}

// closeAll closes every volume that nobody uses any more, and lets the
// lifecycle go when that were all.
func (m *manager) closeAll(ctx context.Context, rt *reconcile.Runtime, configs []*resource.Resource[block.VolumeConfig]) error {
	open := false

	for _, c := range configs {
		done, err := m.close(ctx, rt, c)
		if err != nil {
			return err
		}

		open = open || !done
	}

	if open {
		return nil
	}

	return rt.RemoveFinalizer(ctx, resource.PointerOf[block.VolumeLifecycle](block.VolumeLifecycleID))
}

// closeOne closes a volume that is no longer configured.
func (m *manager) closeOne(ctx context.Context, rt *reconcile.Runtime, c *resource.Resource[block.VolumeConfig]) error {
	done, err := m.close(ctx, rt, c)
	if err != nil || !done {
		return err
	}

	return rt.RemoveFinalizer(ctx, c.Meta.Pointer())
}

// close removes the status of a volume, once those that mount it are done with
// it, and says whether it is gone.
func (m *manager) close(ctx context.Context, rt *reconcile.Runtime, c *resource.Resource[block.VolumeConfig]) (bool, error) {
	pointer := resource.PointerOf[block.VolumeStatus](c.Meta.ID)

	if err := reconcile.Remove(ctx, rt, pointer); err != nil {
		return false, err
	}

	_, err := resource.Get[block.VolumeStatus](ctx, rt, c.Meta.ID)
	if !errors.Is(err, resource.ErrNotFound) {
		return false, err
	}

	if m.Encryption != nil && c.Spec.Encryption.Provider != block.EncryptionProviderTypeNone {
		if err := m.Encryption.Close(ctx, c.Meta.ID); err != nil {
			return false, fmt.Errorf("closing volume %s: %w", c.Meta.ID, err)
		}
	}

	return true, nil
}
