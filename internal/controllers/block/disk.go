package block

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Symlinks computes the stable names of block devices and makes them below
// dev, which is /dev on a machine. There is no other program that does.
func Symlinks(system blockdev.System, dev string) reconcile.Controller {
	return derive.All("block.SymlinksController",
		[]reconcile.Input{reconcile.In[block.Device](), reconcile.In[block.DiscoveredVolume]()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]block.Symlink, error) {
			volumes, err := resource.List[block.DiscoveredVolume](ctx, rt)
			if err != nil {
				return nil, err
			}

			devices, err := system.Devices()
			if err != nil {
				return nil, err
			}

			out := symlinks(system, devices, volumes)

			return out, link(dev, out)
		})
}

func symlinks(system blockdev.System, devices []blockdev.Device, volumes []*resource.Resource[block.DiscoveredVolume]) map[string]block.Symlink {
	byName := map[string]blockdev.Device{}
	for _, d := range devices {
		byName[d.Name] = d
	}

	out := map[string]block.Symlink{}

	for _, v := range volumes {
		device, ok := byName[v.Meta.ID]
		disk := device

		if ok && device.Partition {
			disk, ok = byName[device.Parent]
		}

		if !ok {
			continue
		}

		content := blockdev.Content{
			UUID: v.Spec.UUID, Label: v.Spec.Label, PartitionUUID: v.Spec.PartitionUUID, PartitionLabel: v.Spec.PartitionLabel,
		}

		// The identity of a partition table is none of a file system.
		if len(v.Spec.UUID) > 0 && (v.Spec.Name == "gpt" || v.Spec.Name == "dos") {
			content.UUID = ""
		}

		out[v.Meta.ID] = block.Symlink{Paths: system.Symlinks(device, disk, content)}
	}

	return out
}

// link brings the folders below dev/disk to the names. Where two devices have
// the same name, such as two file systems with one label, the first keeps it.
func link(dev string, names map[string]block.Symlink) error {
	wanted := map[string]string{} // target by path

	for _, device := range slices.Sorted(maps.Keys(names)) {
		for _, path := range names[device].Paths {
			full := filepath.Join(dev, strings.TrimPrefix(path, "/dev/"))
			if _, taken := wanted[full]; !taken {
				wanted[full] = "../../" + strings.TrimPrefix(blockdev.NodeOf(device), "/dev/")
			}
		}
	}

	existing, err := filepath.Glob(filepath.Join(dev, "disk/by-*/*"))
	if err != nil {
		return fmt.Errorf("listing links to disks: %w", err)
	}

	for _, path := range existing {
		target, err := os.Readlink(path)
		if err == nil && target == wanted[path] {
			delete(wanted, path)

			continue
		}

		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing a link to a disk: %w", err)
		}
	}

	for path, target := range wanted {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return fmt.Errorf("linking to a disk: %w", err)
		}

		if err := os.Symlink(target, path); err != nil {
			return fmt.Errorf("linking to a disk: %w", err)
		}
	}

	return nil
}

// Disks describes the disks, once their names are known.
func Disks(system blockdev.System) reconcile.Controller {
	return derive.All("block.DisksController",
		[]reconcile.Input{reconcile.In[block.Device](), reconcile.In[block.Symlink]()},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]block.Disk, error) {
			links, err := resource.List[block.Symlink](ctx, rt)
			if err != nil {
				return nil, err
			}

			devices, err := system.Devices()
			if err != nil {
				return nil, err
			}

			byName := map[string]blockdev.Device{}
			for _, d := range devices {
				byName[d.Name] = d
			}

			out := map[string]block.Disk{}

			for _, l := range links {
				if d, ok := byName[l.Meta.ID]; ok && !d.Partition {
					out[d.Name] = diskSpec(d, system.Disk(d), l.Spec.Paths, secondaries(d, byName))
				}
			}

			return out, nil
		})
}

func diskSpec(d blockdev.Device, p blockdev.Disk, links, secondaries []string) block.Disk {
	return block.Disk{
		DevPath: d.Node(), Size: d.Size, PrettySize: humanize.Bytes(d.Size),
		IOSize: uint(p.IOSize), SectorSize: uint(p.SectorSize), Readonly: p.Readonly, CDROM: p.CDROM,
		Model: p.Model, FirmwareVersion: p.Firmware, Serial: p.Serial, Modalias: p.Modalias, WWID: p.WWID, UUID: p.UUID,
		BusPath: p.BusPath, SubSystem: p.Subsystem, Transport: p.Transport, Rotational: p.Rotational,
		SecondaryDisks: secondaries, Symlinks: links,
	}
}

// secondaries are the disks below a disk that is made of others.
func secondaries(d blockdev.Device, byName map[string]blockdev.Device) []string {
	found := map[string]bool{}

	var visit func(names []string)

	visit = func(names []string) {
		for _, name := range names {
			below, ok := byName[name]
			if ok && below.Partition {
				below, ok = byName[below.Parent]
			}

			if !ok || found[below.Name] {
				continue
			}

			found[below.Name] = true
			visit(below.Secondaries)
		}
	}

	visit(d.Secondaries)

	return slices.Sorted(maps.Keys(found))
}

// SystemDisk names the disk that META is on.
func SystemDisk() reconcile.Controller {
	return derive.One("block.SystemDiskController", block.SystemDiskID,
		[]reconcile.Input{derive.In[block.VolumeStatus](metaID)},
		func(ctx context.Context, rt *reconcile.Runtime, current block.SystemDisk) (block.SystemDisk, error) {
			meta, err := derive.Find[block.VolumeStatus](ctx, rt, metaID)
			if err != nil {
				return current, err
			}

			if meta == nil || meta.Spec.ParentLocation == "" {
				return derive.None[block.SystemDisk]()
			}

			return block.SystemDisk{
				DiskID: blockdev.NameOf(meta.Spec.ParentLocation), DevPath: meta.Spec.ParentLocation,
			}, nil
		})
}
