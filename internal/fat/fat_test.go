package fat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
)

func write(t *testing.T, size int64, sectorSize int, files []File) *os.File {
	t.Helper()

	disk, err := os.Create(filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { disk.Close() })

	if err := disk.Truncate(size); err != nil {
		t.Fatal(err)
	}

	if err := Write(disk, size, sectorSize, "EFI", files); err != nil {
		t.Fatal(err)
	}

	return disk
}

const many = 40 // files in one folder

func example() []File {
	files := []File{
		{"EFI/BOOT/BOOTX64.EFI", []byte("loader")},
		{"EFI/Linux/Basalt-0.1.0~1+3-1.efi", bytes.Repeat([]byte("kernel"), 100_000)},
		{"EFI/Linux/Basalt-0.1.0.efi", []byte("other")},
		{"EFI/Linux/thirteen.chars", []byte("exactly one entry more")},
		{"loader/loader.conf", []byte("timeout 5\n")},
		{"empty", nil},
	}

	for i := range many { // more than a cluster of entries
		files = append(files, File{fmt.Sprintf("many/a long name for number %d", i), fmt.Append(nil, i)})
	}

	return files
}

// An independent reader finds every file, in file systems with small and large
// clusters and sectors.
func TestWrite(t *testing.T) {
	for _, c := range []struct {
		size   int64
		sector int
	}{{64 << 20, 512}, {300 << 20, 512}, {300 << 20, 4096}, {MinSize(512), 512}, {MinSize(4096), 4096}} {
		disk := write(t, c.size, c.sector, example())

		volume, err := fat32.Read(file.New(disk, true), c.size, 0, int64(c.sector))
		if err != nil {
			t.Fatalf("%+v: %v", c, err)
		}

		if label := strings.TrimSpace(volume.Label()); label != "EFI" {
			t.Errorf("label %q", label)
		}

		for _, want := range example() {
			f, err := volume.OpenFile(want.Name, os.O_RDONLY)
			if err != nil {
				t.Fatalf("%+v: %s: %v", c, want.Name, err)
			}

			if len(want.Data) == 0 {
				continue // has no clusters, which this reader takes for an error
			}

			if got, err := io.ReadAll(f); err != nil || !bytes.Equal(got, want.Data) {
				t.Errorf("%+v: %s has %d bytes, want %d, %v", c, want.Name, len(got), len(want.Data), err)
			}
		}

		if entries, err := volume.ReadDir("many"); err != nil || len(entries) != many {
			t.Errorf("%d files, %v", len(entries), err)
		}
	}
}

func TestSameBytes(t *testing.T) {
	read := func() []byte {
		data, err := os.ReadFile(write(t, 40<<20, 512, example()).Name())
		if err != nil {
			t.Fatal(err)
		}

		return data
	}

	if !bytes.Equal(read(), read()) {
		t.Error("two file systems with the same files differ")
	}
}

type discard struct{}

func (discard) WriteAt(p []byte, _ int64) (int, error) { return len(p), nil }

type broken struct{}

func (broken) WriteAt([]byte, int64) (int, error) { return 0, io.ErrClosedPipe }

func TestRefused(t *testing.T) {
	const size = 40 << 20

	for name, c := range map[string]struct {
		size   int64
		sector int
		files  []File
		want   error
	}{
		"small":        {16 << 20, 512, nil, ErrGeometry},
		"small, 4K":    {200 << 20, 4096, nil, ErrGeometry},
		"sector":       {size, 1000, nil, ErrGeometry},
		"huge":         {1 << 50, 512, nil, ErrGeometry},
		"full":         {size, 512, []File{{"a", make([]byte, size)}}, ErrNoSpace},
		"twice":        {size, 512, []File{{"a", nil}, {"A", nil}}, ErrName},
		"in a file":    {size, 512, []File{{"a", nil}, {"a/b", nil}}, ErrName},
		"up":           {size, 512, []File{{"../a", nil}}, ErrName},
		"absolute":     {size, 512, []File{{"/a", nil}}, ErrName},
		"no name":      {size, 512, []File{{"", nil}}, ErrName},
		"colon":        {size, 512, []File{{"a:b", nil}}, ErrName},
		"foreign":      {size, 512, []File{{"ä", nil}}, ErrName},
		"trailing dot": {size, 512, []File{{"a.", nil}}, ErrName},
	} {
		if err := Write(discard{}, c.size, c.sector, "EFI", c.files); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}

	if err := Write(broken{}, size, 512, "EFI", nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("a broken disk: %v", err)
	}
}
