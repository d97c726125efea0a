// Package mount mounts volumes for those who ask for it.
//
// Who needs a volume writes a VolumeMountRequest. All requests for a volume
// become one MountRequest, and so does the wish of a mount for the mount that it
// is below. What is mounted is a MountStatus, and each requester gets a
// VolumeMountStatus with the path. On the way back, a request that is torn down
// goes only when its requester has let go of the VolumeMountStatus and, if it
// was the last one, when the volume is unmounted; a mount is undone after
// those below it.
package mount

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Controllers are all controllers of this package.
func Controllers(reader *configured.Reader, mounter Mounter) []reconcile.Controller {
	return []reconcile.Controller{Requests(reader), Mounts(mounter), Statuses()}
}

// parentRequester is how a mount asks for the mount that it is below.
const parentRequester = "mount "

// Requests makes one request of all that want a volume.
func Requests(reader *configured.Reader) reconcile.Controller {
	return derive.Act("block.MountRequestController",
		[]reconcile.Input{
			reconcile.In[block.VolumeMountRequest]().Strong(), reconcile.In[block.VolumeStatus](),
			reconcile.In[block.VolumeMountStatus](), configured.Input(),
			// When a mount is gone, the one that it was below may go too.
			reconcile.In[block.MountRequest](),
		},
		[]reconcile.Output{reconcile.Out[block.MountRequest]()},
		func(ctx context.Context, rt *reconcile.Runtime) error { return requests(ctx, rt, reader) })
}

func requests(ctx context.Context, rt *reconcile.Runtime, reader *configured.Reader) error {
	wishes, err := resource.List[block.VolumeMountRequest](ctx, rt)
	if err != nil {
		return err
	}

	wanted, err := collect(ctx, rt, wishes)
	if err != nil {
		return err
	}

	cfg, err := reader.Read(ctx, rt)
	if err != nil {
		return err
	}

	var errs []error

	for id, request := range wanted {
		if cfg != nil && volumes.DisablesAccessTime(cfg, id) {
			request.DisableAccessTime = true
		}

		errs = append(errs, reconcile.Modify(ctx, rt, id, func(r *resource.Resource[block.MountRequest]) error {
			r.Spec = *request

			return nil
		}))
	}

	errs = append(errs, reconcile.Keep[block.MountRequest](ctx, rt, func(id string) bool { return wanted[id] != nil }))

	// Only now, when nobody relies on them any more.
	for _, wish := range wishes {
		if wish.Meta.Phase != resource.TearingDown {
			continue
		}

		used, err := relies(ctx, rt, wish)
		if err == nil && !used {
			err = rt.RemoveFinalizer(ctx, wish.Meta.Pointer())
		}

		errs = append(errs, err)
	}

	return errors.Join(errs...)
}

// collect returns what shall be mounted, by volume.
func collect(
	ctx context.Context, rt *reconcile.Runtime, wishes []*resource.Resource[block.VolumeMountRequest],
) (map[string]*block.MountRequest, error) {
	wanted := map[string]*block.MountRequest{}

	for _, wish := range wishes {
		if wish.Meta.Phase == resource.TearingDown {
			// It counts until its requester has let go.
			_, err := resource.Get[block.VolumeMountStatus](ctx, rt, wish.Meta.ID)
			if errors.Is(err, resource.ErrNotFound) {
				continue
			}

			if err != nil {
				return nil, err
			}
		} else if err := rt.AddFinalizer(ctx, wish.Meta.Pointer()); err != nil {
			return nil, err
		}

		join(wanted, wish.Meta.ID, wish.Spec)
	}

	return wanted, place(ctx, rt, wanted)
}

// place says below which mounts others are, and adds those. Wishes for volumes
// that are not ready are dropped, unless the volumes are mounted already.
func place(ctx context.Context, rt *reconcile.Runtime, wanted map[string]*block.MountRequest) error {
	statuses, err := resource.List[block.VolumeStatus](ctx, rt)
	if err != nil {
		return err
	}

	current, err := resource.List[block.MountRequest](ctx, rt)
	if err != nil {
		return err
	}

	var (
		parent = map[string]string{}
		usable = map[string]bool{}
		going  []string
	)

	for _, s := range statuses {
		parent[s.Meta.ID] = s.Spec.MountSpec.ParentID
		usable[s.Meta.ID] = s.Spec.Phase == block.VolumePhaseReady && s.Meta.Phase == resource.Running
	}

	for _, r := range current {
		id := r.Meta.ID
		// What is mounted stays where it is. A request that was made before its
		// volume was known gets its parent late.
		if r.Spec.ParentMountID != "" {
			parent[id] = r.Spec.ParentMountID
		}

		usable[id] = usable[id] || r.Meta.Phase == resource.Running

		if wanted[id] == nil {
			going = append(going, id)
		}
	}

	maps.DeleteFunc(wanted, func(id string, _ *block.MountRequest) bool { return !usable[id] })
	parents(wanted, going, parent)

	return nil
}

// parents adds the mounts that others are below, those on their way out among
// them.
func parents(wanted map[string]*block.MountRequest, going []string, parent map[string]string) {
	ids := append(slices.Sorted(maps.Keys(wanted)), going...)

	for len(ids) > 0 {
		id := ids[0]
		ids = ids[1:]

		if request := wanted[id]; request != nil {
			request.ParentMountID = parent[id]
		}

		above := parent[id]
		if above == "" {
			continue
		}

		if wanted[above] == nil {
			ids = append(ids, above)
		}

		join(wanted, id, block.VolumeMountRequest{VolumeID: above, Requester: parentRequester + id})
	}
}

