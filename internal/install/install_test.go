package install

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/metapart"
)

// entries is what the boot loader of a disk has, in one line, and for each entry
// whether it is the next and how many tries it has.
func entries(t testing.TB, disk *crashtest.Disk, machine Machine) string {
	t.Helper()

	loader, err := bootloader.Open(disk, 512, machine.Bootloader)
	if err != nil {
		t.Fatal(err)
	}

	s, err := loader.State()
	if err != nil {
		t.Fatal(err)
	}

	var line []string

	for _, e := range s.Entries {
		text := e.Version
		if e.Counted {
			text += fmt.Sprintf("+%d", e.Left)
		}

		if e.Next {
			text += "!"
		}

		line = append(line, text+e.Problem)
	}

	return strings.Join(line, " ")
}

func TestInstallAndUpgrade(t *testing.T) {
	disk := crashtest.New(diskSize, 512)
	if err := job(t, disk, uefi(), running).Install(t.Context()); err != nil {
		t.Fatal(err)
	}

	if got := entries(t, disk, uefi()); got != running+"!" {
		t.Errorf("installed %q", got)
	}

	values, health, err := metapart.Open(section(t, disk, gpt.LabelMeta))
	if diff := cmp.Diff(metaOf("network"), values); diff != "" || health != metapart.Good || err != nil {
		t.Error(diff, health, err)
	}

	want := map[int]blockdev.Range{
		1: {Number: 1, Offset: mib, Length: efiSize}, 2: {Number: 2, Offset: mib + efiSize, Length: mib},
	}
	if diff := cmp.Diff(want, disk.Partitions); diff != "" {
		t.Error(diff)
	}

	if err := job(t, disk, uefi(), "0.2.0").Upgrade(t.Context()); err != nil {
		t.Fatal(err)
	}

	if got := entries(t, disk, uefi()); got != "0.2.0+3! 0.1.0" {
		t.Errorf("upgraded %q", got)
	}
}

func TestRefusesDisk(t *testing.T) {
	if err := job(t, installed(t, uefi(), running), uefi(), "0.2.0").Install(t.Context()); !errors.Is(err, ErrNotEmpty) ||
		!strings.Contains(err.Error(), `"META"`) {
		t.Errorf("a disk with something on it: %v", err)
	}

	small := job(t, crashtest.New(diskSize, 512), uefi(), running)
	small.efiSize = 0

	if err := small.Install(t.Context()); !errors.Is(err, ErrTooSmall) {
		t.Errorf("a small disk: %v", err)
	}

	if err := job(t, crashtest.New(diskSize, 512), uefi(), running).Upgrade(t.Context()); !errors.Is(err, gpt.ErrNoTable) {
		t.Errorf("an upgrade of an empty disk: %v", err)
	}
}

func TestOverwrites(t *testing.T) {
	for _, zero := range []bool{true, false} {
		disk := installed(t, uefi(), running)

		again := job(t, disk, uefi(), "0.2.0")
		again.Zero, again.Force = zero, !zero

		if err := again.Install(t.Context()); err != nil {
			t.Fatal(err)
		}

		if got := entries(t, disk, uefi()); got != "0.2.0!" {
			t.Errorf("installed %q", got)
		}
	}
}
