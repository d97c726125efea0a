package block

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/config"
)

// maker writes what makes a device look like a file system.
type maker struct{ opener blockdev.Opener }

func (m maker) Make(ctx context.Context, node string, size uint64, spec mkfs.Spec) error {
	h, err := m.opener.Open(node, blockdev.Write)
	if err != nil {
		return err
	}
	defer h.Close()

	id := uuid.New()

	switch spec.Kind {
	case mkfs.XFS:
		sb := make([]byte, 4096)
		copy(sb, "XFSB\x00\x00\x10\x00")
		copy(sb[32:], id[:])
		copy(sb[102:], "\x02\x00")
		_, err = h.WriteAt(sb, 0)
	case mkfs.Ext4:
		sb := make([]byte, 2048)
		copy(sb[1024+56:], "\x53\xef")
		sb[1024+96] = 0x40
		copy(sb[1024+104:], id[:])
		_, err = h.WriteAt(sb, 0)
	case mkfs.Swap:
		return mkfs.Maker{Opener: m.opener}.Make(ctx, node, size, spec)
	default:
		return errors.New("no such file system here")
	}

	return err
}

const base = `machine:
  type: worker
  token: x
`

func (n *node) configure(text string) {
	n.t.Helper()

	current, err := resource.Get[config.MachineConfig](n.t.Context(), n.store, config.ActiveID)
	if errors.Is(err, resource.ErrNotFound) {
		n.create(resource.New(config.ActiveID, config.MachineConfig{Text: text}))

		return
	}

	if err != nil {
		n.t.Fatal(err)
	}

	next := current.Copy()
	next.Spec.Text = text

	if err := n.store.Update(n.t.Context(), next, "test"); err != nil {
		n.t.Fatal(err)
	}
}

func (n *node) phase(id string, phase block.VolumePhase) block.VolumeStatus {
	n.t.Helper()

	return wait(n, id, func(s *block.VolumeStatus) bool { return s != nil && s.Phase == phase })
}

func TestFirstBoot(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.Add("vdb", virtio, 10*gib, nil)
	n.boots()

	// Before there is a configuration, nothing is made.
	meta := n.phase("META", block.VolumePhaseReady)
	if meta.Location != "/dev/vda2" || meta.ParentLocation != "/dev/vda" || meta.PartitionIndex != 2 {
		t.Errorf("META: %+v", meta)
	}

	n.phase("STATE", block.VolumePhaseMissing)

	if got := wait(n, block.SystemDiskID, exists[block.SystemDisk]); got.DiskID != "vda" || got.DevPath != "/dev/vda" {
		t.Errorf("system disk: %+v", got)
	}

	n.configure(base)

	state := n.phase("STATE", block.VolumePhaseReady)
	if state.Location != "/dev/vda3" || state.Size != 100*mib || state.Filesystem != block.FilesystemTypeXFS || state.UUID == "" ||
		state.MountSpec.TargetPath != "/system/state" || state.MountLocation != "/dev/vda3" {
		t.Errorf("STATE: %+v", state)
	}

	ephemeral := n.phase("EPHEMERAL", block.VolumePhaseReady)
	if ephemeral.Location != "/dev/vda4" || ephemeral.Size < 9*gib {
		t.Errorf("EPHEMERAL: %+v", ephemeral)
	}

	wait(n, "vda4", func(v *block.DiscoveredVolume) bool {
		return v != nil && v.PartitionLabel == "EPHEMERAL" && v.Name == "xfs"
	})
	n.phase("/var/lib", block.VolumePhaseReady)

	if got := n.phase("ETCD", block.VolumePhaseReady); got.Type != block.VolumeTypeDirectory {
		t.Errorf("ETCD: %+v", got)
	}

	if writes := n.Writes("vdb"); writes != 0 {
		t.Errorf("the disk that nobody selected was written to %d times", writes)
	}
}

// The second boot finds what the first one made, and EPHEMERAL grows with a
// disk that became larger meanwhile.
func TestSecondBoot(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)

	t.Run("first", func(t *testing.T) {
		first := *n
		first.t, first.store = t, freshStore(t)
		first.configure(base)
		first.boots()
		first.phase("EPHEMERAL", block.VolumePhaseReady)
	})

	n.Grow("vda", 20*gib)
	n.boots()

	// The configuration is on STATE.
	if state := n.phase("STATE", block.VolumePhaseReady); state.Location != "/dev/vda3" || state.Filesystem != block.FilesystemTypeXFS {
		t.Errorf("STATE: %+v", state)
	}

	n.configure(base)

	got := n.phase("EPHEMERAL", block.VolumePhaseReady)
	if got.Location != "/dev/vda4" || got.Size < 19*gib {
		t.Errorf("EPHEMERAL: %+v", got)
	}

	if parts := n.Partitions("vda"); len(parts) != 4 {
		t.Errorf("partitions: %v", parts)
	}
}

