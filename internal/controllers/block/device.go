package block

import (
	"context"
	"maps"
	"sync"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Kinds of a [block.Device] and a [block.DiscoveredVolume].
const (
	kindDisk      = "disk"
	kindPartition = "partition"
)

// Watch tells of block devices that changed, as [blockdev.System.Watch] does.
type Watch func(ctx context.Context, changed func(names ...string)) error

// changes collects the names of devices that changed since somebody asked.
type changes struct {
	mu    sync.Mutex
	names map[string]bool
	all   bool
}

func (c *changes) add(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()

	if c.names == nil {
		c.names = map[string]bool{}
	}

	for _, name := range names {
		c.names[name] = true
	}

	c.all = c.all || len(names) == 0
}

// take returns the names, and whether all devices may have changed.
func (c *changes) take() (map[string]bool, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()

	names, all := c.names, c.all
	c.names, c.all = nil, false

	return names, all
}

// Devices lists the block devices. The generation of a device rises whenever
// it may have changed.
func Devices(system blockdev.System, watch Watch) reconcile.Controller {
	changed := &changes{}

	controller := derive.All("block.DevicesController", nil,
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]block.Device, error) {
			names, all := changed.take()

			devices, err := system.Devices()
			if err != nil {
				changed.add()

				return nil, err
			}

			known, err := resource.List[block.Device](ctx, rt)
			if err != nil {
				changed.add()

				return nil, err
			}

			out := make(map[string]block.Device, len(devices))
			for _, d := range devices {
				out[d.Name] = deviceSpec(d)
			}

			generations(out, known, func(name string) bool { return all || names[name] })

			return out, nil
		})

	return derive.Watched(controller, func(ctx context.Context, notify func()) error {
		return watch(ctx, func(names ...string) {
			changed.add(names...)
			notify()
		})
	})
}

func deviceSpec(d blockdev.Device) block.Device {
	spec := block.Device{
		Type: kindDisk, Major: d.Major, Minor: d.Minor, DevicePath: d.Path, Secondaries: d.Secondaries, Generation: 1,
	}

	if d.Partition {
		spec.Type, spec.PartitionName, spec.PartitionNumber, spec.Parent = kindPartition, d.Label, d.Number, d.Parent
	}

	return spec
}

// generations counts on from what is known. A device that looks other than
// before has changed too.
func generations(devices map[string]block.Device, known []*resource.Resource[block.Device], changed func(name string) bool) {
	old := map[string]block.Device{}
	for _, r := range known {
		old[r.Meta.ID] = r.Spec
	}

	for name := range maps.Keys(devices) {
		before, ok := old[name]
		if !ok {
			continue
		}

		next := devices[name]
		next.Generation = before.Generation

		if changed(name) || next.DevicePath != before.DevicePath || next.Minor != before.Minor || next.Major != before.Major {
			next.Generation++
		}

		devices[name] = next
	}
}
