package block

import (
	"errors"
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/volume"
)

// erasable is a machine with a disk of its own and others.
func erasable(t *testing.T) (*node, volume.Disks) {
	t.Helper()

	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.Add("vdb", virtio, 10*gib, nil)
	n.install("vdb", 10*gib)
	n.Add("vdc", virtio, gib, map[string]string{"ro": "1"})
	n.Add("vdd", virtio, gib, nil)
	n.Add("dm-0", "virtual/block", mib, map[string]string{"slaves/vdd/x": ""})
	n.configure(base)
	n.boots()
	n.phase("EPHEMERAL", block.VolumePhaseReady)

	for _, disk := range []string{"vda", "vdb", "vdc", "vdd"} {
		wait(n, disk, exists[block.Disk])
	}

	wait(n, "vda4", exists[block.Device])
	wait(n, "vda4", exists[block.DiscoveredVolume])

	return n, volume.Disks{Store: n.store, Opener: n.Machine}
}

func TestWipeRefuses(t *testing.T) {
	n, disks := erasable(t)

	for _, test := range []struct {
		device string
		how    volume.Wipe
		want   error
	}{
		{"vdz", volume.Wipe{}, volume.ErrNoDevice},
		{"vda", volume.Wipe{}, volume.ErrInUse},       // META and others are on it
		{"/dev/vda4", volume.Wipe{}, volume.ErrInUse}, // EPHEMERAL
		{"vdc", volume.Wipe{}, volume.ErrInUse},       // read-only
		{"vdd", volume.Wipe{}, volume.ErrInUse},       // dm-0 is made of it
		{"vdb", volume.Wipe{DropPartition: true}, volume.ErrNoDevice},
	} {
		if err := disks.Wipe(t.Context(), test.device, test.how); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.device, err)
		}
	}

	n.Use("vdb")

	if err := disks.Wipe(t.Context(), "vdb", volume.Wipe{SkipVolumes: true, SkipSecondaries: true}); !errors.Is(err, volume.ErrInUse) {
		t.Errorf("what is mounted: %v", err)
	}
}

func TestWipe(t *testing.T) {
	n, disks := erasable(t)

	if err := disks.Wipe(t.Context(), "vdb2", volume.Wipe{Zeroes: true}); err != nil {
		t.Fatal(err)
	}

	wait(n, "vdb2", func(v *block.DiscoveredVolume) bool { return v != nil && v.Name == "" && v.PartitionLabel == "META" })

	if err := disks.Wipe(t.Context(), "vdb1", volume.Wipe{DropPartition: true}); err != nil {
		t.Fatal(err)
	}

	wait(n, "vdb1", func(v *block.DiscoveredVolume) bool { return v == nil })

	if err := disks.Wipe(t.Context(), "vdb", volume.Wipe{}); err != nil {
		t.Fatal(err)
	}

	wait(n, "vdb2", func(v *block.DiscoveredVolume) bool { return v == nil })
	wait(n, "vdb", func(v *block.DiscoveredVolume) bool { return v != nil && v.Name == "" })

	if err := disks.Wipe(t.Context(), "vdd", volume.Wipe{SkipSecondaries: true}); err != nil {
		t.Error(err)
	}
}

func TestErase(t *testing.T) {
	n, disks := erasable(t)

	if err := disks.EraseLabels(t.Context(), "/dev/vda", "EPHEMERAL", "NONE"); err != nil {
		t.Fatal(err)
	}

	for partition, want := range map[string]bool{"vda3": false, "vda4": true} {
		h, err := n.Open("/dev/"+partition, blockdev.Read)
		if err != nil {
			t.Fatal(err)
		}

		if empty, err := blockdev.IsEmpty(h); err != nil || empty != want {
			t.Errorf("%s is empty: %v, %v", partition, empty, err)
		}

		h.Close()
	}

	if err := disks.EraseDisk(t.Context(), "/dev/vda"); err != nil {
		t.Fatal(err)
	}

	wait(n, "vda", func(v *block.DiscoveredVolume) bool { return v != nil && v.Name == "" })
}

func TestMountSystem(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)
	n.configure(base)

	m := &mounter{}
	n.bootsWith(m)

	if err := volume.MountSystem(n.context(), n.store, "machined"); err != nil {
		t.Fatal(err)
	}

	for _, id := range []string{"EPHEMERAL", "ETCD", "/var/log/audit/kube", "/var/run/lock", "/opt"} {
		wait(n, id, exists[block.MountStatus])
	}
}
