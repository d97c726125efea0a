package blockdev_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/basalt-os/basalt/internal/blockdev"
)

func TestBootPartition(t *testing.T) {
	dir := t.TempDir()

	if got := blockdev.BootPartition(dir); got != "" {
		t.Errorf("without firmware: %q", got)
	}

	data := []byte{7, 0, 0, 0}
	for _, r := range "C12A-01\x00" {
		data = append(data, byte(r), 0)
	}

	path := filepath.Join(dir, "LoaderDevicePartUUID-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}

	if got := blockdev.BootPartition(dir); got != "c12a-01" {
		t.Errorf("got %q", got)
	}
}