func TestUserVolumes(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.Add("vdb", virtio, 10*gib, map[string]string{"serial": "data"})
	n.Add("vdc", virtio, gib, map[string]string{"serial": "whole"})
	n.Add("vdd", virtio, gib, map[string]string{"serial": "legacy"})
	n.configure(base + `  disks:
    - device: /dev/vdd
      partitions: [{size: 200MiB, mountpoint: /var/mnt/a}, {mountpoint: /var/mnt/b}]
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: data
provisioning: {diskSelector: {match: 'disk.serial == "data"'}, minSize: 1GiB, maxSize: 50%}
filesystem: {type: ext4}
---
apiVersion: v1alpha1
kind: RawVolumeConfig
name: raw
provisioning: {diskSelector: {match: '!system_disk && disk.size > 5u * GiB'}, minSize: 1GiB, maxSize: 1GiB}
---
apiVersion: v1alpha1
kind: SwapVolumeConfig
name: swap
provisioning: {diskSelector: {match: 'disk.serial == "data"'}, minSize: 100MiB, maxSize: -9GiB}
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: whole
volumeType: disk
provisioning: {diskSelector: {match: 'disk.serial == "whole"'}}
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: folder
volumeType: directory
---
apiVersion: v1alpha1
kind: ExternalVolumeConfig
name: shared
filesystemType: virtiofs
mount: {virtiofs: {tag: host}}
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: nowhere
provisioning: {diskSelector: {match: 'disk.serial == "none"'}, minSize: 1GiB}
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: secret
provisioning: {diskSelector: {match: 'disk.serial == "data"'}, minSize: 100MiB, maxSize: 100MiB}
encryption: {provider: luks2, keys: [{slot: 0, nodeID: {}}]}
`)
	n.boots()

	for id, want := range map[string]string{
		"u-data": "ext4 5.4 GB", "r-raw": "none 1.1 GB", "s-swap": "swapi 1.1 GB", "u-whole": "xfs 1.1 GB", "u-folder": "none ",
		"x-shared": "virtiofs ", "/dev/vdd-1": "xfs 210 MB", "/dev/vdd-2": "xfs 862 MB",
	} {
		s := n.phase(id, block.VolumePhaseReady)
		if got := s.Filesystem.String() + " " + s.PrettySize; got != want {
			t.Errorf("%s: %s", id, got)
		}
	}

	for id, want := range map[string]string{
		"u-nowhere": "no disk matches the selector", "u-secret": "remove the section encryption",
	} {
		if s := n.phase(id, block.VolumePhaseFailed); !strings.Contains(s.ErrorMessage, want) {
			t.Errorf("%s: %s", id, s.ErrorMessage)
		}
	}

	wait(n, block.UserDiskConfigStatusID, func(s *block.UserDiskConfigStatus) bool { return s != nil && s.Ready && !s.TornDown })

	// A volume that is configured no longer stays on its disk.
	before := n.Writes("vdb")

	n.configure(base)
	wait(n, "u-data", func(s *block.VolumeStatus) bool { return s == nil })
	wait(n, "u-data", func(s *block.VolumeConfig) bool { return s == nil })

	if n.Writes("vdb") != before {
		t.Error("the disk was written to")
	}
}

// What is on a disk already is neither overwritten nor mistaken for ours.
func TestForeignData(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.Add("vdb", virtio, 10*gib, map[string]string{"serial": "old"})
	n.Add("vdc", virtio, 10*gib, map[string]string{"serial": "ext4"})
	n.Add("vdd", virtio, 10*gib, nil)
	n.install("vdd", 10*gib)

	make4 := maker{n.Machine}
	if err := make4.Make(t.Context(), "/dev/vdb", gib, mkfs.Spec{Kind: mkfs.Ext4}); err != nil {
		t.Fatal(err)
	}

	// vdc has a partition with our label, and ext4 in it; vdd is a disk out of
	// another machine.
	for disk, label := range map[string]string{"vdc": "u-other", "vdd": "EPHEMERAL"} {
		h, err := n.Open("/dev/"+disk, blockdev.Write)
		if err != nil {
			t.Fatal(err)
		}

		p, err := blockdev.CreatePartition(h, 512, blockdev.NewPartition{Label: label, Type: uuid.New(), Min: gib, Max: gib})
		if err != nil {
			t.Fatal(err)
		}

		h.Close()

		if err := make4.Make(t.Context(), "/dev/"+blockdev.PartitionName(disk, p.Number), gib, mkfs.Spec{Kind: mkfs.Ext4}); err != nil {
			t.Fatal(err)
		}
	}

	before := map[string]int{"vdb": n.Writes("vdb"), "vdc": n.Writes("vdc"), "vdd": n.Writes("vdd")}

	n.configure(base + `
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: data
provisioning: {diskSelector: {match: 'disk.serial == "old"'}, minSize: 1GiB}
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: other
provisioning: {diskSelector: {match: 'disk.serial == "ext4"'}, minSize: 1GiB}
---
apiVersion: v1alpha1
kind: UserVolumeConfig
name: disk
volumeType: disk
provisioning: {diskSelector: {match: 'disk.serial == "old"'}}
---
apiVersion: v1alpha1
kind: ExistingVolumeConfig
name: mine
discovery: {volumeSelector: {match: 'volume.partition_label == "u-other"'}}
`)
	n.boots()

	for id, want := range map[string]string{
		"u-data": "not empty", "u-other": "/dev/vdc1 holds ext4 where xfs shall be", "u-disk": "/dev/vdb holds ext4 where xfs",
	} {
		if s := n.phase(id, block.VolumePhaseFailed); !strings.Contains(s.ErrorMessage, want) {
			t.Errorf("%s: %s", id, s.ErrorMessage)
		}
	}

	if s := n.phase("e-mine", block.VolumePhaseReady); s.Location != "/dev/vdc1" || s.Filesystem != block.FilesystemTypeEXT4 {
		t.Errorf("e-mine: %+v", s)
	}

	if s := n.phase("EPHEMERAL", block.VolumePhaseReady); s.Location != "/dev/vda4" {
		t.Errorf("EPHEMERAL: %+v", s)
	}

	after := map[string]int{"vdb": n.Writes("vdb"), "vdc": n.Writes("vdc"), "vdd": n.Writes("vdd")}
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("disks were written to: %s", diff)
	}
}

