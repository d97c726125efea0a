package blockdevtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// Loop makes a disk of the machine that the test runs on out of an empty file
// of size bytes, until the test ends. It returns the path of its node. Without
// the right to do so, or the means, the test is skipped.
func Loop(t testing.TB, size int64) string {
	t.Helper()

	return LoopOf(t, size, 512)
}

// LoopOf is Loop with sectors of so many bytes.
func LoopOf(t testing.TB, size int64, sector uint32) string {
	t.Helper()

	if os.Geteuid() != 0 {
		t.Skip("making loop devices needs root")
	}

	file, err := os.OpenFile(filepath.Join(t.TempDir(), "disk"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}

	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no loop devices here: %v", err)
	}
	defer control.Close()

	// Others may take the free device that the kernel names.
	for range 10 {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			t.Skipf("no free loop device: %v", err)
		}

		node := fmt.Sprintf("/dev/loop%d", number)

		loop, err := os.OpenFile(node, os.O_RDWR, 0)
		if err != nil {
			t.Skipf("opening a loop device: %v", err)
		}

		config := unix.LoopConfig{Fd: uint32(file.Fd()), Size: sector}
		config.Info.Flags = unix.LO_FLAGS_PARTSCAN

		if err := unix.IoctlLoopConfigure(int(loop.Fd()), &config); err != nil {
			loop.Close()

			continue
		}

		t.Cleanup(func() {
			if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_CLR_FD, 0); err != nil {
				t.Errorf("freeing %s: %v", node, err)
			}

			loop.Close()
		})

		return node
	}

	t.Skip("no loop device could be had")

	return ""
}