// join adds one wish to what is wanted of its volume: it is read-only when all
// want that, and as safe as anyone wants.
func join(wanted map[string]*block.MountRequest, id string, wish block.VolumeMountRequest) {
	request := wanted[wish.VolumeID]
	if request == nil {
		request = &block.MountRequest{VolumeID: wish.VolumeID, ReadOnly: true}
		wanted[wish.VolumeID] = request
	}

	request.ReadOnly = request.ReadOnly && wish.ReadOnly
	request.DisableAccessTime = request.DisableAccessTime || wish.DisableAccessTime
	request.Secure = request.Secure || wish.Secure
	request.NoExec = request.NoExec || wish.NoExec
	request.Requesters = append(request.Requesters, wish.Requester)
	request.RequesterIDs = append(request.RequesterIDs, id)
}

// relies says whether anything was mounted for a wish and still is.
func relies(ctx context.Context, rt *reconcile.Runtime, wish *resource.Resource[block.VolumeMountRequest]) (bool, error) {
	_, err := resource.Get[block.VolumeMountStatus](ctx, rt, wish.Meta.ID)
	if !errors.Is(err, resource.ErrNotFound) {
		return err == nil, err
	}

	request, err := resource.Get[block.MountRequest](ctx, rt, wish.Spec.VolumeID)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}

	return request.Meta.Phase == resource.TearingDown || slices.Contains(request.Spec.RequesterIDs, wish.Meta.ID), nil
}

// Statuses tells each requester where its volume is.
func Statuses() reconcile.Controller {
	return derive.Act("block.MountStatusController",
		[]reconcile.Input{reconcile.In[block.VolumeMountRequest]().Strong(), reconcile.In[block.MountStatus]().Strong()},
		[]reconcile.Output{reconcile.Out[block.VolumeMountStatus]()}, statuses)
}

func statuses(ctx context.Context, rt *reconcile.Runtime) error {
	wishes, err := resource.List[block.VolumeMountRequest](ctx, rt)
	if err != nil {
		return err
	}

	mounts, err := resource.List[block.MountStatus](ctx, rt)
	if err != nil {
		return err
	}

	byVolume := map[string]*resource.Resource[block.MountStatus]{}
	for _, m := range mounts {
		byVolume[m.Spec.Spec.VolumeID] = m
	}

	wanted := map[string]string{} // volumes by wish

	for _, wish := range wishes {
		m := byVolume[wish.Spec.VolumeID]
		if m == nil || wish.Meta.Phase == resource.TearingDown || m.Meta.Phase == resource.TearingDown ||
			!slices.Contains(m.Spec.Spec.RequesterIDs, wish.Meta.ID) {
			continue
		}

		wanted[wish.Meta.ID] = wish.Spec.VolumeID

		if err := tell(ctx, rt, wish, m); err != nil {
			return err
		}
	}

	err = reconcile.Keep[block.VolumeMountStatus](ctx, rt, func(id string) bool { return wanted[id] != "" })
	if err != nil {
		return err
	}

	return release(ctx, rt, wishes, mounts)
}

func tell(
	ctx context.Context, rt *reconcile.Runtime, wish *resource.Resource[block.VolumeMountRequest], m *resource.Resource[block.MountStatus],
) error {
	for _, pointer := range []resource.Pointer{wish.Meta.Pointer(), m.Meta.Pointer()} {
		if err := rt.AddFinalizer(ctx, pointer); err != nil {
			return err
		}
	}

	return reconcile.Modify(ctx, rt, wish.Meta.ID, func(r *resource.Resource[block.VolumeMountStatus]) error {
		r.Spec = block.VolumeMountStatus{
			VolumeID: wish.Spec.VolumeID, Requester: wish.Spec.Requester, Target: m.Spec.Target, ReadOnly: m.Spec.ReadOnly,
			Detached: m.Spec.Detached, DisableAccessTime: m.Spec.Spec.DisableAccessTime,
			Secure: m.Spec.Spec.Secure, NoExec: m.Spec.Spec.NoExec,
		}

		return nil
	})
}

// release lets wishes and mounts go that no VolumeMountStatus speaks of.
func release(
	ctx context.Context, rt *reconcile.Runtime,
	wishes []*resource.Resource[block.VolumeMountRequest], mounts []*resource.Resource[block.MountStatus],
) error {
	told, err := resource.List[block.VolumeMountStatus](ctx, rt)
	if err != nil {
		return err
	}

	ids, volumes := map[string]bool{}, map[string]bool{}
	for _, s := range told {
		ids[s.Meta.ID], volumes[s.Spec.VolumeID] = true, true
	}

	for _, wish := range wishes {
		if !ids[wish.Meta.ID] {
			if err := rt.RemoveFinalizer(ctx, wish.Meta.Pointer()); err != nil {
				return err
			}
		}
	}

	for _, m := range mounts {
		if !volumes[m.Spec.Spec.VolumeID] {
			if err := rt.RemoveFinalizer(ctx, m.Meta.Pointer()); err != nil {
				return err
			}
		}
	}

	return nil
}
