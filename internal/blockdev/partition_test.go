package blockdev_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/blockdevtest"
	"github.com/basalt-os/basalt/internal/gpt"
)

const mib = 1 << 20

func open(t *testing.T, m blockdev.Opener, node string) blockdev.Handle {
	t.Helper()

	h, err := m.Open(node, blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { h.Close() })

	return h
}

func TestPartitions(t *testing.T) {
	m := blockdevtest.New(t)
	m.Add("vda", "virtual/block", 100*mib, nil)
	disk := open(t, m, "/dev/vda")

	create := func(label string, low, high uint64) blockdev.Partitioned {
		t.Helper()

		p, err := blockdev.CreatePartition(disk, 512, blockdev.NewPartition{Label: label, Type: gpt.TypeLinuxData, Min: low, Max: high})
		if err != nil {
			t.Fatal(err)
		}

		return p
	}

	first := create("STATE", 10*mib, 10*mib)
	second := create("u-small", mib, 20*mib+5)
	third := create("EPHEMERAL", 2*mib, 0)

	want := map[int]blockdev.Range{
		1: {Number: 1, Offset: mib, Length: 10 * mib},
		2: {Number: 2, Offset: 11 * mib, Length: 20 * mib},
		3: {Number: 3, Offset: 31 * mib, Length: 68 * mib},
	}
	if diff := cmp.Diff(want, m.Partitions("vda")); diff != "" {
		t.Error(diff)
	}

	if diff := cmp.Diff(want, map[int]blockdev.Range{1: first.Range, 2: second.Range, 3: third.Range}); diff != "" {
		t.Error(diff)
	}

	_, err := blockdev.CreatePartition(disk, 512, blockdev.NewPartition{Label: "more", Type: gpt.TypeLinuxData, Min: mib})
	if !errors.Is(err, gpt.ErrNoSpace) {
		t.Errorf("full disk: %v", err)
	}

	m.Grow("vda", 200*mib)

	if p, changed, err := blockdev.GrowPartition(disk, 512, 3, 100*mib); err != nil || !changed || p.Length != 100*mib {
		t.Errorf("grown to a limit: %+v, %v, %v", p, changed, err)
	}

	if p, changed, err := blockdev.GrowPartition(disk, 512, 3, 0); err != nil || !changed || p.Length != 168*mib {
		t.Errorf("grown to the end: %+v, %v, %v", p, changed, err)
	}

	if _, changed, err := blockdev.GrowPartition(disk, 512, 1, 0); err != nil || changed {
		t.Errorf("grown where there is no room: %v, %v", changed, err)
	}

	if err := blockdev.DropPartition(disk, 512, 3); err != nil {
		t.Error(err)
	}

	if err := blockdev.DropPartition(disk, 512, 3); !errors.Is(err, blockdev.ErrNoPartition) {
		t.Errorf("dropped twice: %v", err)
	}

	if len(m.Partitions("vda")) != 2 {
		t.Errorf("partitions: %v", m.Partitions("vda"))
	}
}

// What a deleted partition leaves behind does not come back in a new one.
func TestCreateForgets(t *testing.T) {
	m := blockdevtest.New(t)
	m.Add("vda", "virtual/block", 100*mib, nil)
	disk := open(t, m, "/dev/vda")

	want := blockdev.NewPartition{Label: "u-data", Type: gpt.TypeLinuxData, Min: mib, Max: 10 * mib}

	if _, err := blockdev.CreatePartition(disk, 512, want); err != nil {
		t.Fatal(err)
	}

	part := open(t, m, "/dev/vda1")
	if _, err := part.WriteAt([]byte("old data"), 0); err != nil {
		t.Fatal(err)
	}

	if p, err := blockdev.CreatePartition(disk, 512, want); err != nil || !p.Found {
		t.Errorf("second time: %+v, %v", p, err)
	}

	if err := blockdev.DropPartition(disk, 512, 1); err != nil {
		t.Fatal(err)
	}

	if _, err := blockdev.CreatePartition(disk, 512, want); err != nil {
		t.Fatal(err)
	}

	if empty, err := blockdev.IsEmpty(open(t, m, "/dev/vda1")); err != nil || !empty {
		t.Errorf("the new partition is empty: %v, %v", empty, err)
	}
}

func TestCreateRefusesForeignDisks(t *testing.T) {
	for name, at := range map[string]int64{"at the start": 0, "at the end": 10*mib - 1} {
		m := blockdevtest.New(t)
		m.Add("vda", "virtual/block", 10*mib, nil)
		disk := open(t, m, "/dev/vda")

		if _, err := disk.WriteAt([]byte{1}, at); err != nil {
			t.Fatal(err)
		}

		before := m.Writes("vda")

		_, err := blockdev.CreatePartition(disk, 512, blockdev.NewPartition{Label: "u-x", Type: gpt.TypeLinuxData, Min: mib})
		if !errors.Is(err, blockdev.ErrNotEmpty) {
			t.Errorf("data %s: %v", name, err)
		}

		if m.Writes("vda") != before {
			t.Errorf("data %s: it was written to", name)
		}
	}
}
