package install

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/grub"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/uki/ukitest"
)

// boots is the version that firmware starts from a disk, empty when it passes
// the disk over. It fails the test when what it would start is not complete.
func boots(t testing.TB, name string, disk *crashtest.Disk, machine Machine) string {
	t.Helper()

	head := make([]byte, 512)
	if _, err := disk.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}

	if head[510] != 0x55 || head[511] != 0xaa {
		return "" // neither BIOS nor UEFI goes on
	}

	table, source, err := gpt.Read(disk, diskSize, 512)
	if err != nil || source != gpt.Primary {
		t.Fatalf("%s: there is a boot record, and no table: %v", name, err)
	}

	loader, err := bootloader.Open(disk, 512, machine.Bootloader)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}

	s, err := loader.State()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}

	next, ok := s.Next()
	if !ok {
		t.Fatalf("%s: nothing boots: %+v", name, s)
	}

	esp, _ := table.Find(gpt.LabelEFI)

	v, err := fat.Open(blockdev.NewSection(disk, table.Offset(esp), table.Size(esp)), table.Size(esp))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}

	complete := func(file string, want []byte) {
		if got, err := v.ReadFile(file, mib); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: %s is not complete: %v", name, file, err)
		}
	}

	complete(imageFile(t, v, next.ID), ukitest.Image(t, "amd64", next.Version, 20_000))

	if machine.UEFI {
		complete("EFI/BOOT/BOOTX64.EFI", ukitest.Program("amd64"))
	} else if !hasGRUB(t, disk, head) {
		t.Fatalf("%s: the boot loader is not complete", name)
	}

	return next.Version
}

// hasGRUB says whether the core that the first sector names is one of those that
// there are, and complete.
func hasGRUB(t testing.TB, disk *crashtest.Disk, head []byte) bool {
	t.Helper()

	at := binary.LittleEndian.Uint64(head[0x5c:])

	for _, version := range []string{running, "0.2.0", "0.3.0"} {
		_, want, err := grub.Place(grubBoot(), grubCore(version), at)
		if err != nil {
			t.Fatal(err)
		}

		got := make([]byte, len(want))
		if _, err := disk.ReadAt(got, int64(at)*512); err != nil {
			t.Fatal(err)
		}

		if bytes.Equal(got, want) {
			return true
		}
	}

	return false
}

// imageFile is the file of an entry, whatever its counter.
func imageFile(t testing.TB, v *fat.Volume, id string) string {
	t.Helper()

	files, err := v.List("EFI/Linux")
	if err != nil {
		t.Fatal(err)
	}

	for _, f := range files {
		base, _, _ := bytes.Cut([]byte(f.Name[:len(f.Name)-len(".efi")]), []byte("+"))
		if string(base)+".efi" == id {
			return "EFI/Linux/" + f.Name
		}
	}

	t.Fatalf("no file for %s among %v", id, files)

	return ""
}

func machines() map[string]Machine { return map[string]Machine{"UEFI": uefi(), "BIOS": bios()} }

// After a power cut at any moment of an installation, the disk is one that
// firmware passes over, or has the whole system; what was there before is never
// started half. The installation can then be made again, of an empty disk
// without being asked to erase it.
func TestInstallSurvivesPowerCuts(t *testing.T) {
	for kind, machine := range machines() {
		for _, reuse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, disk in use: %t", kind, reuse), func(t *testing.T) {
				t.Parallel()
				cutInstallation(t, machine, reuse)
			})
		}
	}
}

func cutInstallation(t *testing.T, machine Machine, reuse bool) {
	t.Helper()

	disk, before := crashtest.New(diskSize, 512), ""
	if reuse {
		disk, before = installed(t, machine, running), running
	}

	disk.Record()

	first := job(t, disk, machine, "0.2.0")
	first.Zero = reuse

	if err := first.Install(t.Context()); err != nil {
		t.Fatal(err)
	}

	seen, states := map[string]int{}, 0

	for name, cut := range disk.Crashes(1, 9) {
		states++

		got := boots(t, name, cut, machine)
		if seen[got]++; !slices.Contains([]string{before, "", "0.2.0"}, got) {
			t.Fatalf("%s: boots %q", name, got)
		}

		if got == "0.2.0" {
			values, _, err := metapart.Open(section(t, cut, gpt.LabelMeta))
			if err != nil || string(values[0x0a]) != "network" {
				t.Fatalf("%s: META %v, %v", name, values, err)
			}

			continue
		}

		if states%3 > 0 {
			continue // it takes its time
		}

		again := job(t, cut, machine, "0.3.0")
		again.Zero = reuse

		if err := again.Install(t.Context()); err != nil {
			t.Fatalf("%s: installing again: %v", name, err)
		}

		if got := boots(t, name, cut, machine); got != "0.3.0" {
			t.Fatalf("%s: installed again, and boots %q", name, got)
		}
	}

	t.Logf("%d states, %v", states, seen)
}

// After a power cut at any moment of an upgrade, the old or the new version
// boots, and nothing but the system partition has changed.
func TestUpgradeSurvivesPowerCuts(t *testing.T) {
	for kind, machine := range machines() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			cutUpgrade(t, machine)
		})
	}
}

func cutUpgrade(t *testing.T, machine Machine) {
	t.Helper()

	disk := installed(t, machine, running)

	keep := map[string]string{}
	for _, label := range []string{gpt.LabelMeta, gpt.LabelState} {
		keep[label] = content(t, disk, label)
	}

	disk.Record()

	if err := job(t, disk, machine, "0.2.0").Upgrade(t.Context()); err != nil {
		t.Fatal(err)
	}

	seen, states := map[string]int{}, 0

	for name, cut := range disk.Crashes(1, 12) {
		states++

		got := boots(t, name, cut, machine)
		if seen[got]++; got != running && got != "0.2.0" {
			t.Fatalf("%s: boots %q", name, got)
		}

		for label, want := range keep {
			if content(t, cut, label) != want {
				t.Fatalf("%s: partition %s has changed", name, label)
			}
		}

		// The old version is still there to go back to.
		if s := entries(t, cut, machine); !bytes.Contains([]byte(s), []byte(running)) {
			t.Fatalf("%s: %s", name, s)
		}

		if got == "0.2.0" {
			continue
		}

		if err := job(t, cut, machine, "0.3.0").Upgrade(t.Context()); err != nil {
			t.Fatalf("%s: upgrading again: %v", name, err)
		}

		if got := boots(t, name, cut, machine); got != "0.3.0" {
			t.Fatalf("%s: upgraded again, and boots %q", name, got)
		}
	}

	t.Logf("%d states, %v", states, seen)
}
