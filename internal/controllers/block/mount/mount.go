package mount

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Mount is one thing to mount, or to make where nothing is mounted.
type Mount struct {
	Type       block.VolumeType
	Filesystem block.FilesystemType
	// Source is a device, a tag, what a symbolic link points to, or the folder
	// that takes the changes of an overlay.
	Source string
	Target string // empty for swap space
	// Bind has a folder mounted on itself.
	Bind bool

	ReadOnly, Secure, NoExec, NoAccessTime bool // Secure is nosuid and nodev
	ProjectQuota                           bool
	Parameters                             []block.ParameterSpec

	Mode     fs.FileMode // of the target, unless 0
	UID, GID int
	// Grow has a file system take all of its device, of Size bytes.
	Grow bool
	Size uint64
}

// Mounter is the file systems of the machine.
type Mounter interface {
	Mount(ctx context.Context, m Mount) error
	// Remount changes the flags of what is mounted.
	Remount(ctx context.Context, m Mount) error
	// Unmount fails while the mount is in use. It is no error when nothing is
	// mounted.
	Unmount(ctx context.Context, m Mount) error
}

// overlays is where the changes of overlays are kept, below their parent.
const overlays = "system/overlays"

// Mounts mounts what is asked for.
func Mounts(mounter Mounter) reconcile.Controller {
	return derive.Act("block.MountController",
		[]reconcile.Input{
			reconcile.In[block.MountRequest]().Strong(), reconcile.In[block.VolumeStatus]().Strong(), reconcile.In[block.MountStatus](),
		},
		[]reconcile.Output{reconcile.Out[block.MountStatus]().AsShared()},
		func(ctx context.Context, rt *reconcile.Runtime) error {
			requests, err := resource.List[block.MountRequest](ctx, rt)
			if err != nil {
				return err
			}

			var errs []error

			// One that cannot be mounted does not keep others from it.
			for _, request := range requests {
				if request.Meta.Phase == resource.TearingDown {
					err = undo(ctx, rt, mounter, request)
				} else {
					err = carryOut(ctx, rt, mounter, request)
				}

				if err != nil {
					errs = append(errs, fmt.Errorf("volume %s: %w", request.Spec.VolumeID, err))
				}
			}

			return errors.Join(errs...)
		})
}

// carryOut mounts a volume when it and the mount that it is below are there.
func carryOut(ctx context.Context, rt *reconcile.Runtime, mounter Mounter, request *resource.Resource[block.MountRequest]) error {
	volume, err := derive.Find[block.VolumeStatus](ctx, rt, request.Spec.VolumeID)
	if err != nil || volume == nil || volume.Spec.Phase != block.VolumePhaseReady {
		return err
	}

	current, err := derive.Find[block.MountStatus](ctx, rt, request.Meta.ID)
	if err != nil {
		return err
	}

	if current == nil && request.Spec.ParentMountID != volume.Spec.MountSpec.ParentID {
		return nil // the request is older than the volume, and about to change
	}

	above := ""

	if request.Spec.ParentMountID != "" {
		parent, err := derive.Find[block.MountStatus](ctx, rt, request.Spec.ParentMountID)
		if err != nil || parent == nil {
			return err // its status will call us
		}

		above = parent.Spec.Target
	}

	for _, pointer := range []resource.Pointer{request.Meta.Pointer(), volume.Meta.Pointer()} {
		if err := rt.AddFinalizer(ctx, pointer); err != nil {
			return err
		}
	}

	m := mountOf(volume.Spec, request.Spec, above)

	switch {
	case current == nil:
		if err := mounter.Mount(ctx, m); err != nil {
			return err
		}

		rt.Logger().Info("volume mounted", "id", request.Spec.VolumeID, "source", m.Source, "target", m.Target)
	case current.Spec.ReadOnly != m.ReadOnly:
		if err := mounter.Remount(ctx, m); err != nil {
			return err
		}
	}

	return reconcile.Modify(ctx, rt, request.Meta.ID, func(r *resource.Resource[block.MountStatus]) error {
		r.Spec = block.MountStatus{
			Spec: request.Spec, Source: m.Source, Target: m.Target, Filesystem: volume.Spec.Filesystem,
			EncryptionProvider: volume.Spec.EncryptionProvider, ReadOnly: m.ReadOnly, ProjectQuotaSupport: m.ProjectQuota,
		}

		return nil
	})
}

// undo unmounts a volume once nobody uses the mount any more.
func undo(ctx context.Context, rt *reconcile.Runtime, mounter Mounter, request *resource.Resource[block.MountRequest]) error {
	status, err := resource.Get[block.MountStatus](ctx, rt, request.Meta.ID)

	switch {
	case errors.Is(err, resource.ErrNotFound):
	case err != nil:
		return err
	default:
		ready, err := rt.Teardown(ctx, status.Meta.Pointer())
		if err != nil || !ready {
			return err // the end of its finalizers will call us
		}

		volume, err := resource.Get[block.VolumeStatus](ctx, rt, request.Spec.VolumeID)
		if err != nil {
			return err // our finalizer keeps it
		}

		m := mountOf(volume.Spec, status.Spec.Spec, "")
		m.Target = status.Spec.Target

		if err := mounter.Unmount(ctx, m); err != nil {
			return err
		}

		rt.Logger().Info("volume unmounted", "id", request.Spec.VolumeID, "target", m.Target)

		if err := rt.Destroy(ctx, status.Meta.Pointer()); err != nil {
			return err
		}
	}

	for _, pointer := range []resource.Pointer{resource.PointerOf[block.VolumeStatus](request.Spec.VolumeID), request.Meta.Pointer()} {
		if err := rt.RemoveFinalizer(ctx, pointer); err != nil && !errors.Is(err, resource.ErrNotFound) {
			return err
		}
	}

	return nil
}

// mountOf says what a request for a volume means, below a folder.
func mountOf(volume block.VolumeStatus, request block.MountRequest, above string) Mount {
	spec := volume.MountSpec

	m := Mount{
		Type: volume.Type, Filesystem: volume.Filesystem, Source: volume.MountLocation, Target: spec.TargetPath,
		Bind: spec.BindTarget != nil, Parameters: spec.Parameters,
		ReadOnly: request.ReadOnly, Secure: spec.Secure || request.Secure, NoExec: spec.NoExec || request.NoExec,
		NoAccessTime: request.DisableAccessTime, ProjectQuota: spec.ProjectQuotaSupport,
		Mode: spec.FileMode, UID: spec.UID, GID: spec.GID,
		Size: volume.Size,
		Grow: volume.Type == block.VolumeTypePartition,
	}

	// What others have made stays as they made it.
	if volume.Type == block.VolumeTypeExternal || strings.HasPrefix(request.VolumeID, volumes.PrefixExisting) {
		m.Mode, m.Grow = 0, false
	}

	if above != "" && !path.IsAbs(m.Target) && m.Target != "" {
		m.Target = path.Join(above, m.Target)
	}

	switch {
	case volume.Filesystem == block.FilesystemTypeSwap:
		m.Target = ""
	case volume.Type == block.VolumeTypeSymlink:
		m.Source = volume.SymlinkSpec.SymlinkTargetPath
	case volume.Type == block.VolumeTypeOverlay:
		m.Source = path.Join(above, overlays)
	}

	return m
}
