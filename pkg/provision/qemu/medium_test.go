package qemu

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	diskfile "github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"

	"github.com/basalt-os/basalt/internal/blockdev/probe"
)

// TestMedium reads the medium with another library, and finds it as the node
// does.
func TestMedium(t *testing.T) {
	want := bytes.Repeat([]byte("machine: {}\n"), 1000)
	path := filepath.Join(t.TempDir(), "config.iso")

	if err := writeMedium(path, want); err != nil {
		t.Fatal(err)
	}

	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}

	if mode := info.Mode().Perm(); mode != 0o600 {
		t.Errorf("the configuration has secrets, its medium's mode is %v", mode)
	}

	volume, err := iso9660.Read(diskfile.New(file, true), info.Size(), 0, isoSector)
	if err != nil {
		t.Fatal(err)
	}

	entries, err := volume.ReadDir(".")
	if err != nil || len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), "CONFIG.YAML") {
		t.Fatalf("files %v, %v", entries, err)
	}

	if got, err := volume.ReadFile(entries[0].Name()); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes that are not the configuration (%v)", len(got), err)
	}

	for _, sector := range []int{512, 2048} {
		found, err := probe.Look(probe.Device{Reader: file, Size: uint64(info.Size()), SectorSize: sector})
		if err != nil || found.Name != "iso9660" || found.Label != mediumLabel {
			t.Errorf("the node finds %+v, %v", found, err)
		}
	}
}
