package hardware

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/smbios"
)

func TestTable(t *testing.T) {
	t.Parallel()

	sys := t.TempDir()
	if _, ok, err := table(sys); ok || err != nil {
		t.Errorf("a machine without tables: %v, %v", ok, err)
	}

	file := filepath.Join(sys, dmiTable)
	write := func(data string) {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(data), 0o644)); err != nil {
			t.Fatal(err)
		}
	}

	// One structure about the system, and then half a one.
	write("\x01\x08\x00\x00\x01\x00\x00\x00Maker\x00\x00\x04")

	got, ok, err := table(sys)
	if diff := cmp.Diff(smbios.System{Manufacturer: "Maker"}, got.System); diff != "" || !ok || err != nil {
		t.Errorf("a damaged table (-want +got):\n%s%v, %v", diff, ok, err)
	}

	write("\x01")

	if _, ok, err := table(sys); ok || err != nil {
		t.Errorf("nothing but damage: %v, %v", ok, err)
	}
}

func TestFree(t *testing.T) {
	t.Parallel()

	ids := map[string]int{}
	for _, name := range []string{"CPU 0", "CPU 1", "CPU 1", "", " "} {
		ids[free(ids, name, "CPU")]++
	}

	want := map[string]int{"CPU-0": 1, "CPU-1": 1, "CPU-1-1": 1, "CPU": 1, "CPU-2": 1}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("IDs (-want +got):\n%s", diff)
	}
}

func TestRebind(t *testing.T) {
	t.Parallel()

	const device = "0000:00:02.0"

	dir := t.TempDir()
	bus, folder := pciBus(dir), filepath.Join(dir, "devices", device)

	drivers := filepath.Join(dir, "drivers/e1000")
	if err := errors.Join(os.MkdirAll(folder, 0o755), os.MkdirAll(drivers, 0o755),
		os.Symlink("../../drivers/e1000", filepath.Join(folder, "driver"))); err != nil {
		t.Fatal(err)
	}

	files := map[string]string{
		"override": filepath.Join(folder, "driver_override"), "unbind": filepath.Join(drivers, "unbind"),
		"probe": filepath.Join(dir, "drivers_probe"),
	}

	for _, test := range []struct {
		driver string
		want   map[string]string
	}{
		{"e1000", map[string]string{"override": "", "unbind": "", "probe": ""}},
		{"vfio-pci", map[string]string{"override": "vfio-pci", "unbind": device, "probe": device}},
		{"", map[string]string{"override": "\n", "unbind": device, "probe": device}},
	} {
		for _, file := range files {
			if err := os.WriteFile(file, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}

		if err := bus.rebind(device, test.driver); err != nil {
			t.Error(err)
		}

		got := map[string]string{}

		for name, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}

			got[name] = string(text)
		}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("driver %q (-want +got):\n%s", test.driver, diff)
		}
	}

	for _, bad := range []string{"0000:00:03.0", "../../x", ""} {
		if err := bus.rebind(bad, "vfio-pci"); err == nil {
			t.Errorf("device %q has a new driver", bad)
		}
	}
}
