package block

import (
	"context"
	"errors"
	"io/fs"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/probe"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// discoveryStatusID is the ID of the DiscoveredVolumesStatus.
const discoveryStatusID = "status"

// seen is what a device looked like in a generation.
type seen struct {
	generation int
	device     blockdev.Device
	result     probe.Result
	sector     uint64
	ioSize     uint64
}

// discovery looks at devices, each once per generation.
type discovery struct {
	system blockdev.System
	opener blockdev.Opener

	known   map[string]seen
	request int
}

// Discovery shows what is on the block devices. The status says that all
// devices that were there when the machine started have been looked at.
func Discovery(system blockdev.System, opener blockdev.Opener) reconcile.Controller {
	d := &discovery{system: system, opener: opener, known: map[string]seen{}}

	return derive.Act("block.DiscoveryController",
		[]reconcile.Input{
			reconcile.In[block.Device](), derive.In[block.DiscoveryRefreshRequest](block.RefreshID),
			derive.In[runtime.DevicesStatus](runtime.DevicesID),
		},
		[]reconcile.Output{
			reconcile.Out[block.DiscoveredVolume](), reconcile.Out[block.DiscoveredVolumesStatus]().AsShared(),
			reconcile.Out[block.DiscoveryRefreshStatus](),
		}, d.reconcile)
}

func (d *discovery) reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	request, err := derive.Find[block.DiscoveryRefreshRequest](ctx, rt, block.RefreshID)
	if err != nil {
		return err
	}

	if request != nil && request.Spec.Request != d.request {
		d.request = request.Spec.Request
		d.known = map[string]seen{}
	}

	devices, err := resource.List[block.Device](ctx, rt)
	if err != nil {
		return err
	}

	volumes, complete, err := d.look(devices, rt)
	if err != nil {
		return err
	}

	for id, volume := range volumes {
		if err := reconcile.Modify(ctx, rt, id, func(r *resource.Resource[block.DiscoveredVolume]) error {
			r.Spec = volume

			return nil
		}); err != nil {
			return err
		}
	}

	err = reconcile.Keep[block.DiscoveredVolume](ctx, rt, func(id string) bool {
		_, ok := volumes[id]

		return ok
	})
	if err != nil {
		return err
	}

	return d.tell(ctx, rt, complete, request)
}

// tell writes the statuses, after everything else is written.
func (d *discovery) tell(ctx context.Context, rt *reconcile.Runtime, complete bool,
	request *resource.Resource[block.DiscoveryRefreshRequest],
) error {
	settled, err := derive.Find[runtime.DevicesStatus](ctx, rt, runtime.DevicesID)
	if err != nil {
		return err
	}

	err = reconcile.Modify(ctx, rt, discoveryStatusID, func(r *resource.Resource[block.DiscoveredVolumesStatus]) error {
		// Once ready it stays so: devices that come later are nothing to wait for.
		r.Spec.Ready = r.Spec.Ready || complete && settled != nil && settled.Spec.Ready

		return nil
	})
	if err != nil || request == nil {
		return err
	}

	return reconcile.Modify(ctx, rt, block.RefreshID, func(r *resource.Resource[block.DiscoveryRefreshStatus]) error {
		r.Spec.Request = request.Spec.Request

		return nil
	})
}

// look returns the volumes by ID, those of disks and of partitions, and whether
// they are all that the machine has.
func (d *discovery) look(devices []*resource.Resource[block.Device], rt *reconcile.Runtime) (map[string]block.DiscoveredVolume, bool, error) {
	list, err := d.system.Devices()
	if err != nil {
		return nil, false, err
	}

	byName := map[string]blockdev.Device{}
	for _, device := range list {
		byName[device.Name] = device
	}

	next := map[string]seen{}

	for _, r := range devices {
		device, ok := byName[r.Meta.ID]
		if !ok {
			continue
		}

		known, ok := d.known[device.Name]
		if !ok || known.generation != r.Spec.Generation || known.device.Size != device.Size {
			known, err = d.one(device)
			if err != nil {
				rt.Logger().Warn("looking at what is on a device", "device", device.Node(), "error", err)
			}

			known.generation = r.Spec.Generation
		}

		next[device.Name] = known
	}

	d.known = next

	out := make(map[string]block.DiscoveredVolume, len(next))

	for name, s := range next {
		if parent, ok := next[s.device.Parent]; ok || !s.device.Partition {
			out[name] = volumeOf(s, parent)
		}
	}

	return out, len(list) > 0 && len(out) == len(list), nil
}

// one looks at a device. The result is usable even with an error: the device
// is there, and nothing is known about what is on it.
func (d *discovery) one(device blockdev.Device) (seen, error) {
	props := d.system.Disk(device)
	if device.Partition {
		props = blockdev.Disk{SectorSize: d.system.SectorSize(device.Parent)}
	}

	s := seen{device: device, sector: props.SectorSize, ioSize: props.IOSize}

	handle, err := d.opener.Open(device.Node(), blockdev.Read)

	switch {
	// A drive without a medium, or a device that is about to go.
	case errors.Is(err, unix.ENOMEDIUM), errors.Is(err, unix.ENXIO), errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return s, err
	}
	defer handle.Close() //nolint:errcheck // read side only

	s.result, err = probe.Look(probe.Device{Reader: handle, Size: device.Size, SectorSize: int(props.SectorSize)})

	return s, err
}

// volumeOf describes what is on a device; a partition has its identity from
// the table of its disk.
func volumeOf(s, parent seen) block.DiscoveredVolume {
	v := block.DiscoveredVolume{
		DevPath: s.device.Node(), Type: kindDisk, DevicePath: s.device.Path,
		Size: s.device.Size, PrettySize: humanize.Bytes(s.device.Size),
		SectorSize: uint(s.sector), IOSize: uint(s.ioSize),
		Name: s.result.Name, UUID: s.result.UUID, Label: s.result.Label,
		BlockSize: s.result.BlockSize, FilesystemBlockSize: s.result.FilesystemBlockSize, ProbedSize: s.result.Size,
	}

	if !s.device.Partition {
		return v
	}

	v.Type, v.Offset = kindPartition, s.device.Offset
	v.Parent, v.ParentDevPath = s.device.Parent, blockdev.NodeOf(s.device.Parent)
	v.PartitionIndex, v.PartitionLabel = uint(s.device.Number), s.device.Label
	v.IOSize = uint(parent.ioSize)

	for _, p := range parent.result.Partitions {
		if p.Number == s.device.Number && p.Offset == s.device.Offset {
			v.PartitionUUID, v.PartitionType, v.PartitionLabel = p.UUID, p.Type, p.Label
		}
	}

	return v
}
