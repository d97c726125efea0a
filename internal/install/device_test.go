package install

import (
	"errors"
	"strings"
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/blockdevtest"
	"github.com/basalt-os/basalt/internal/bootloader"
)

// The same on a device of the kernel: opening alone, erasing, and the kernel's
// partitions.
func TestDevice(t *testing.T) {
	node := blockdevtest.Loop(t, diskSize)

	for _, machine := range machines() {
		disk, err := blockdev.Devices{}.Open(node, blockdev.Exclusive)
		if err != nil {
			t.Fatal(err)
		}

		if _, err := (blockdev.Devices{}).Open(node, blockdev.Exclusive); !errors.Is(err, blockdev.ErrInUse) {
			t.Errorf("opened twice: %v", err)
		}

		first := job(t, disk, machine, running)
		first.Zero = true

		if err := errors.Join(first.Install(t.Context()), disk.Close()); err != nil {
			t.Fatal(err)
		}

		if disk, err = (blockdev.Devices{}).Open(node, blockdev.Write); err != nil {
			t.Fatal(err)
		}

		var lines []string

		second := job(t, disk, machine, "0.2.0")
		second.Progress = func(line string) { lines = append(lines, line) }

		if err := second.Upgrade(t.Context()); err != nil {
			t.Fatal(err)
		}

		loader, err := bootloader.Open(disk, 512, machine.Bootloader)
		if err != nil {
			t.Fatal(err)
		}

		s, err := loader.State()
		if next, _ := s.Next(); err != nil || next.Version != "0.2.0" || len(s.Entries) != 2 {
			t.Errorf("%+v, %v", s, err)
		}

		t.Log(strings.Join(lines, "\n"))

		if err := disk.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
