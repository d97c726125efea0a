package mkfs_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/blockdevtest"
	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/blockdev/probe"
)

const mib = 1 << 20

// said keeps the command instead of running it.
type said struct{ args *[]string }

func (s said) Start(cmd *exec.Cmd) error {
	*s.args = cmd.Args[1:]

	return nil
}

func (said) Wait(*exec.Cmd) error { return nil }

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		program string
		size    uint64
		spec    mkfs.Spec
		want    string
	}{
		{"mkfs.xfs", 100 * mib, mkfs.Spec{Kind: mkfs.XFS, Label: "STATE", MinAllocationGroup: 64 << 30}, "-f -q --unsupported -L STATE /dev/x"},
		{"mkfs.xfs", 20 << 30, mkfs.Spec{Kind: mkfs.XFS, Label: "a-label-too-long", MinAllocationGroup: 64 << 30}, "-f -q -d agcount=2 -L a-label-too- /dev/x"},
		{"mkfs.xfs", 200 << 30, mkfs.Spec{Kind: mkfs.XFS, MinAllocationGroup: 64 << 30}, "-f -q -d agcount=3 /dev/x"},
		{"mkfs.xfs", 256 << 30, mkfs.Spec{Kind: mkfs.XFS, MinAllocationGroup: 64 << 30}, "-f -q /dev/x"},
		{"mkfs.ext4", 1 << 30, mkfs.Spec{Kind: mkfs.Ext4, Label: "u", ProjectQuota: true}, "-F -q -O quota,project -E quotatype=prjquota -L u /dev/x"},
	} {
		if _, err := exec.LookPath(test.program); err != nil {
			t.Logf("no %s here", test.program)

			continue
		}

		var args []string
		if err := (mkfs.Maker{Runner: said{&args}}).Make(t.Context(), "/dev/x", test.size, test.spec); err != nil {
			t.Error(err)
		}

		if got := strings.Join(args, " "); got != test.want {
			t.Errorf("%+v: %s", test.spec, got)
		}
	}

	if err := (mkfs.Maker{}).Make(t.Context(), "/dev/x", mib, mkfs.Spec{Kind: "ntfs"}); !errors.Is(err, mkfs.ErrUnsupported) {
		t.Errorf("ntfs: %v", err)
	}
}

func TestSwap(t *testing.T) {
	m := blockdevtest.New(t)
	m.Add("vda", "virtual/block", mib, nil)

	maker := mkfs.Maker{Opener: m}
	if err := maker.Make(t.Context(), "/dev/vda", mib, mkfs.Spec{Kind: mkfs.Swap, Label: "s-a-very-long-name"}); err != nil {
		t.Fatal(err)
	}

	if got := look(t, m, "/dev/vda"); got.Name != probe.Swap || got.Label != "s-a-very-long-n" || got.Size != mib || got.UUID == "" {
		t.Errorf("got %+v", got)
	}

	if err := maker.Make(t.Context(), "/dev/vda", 4096, mkfs.Spec{Kind: mkfs.Swap}); err == nil {
		t.Error("made swap space of one page")
	}
}

func look(t *testing.T, opener blockdev.Opener, node string) probe.Result {
	t.Helper()

	h, err := opener.Open(node, blockdev.Read)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()

	size, err := h.Size()
	if err != nil {
		t.Fatal(err)
	}

	got, err := probe.Look(probe.Device{Reader: h, Size: size, SectorSize: 512})
	if err != nil {
		t.Fatal(err)
	}

	return got
}

// File systems are made on a partition, and grow with it.
func TestMakeAndGrow(t *testing.T) {
	for _, kind := range []string{mkfs.XFS, mkfs.Ext4} {
		t.Run(kind, func(t *testing.T) {
			if _, err := exec.LookPath("mkfs." + kind); err != nil {
				t.Skipf("no mkfs.%s here", kind)
			}

			makeAndGrow(t, kind)
		})
	}
}

func makeAndGrow(t *testing.T, kind string) {
	const small, large = 400 * mib, 700 * mib

	node := blockdevtest.Loop(t, 800*mib)

	disk, err := blockdev.Devices{}.Open(node, blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()

	if err := disk.AddPartition(blockdev.Range{Number: 1, Offset: mib, Length: small}); err != nil {
		t.Skipf("no partitions on loop devices: %v", err)
	}

	part := blockdev.PartitionName(node, 1)
	maker := mkfs.Maker{Runner: mkfs.Plain{}, Opener: blockdev.Devices{}}

	if err := maker.Make(context.Background(), part, small, mkfs.Spec{Kind: kind, Label: "DATA"}); err != nil {
		t.Fatal(err)
	}

	found := look(t, blockdev.Devices{}, part)
	if found.Name != kind || found.Label != "DATA" {
		t.Fatalf("found %+v", found)
	}

	target := t.TempDir()
	if err := unix.Mount(part, target, kind, 0, ""); err != nil {
		t.Skipf("this kernel mounts no %s: %v", kind, err)
	}

	defer func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Error(err)
		}
	}()

	if grown, err := mkfs.Grow(kind, target, found.Size, small); grown || err != nil {
		t.Errorf("grew on a device that did not: %v", err)
	}

	if err := disk.ResizePartition(blockdev.Range{Number: 1, Offset: mib, Length: large}); err != nil {
		t.Fatal(err)
	}

	grown, err := mkfs.Grow(kind, target, found.Size, large)
	if errors.Is(err, unix.EPERM) {
		t.Skipf("root may not grow file systems here (CAP_SYS_RESOURCE): %v", err)
	}

	if !grown || err != nil {
		t.Errorf("did not grow: %v", err)
	}

	var stat unix.Statfs_t
	if err := unix.Statfs(target, &stat); err != nil {
		t.Fatal(err)
	}

	if size := stat.Blocks * uint64(stat.Bsize); size < 600*mib {
		t.Errorf("the file system has %d bytes", size)
	}
}