func TestBootDiskIsTheSystems(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.Add("vdb", virtio, 10*gib, nil)
	n.boot = strings.ToUpper(n.install("vdb", 10*gib))
	n.boots()

	if got := n.phase("META", block.VolumePhaseReady); got.ParentLocation != "/dev/vdb" {
		t.Errorf("META: %+v", got)
	}
}

func TestPromotedVolumes(t *testing.T) {
	const promoted = base + `
---
apiVersion: v1alpha1
kind: VolumeConfig
name: ETCD
provisioning: {minSize: 1GiB}
`

	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.configure(promoted)

	t.Run("at installation", func(t *testing.T) {
		first := *n
		first.t, first.store = t, freshStore(t)
		first.configure(promoted)
		first.boots()

		if got := first.phase("ETCD", block.VolumePhaseReady); got.Location != "/dev/vda4" || got.Size != gib {
			t.Errorf("ETCD: %+v", got)
		}

		if got := first.phase("EPHEMERAL", block.VolumePhaseReady); got.Location != "/dev/vda5" {
			t.Errorf("EPHEMERAL: %+v", got)
		}

		first.configure(base)

		if s := first.phase("ETCD", block.VolumePhaseFailed); !strings.Contains(s.ErrorMessage, "would be hidden") {
			t.Errorf("ETCD: %s", s.ErrorMessage)
		}
	})

	later := newNode(t)
	later.Add("vda", virtio, 10*gib, nil)
	later.install("vda", 10*gib)
	later.configure(base)
	later.boots()
	later.phase("EPHEMERAL", block.VolumePhaseReady)
	wait(later, "vda4", func(v *block.DiscoveredVolume) bool { return v != nil && v.PartitionLabel == "EPHEMERAL" })
	later.configure(promoted)

	if s := later.phase("ETCD", block.VolumePhaseFailed); !strings.Contains(s.ErrorMessage, "only before EPHEMERAL is made") {
		t.Errorf("ETCD: %s", s.ErrorMessage)
	}
}

// While a disk is being installed to, its partitions are left alone.
func TestLockedDisk(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)

	h, err := n.Open("/dev/vda", blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}

	if err := h.Lock(); err != nil {
		t.Fatal(err)
	}

	before := n.Writes("vda")

	n.configure(base)
	n.boots()

	wait(n, "STATE", func(s *block.VolumeStatus) bool {
		return s != nil && s.Phase == block.VolumePhaseWaiting && strings.Contains(s.ErrorMessage, "another works on")
	})

	if n.Writes("vda") != before {
		t.Error("the disk was written to")
	}

	h.Close()

	if s := n.phase("STATE", block.VolumePhaseReady); s.ErrorMessage != "" {
		t.Errorf("STATE: %s", s.ErrorMessage)
	}
}

func TestLifecycle(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.configure(base)

	lifecycle := resource.New(block.VolumeLifecycleID, block.VolumeLifecycle{})
	n.create(lifecycle)
	n.boots()
	n.phase("EPHEMERAL", block.VolumePhaseReady)

	if _, err := n.store.Teardown(t.Context(), lifecycle.Meta.Pointer(), "test"); err != nil {
		t.Fatal(err)
	}

	wait(n, "EPHEMERAL", func(s *block.VolumeStatus) bool { return s == nil })

	if _, err := resource.WaitFor(t.Context(), n.store, block.VolumeLifecycleID, func(r *resource.Resource[block.VolumeLifecycle]) bool {
		return len(r.Meta.Finalizers) == 0
	}); err != nil {
		t.Fatal(err)
	}
}
