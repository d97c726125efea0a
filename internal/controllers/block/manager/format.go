package manager

import (
	"context"
	"fmt"
	"slices"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/blockdev/probe"
	"github.com/basalt-os/basalt/internal/controllers/block/volumes"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// grow makes a partition that was found larger, where the configuration says
// so and there is room.
func (m *manager) grow(w *world, v *volume) error {
	spec := v.config.Provisioning.PartitionSpec

	if !spec.Grow || v.config.Type != block.VolumeTypePartition {
		v.status.Phase = block.VolumePhaseProvisioned

		return nil
	}

	i := slices.IndexFunc(w.disks, func(d disk) bool { return d.spec.DevPath == v.status.ParentLocation })
	if i < 0 {
		return fmt.Errorf("the disk %s of the partition is gone", v.status.ParentLocation)
	}

	d := w.disks[i]

	handle, err := m.Opener.Open(d.spec.DevPath, blockdev.Write)
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // what counts has been synced

	if err := handle.Lock(); err != nil {
		return err
	}

	grown, changed, err := blockdev.GrowPartition(handle, int(d.spec.SectorSize), v.status.PartitionIndex, limit(spec, d.spec.Size))
	if err != nil {
		return fmt.Errorf("growing partition %s: %w", v.status.Location, err)
	}

	if changed {
		v.setPartition(d, grown)
	}

	v.status.Phase = block.VolumePhaseProvisioned

	return nil
}

// prepare opens what is encrypted.
func (m *manager) prepare(ctx context.Context, v *volume) error {
	v.status.MountLocation = v.status.Location

	if v.config.Encryption.Provider != block.EncryptionProviderTypeNone {
		node, err := m.Encryption.Open(ctx, v.id, v.config, v.status)
		if err != nil {
			return fmt.Errorf("opening the encrypted volume: %w", err)
		}

		v.status.MountLocation, v.status.EncryptionProvider = node, v.config.Encryption.Provider
	}

	v.status.Phase = block.VolumePhasePrepared

	return nil
}

// format makes the file system where there is nothing, and refuses where there
// is something else.
func (m *manager) format(ctx context.Context, v *volume) error {
	wanted := v.config.Provisioning.FilesystemSpec

	isRaw := v.config.Provisioning.PartitionSpec.Label != "" && wanted.Type == block.FilesystemTypeNone
	if v.id == volumes.Meta || isRaw {
		v.status.Phase = block.VolumePhaseReady

		return nil
	}

	found, empty, err := m.content(v)
	if err != nil {
		return err
	}

	kind, known := filesystem(found.Name)

	switch {
	case isLookedFor(v) && found.Name == "":
		// Its making was cut off. The configuration will have it made.
		v.status.Phase = block.VolumePhaseMissing

		return nil
	case isExisting(v), isLookedFor(v):
		if !known || kind == block.FilesystemTypeSwap {
			return fmt.Errorf("%s holds no file system that can be mounted (%s)", v.status.MountLocation, orNothing(found.Name))
		}
	case found.Name == "":
		// A label of ours says that what is in the partition is ours too: what
		// the making of a file system left behind when the power was cut.
		if v.config.Provisioning.PartitionSpec.Label == "" && !empty {
			return fmt.Errorf("%s is not empty; wipe it first", v.status.MountLocation)
		}

		if found, err = m.makeFilesystem(ctx, v); err != nil {
			return err
		}

		kind = wanted.Type
	case !known || kind != wanted.Type:
		return fmt.Errorf("%s holds %s where %s shall be; nothing is formatted over, wipe it first",
			v.status.MountLocation, found.Name, wanted.Type)
	}

	v.status.Filesystem, v.status.UUID, v.status.Phase = kind, found.UUID, block.VolumePhaseReady

	return nil
}

func (m *manager) makeFilesystem(ctx context.Context, v *volume) (probe.Result, error) {
	wanted := v.config.Provisioning.FilesystemSpec

	spec := mkfs.Spec{
		Kind: wanted.Type.String(), Label: wanted.Label, MinAllocationGroup: wanted.MinAllocationGroupSize,
		ProjectQuota: v.config.Mount.ProjectQuotaSupport,
	}
	if wanted.Type == block.FilesystemTypeSwap {
		spec.Kind = mkfs.Swap
	}

	if err := m.Maker.Make(ctx, v.status.MountLocation, v.status.Size, spec); err != nil {
		return probe.Result{}, err
	}

	found, _, err := m.content(v)
	if err != nil {
		return found, err
	}

	if kind, _ := filesystem(found.Name); kind != wanted.Type {
		return found, fmt.Errorf("after file system %s was made, %s holds %s", spec.Kind, v.status.MountLocation, orNothing(found.Name))
	}

	return found, nil
}

// content looks at what is on the volume, and whether its ends are zeros.
func (m *manager) content(v *volume) (probe.Result, bool, error) {
	handle, err := m.Opener.Open(v.status.MountLocation, blockdev.Read)
	if err != nil {
		return probe.Result{}, false, err
	}
	defer handle.Close() //nolint:errcheck // read side only

	size, err := handle.Size()
	if err != nil {
		return probe.Result{}, false, err
	}

	v.resize(size)

	disk := v.status.ParentLocation
	if disk == "" {
		disk = v.status.Location
	}

	found, err := probe.Look(probe.Device{
		Reader: handle, Size: size, SectorSize: int(m.System.SectorSize(blockdev.NameOf(disk))),
	})
	if err != nil || found.Name != "" {
		return found, false, err
	}

	empty, err := blockdev.IsEmpty(handle)

	return found, empty, err
}

func orNothing(name string) string {
	if name == "" {
		return "nothing that is known"
	}

	return name
}

// filesystem is the kind of a name that was discovered.
func filesystem(name string) (kind block.FilesystemType, ok bool) {
	kind, ok = map[string]block.FilesystemType{
		probe.XFS: block.FilesystemTypeXFS, probe.VFAT: block.FilesystemTypeVFAT, probe.ISO9660: block.FilesystemTypeISO9660,
		probe.Ext2: block.FilesystemTypeEXT4, probe.Ext3: block.FilesystemTypeEXT4, probe.Ext4: block.FilesystemTypeEXT4,
		probe.Btrfs: block.FilesystemTypeBTRFS, probe.Swap: block.FilesystemTypeSwap,
	}[name]

	return kind, ok
}
