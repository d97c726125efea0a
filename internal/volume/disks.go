package volume

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Errors of erasing.
var (
	// ErrNoDevice says that there is no such device.
	ErrNoDevice = errors.New("there is no such block device")
	// ErrInUse says that a device must not be erased.
	ErrInUse = errors.New("the device is in use")
)

// Disks lists and erases the disks of the machine.
type Disks struct {
	Store  *resource.Store
	Opener blockdev.Opener
}

// List returns the disks by ID, and the ID of the system's, which is empty
// when there is none.
func (d Disks) List(ctx context.Context) (map[string]block.Disk, string, error) {
	list, err := resource.List[block.Disk](ctx, d.Store)
	if err != nil {
		return nil, "", err
	}

	out := map[string]block.Disk{}
	for _, r := range list {
		out[r.Meta.ID] = r.Spec
	}

	system, err := resource.Get[block.SystemDisk](ctx, d.Store, block.SystemDiskID)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		return out, "", nil
	case err != nil:
		return nil, "", err
	}

	return out, system.Spec.DiskID, nil
}

// Wipe says how a device is erased.
type Wipe struct {
	// Zeroes overwrites all of it; otherwise only what makes its content
	// recognized is.
	Zeroes bool
	// DropPartition takes the partition out of the table of its disk too.
	DropPartition bool
	// SkipVolumes erases what a volume is on, and SkipSecondaries what another
	// device is made of, as long as the kernel does not use it.
	SkipVolumes, SkipSecondaries bool
}

// Wipe erases a disk or partition, named with or without /dev/. It fails with
// ErrNoDevice, and with ErrInUse when a volume is on it, when another device is
// made of it, or when it is mounted or otherwise open for somebody alone.
func (d Disks) Wipe(ctx context.Context, device string, how Wipe) error {
	if err := d.wipe(ctx, blockdev.NameOf(device), how); err != nil {
		return fmt.Errorf("erasing %s: %w", device, err)
	}

	return nil
}

func (d Disks) wipe(ctx context.Context, name string, how Wipe) error {
	devices, err := resource.List[block.Device](ctx, d.Store)
	if err != nil {
		return err
	}

	i := slices.IndexFunc(devices, func(r *resource.Resource[block.Device]) bool { return r.Meta.ID == name })
	if i < 0 {
		return ErrNoDevice
	}

	target := devices[i].Spec

	diskName := name
	if target.Parent != "" {
		diskName = target.Parent
	}

	disk, err := resource.Get[block.Disk](ctx, d.Store, diskName)

	switch {
	case errors.Is(err, resource.ErrNotFound):
		return ErrNoDevice
	case err != nil:
		return err
	case disk.Spec.Readonly:
		return fmt.Errorf("%w: it is read-only", ErrInUse)
	case how.DropPartition && target.Parent == "":
		return fmt.Errorf("%w: it is no partition that could be dropped", ErrNoDevice)
	}

	if !how.SkipVolumes {
		if err := d.checkVolumes(ctx, name); err != nil {
			return err
		}
	}

	if !how.SkipSecondaries {
		if err := checkSecondaries(devices, name); err != nil {
			return err
		}
	}

	if err := d.erase(ctx, name, how); err != nil {
		return err
	}

	if target.Parent == "" {
		err = d.forgetPartitions(name, devices)
	} else if how.DropPartition {
		err = d.drop(disk.Spec, target.PartitionNumber)
	}

	return err
}

// checkVolumes refuses a device that a volume is on, or on a part of it.
func (d Disks) checkVolumes(ctx context.Context, name string) error {
	node := blockdev.NodeOf(name)

	volumes, err := resource.List[block.VolumeStatus](ctx, d.Store)
	if err != nil {
		return err
	}

	for _, v := range volumes {
		if v.Spec.Location == node || v.Spec.ParentLocation == node {
			return fmt.Errorf("%w by volume %s", ErrInUse, v.Meta.ID)
		}
	}

	return nil
}

