package blockdev_test

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/blockdevtest"
)

func TestHandleOfTheKernel(t *testing.T) {
	node := blockdevtest.Loop(t, 64<<20)

	h, err := blockdev.Devices{}.Open(node, blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()

	if err := h.Lock(); err != nil {
		t.Error(err)
	}

	other, err := blockdev.Devices{}.Open(node, blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()

	if err := other.Lock(); !errors.Is(err, blockdev.ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}

	if size, err := h.Size(); err != nil || size != 64<<20 {
		t.Errorf("size %d, %v", size, err)
	}

	part := blockdev.PartitionName(node, 3)

	if err := h.AddPartition(blockdev.Range{Number: 3, Offset: 1 << 20, Length: 8 << 20}); err != nil {
		t.Skipf("this kernel has no partitions on loop devices: %v", err)
	}

	if err := h.ResizePartition(blockdev.Range{Number: 3, Offset: 1 << 20, Length: 16 << 20}); err != nil {
		t.Error(err)
	}

	checkPartition(t, node, part)

	if err := h.DeletePartition(3); err != nil {
		t.Error(err)
	}

	if err := h.DeletePartition(3); err != nil {
		t.Errorf("second time: %v", err)
	}

	if _, err := os.Stat(part); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the partition is still there: %v", err)
	}
}

func checkPartition(t *testing.T, node, part string) {
	t.Helper()

	p, err := blockdev.Devices{}.Open(part, blockdev.Exclusive)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()

	if size, err := p.Size(); err != nil || size != 16<<20 {
		t.Errorf("size of the partition %d, %v", size, err)
	}

	if _, err := (blockdev.Devices{}).Open(node, blockdev.Exclusive); !errors.Is(err, blockdev.ErrInUse) {
		t.Errorf("the disk below a partition in use was had alone: %v", err)
	}

	pattern := bytes.Repeat([]byte{0xaa}, 16<<20)
	if _, err := p.WriteAt(pattern, 0); err != nil {
		t.Fatal(err)
	}

	if err := blockdev.Forget(p, 0, 16<<20); err != nil {
		t.Fatal(err)
	}

	if err := p.Sync(); err != nil {
		t.Error(err)
	}

	got := make([]byte, 16<<20)
	if _, err := p.ReadAt(got, 0); err != nil {
		t.Fatal(err)
	}

	clear(pattern[:1<<20])
	clear(pattern[15<<20:])

	if !bytes.Equal(got, pattern) {
		t.Error("Forget left or took something else than both ends")
	}
}

func TestOpenRefuses(t *testing.T) {
	if _, err := (blockdev.Devices{}).Open("/dev/null", blockdev.Read); err == nil {
		t.Error("opened what is no block device")
	}
}