// checkSecondaries refuses a device that others are made of.
func checkSecondaries(devices []*resource.Resource[block.Device], name string) error {
	parts := []string{name}

	for _, r := range devices {
		if r.Spec.Parent == name {
			parts = append(parts, r.Meta.ID)
		}
	}

	for _, r := range devices {
		for _, below := range r.Spec.Secondaries {
			if slices.Contains(parts, below) {
				return fmt.Errorf("%w by %s", ErrInUse, blockdev.NodeOf(r.Meta.ID))
			}
		}
	}

	return nil
}

// eraseStep is how much is erased between two looks whether to go on, in bytes.
const eraseStep = 1 << 30

// erase overwrites a device that nobody else has.
func (d Disks) erase(ctx context.Context, name string, how Wipe) error {
	handle, err := d.Opener.Open(blockdev.NodeOf(name), blockdev.Exclusive)
	if errors.Is(err, blockdev.ErrInUse) {
		return fmt.Errorf("%w: it, or a part of it, is mounted or belongs to another device", ErrInUse)
	}

	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // what counts has been synced

	size, err := handle.Size()
	if err != nil {
		return err
	}

	if err := blockdev.Forget(handle, 0, size); err != nil {
		return err
	}

	for at := uint64(0); how.Zeroes && at < size; at += eraseStep {
		if err := ctx.Err(); err != nil {
			return err
		}

		if err := handle.Zero(at, min(eraseStep, size-at)); err != nil {
			return err
		}
	}

	return handle.Sync()
}

// forgetPartitions has the kernel forget the partitions of a disk whose table
// is gone.
func (d Disks) forgetPartitions(name string, devices []*resource.Resource[block.Device]) error {
	handle, err := d.Opener.Open(blockdev.NodeOf(name), blockdev.Write)
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // nothing is written

	for _, r := range devices {
		if r.Spec.Parent != name {
			continue
		}

		if err := handle.DeletePartition(r.Spec.PartitionNumber); err != nil {
			return err
		}
	}

	return nil
}

func (d Disks) drop(disk block.Disk, number int) error {
	handle, err := d.Opener.Open(disk.DevPath, blockdev.Write)
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // what counts has been synced

	if err := handle.Lock(); err != nil {
		return err
	}

	return blockdev.DropPartition(handle, int(disk.SectorSize), number)
}

// EraseLabels erases partitions of a disk by their labels, for a reset: at the
// next start they are empty, and made anew. Nothing may be mounted from them.
// The disk is that of Locate, which has to be called before Close. A label that
// the disk does not have is passed over.
func (d Disks) EraseLabels(ctx context.Context, disk string, labels ...string) error {
	table, err := d.table(disk)
	if err != nil {
		return fmt.Errorf("erasing partitions of %s: %w", disk, err)
	}

	var errs []error

	for _, p := range table.Partitions {
		if !slices.Contains(labels, p.Label) {
			continue
		}

		if err := d.erase(ctx, blockdev.PartitionName(blockdev.NameOf(disk), p.Number), Wipe{}); err != nil {
			errs = append(errs, fmt.Errorf("erasing partition %s of %s: %w", p.Label, disk, err))
		}
	}

	return errors.Join(errs...)
}

// table reads the partition table of a disk.
func (d Disks) table(disk string) (*gpt.Table, error) {
	handle, err := d.Opener.Open(disk, blockdev.Read)
	if err != nil {
		return nil, err
	}
	defer handle.Close() //nolint:errcheck // read side only

	size, err := handle.Size()
	if err != nil {
		return nil, err
	}

	// Of the two sizes that sectors have, one fits.
	table, _, err := gpt.Read(handle, int64(size), 512)
	if errors.Is(err, gpt.ErrNoTable) {
		table, _, err = gpt.Read(handle, int64(size), 4096)
	}

	return table, err
}

// EraseDisk makes a whole disk look empty, for a reset: its table and what is
// in the partitions go. Nothing on it may be mounted. A partition that somebody
// still has open is known to the kernel until the machine restarts. The disk is
// named with or without /dev/.
func (d Disks) EraseDisk(ctx context.Context, device string) error {
	err := d.Wipe(ctx, device, Wipe{SkipVolumes: true})
	if errors.Is(err, blockdev.ErrInUse) {
		return nil
	}

	return err
}
