package squashfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func regular(name, content string) Entry {
	return Entry{Name: name, Mode: 0o644, Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(content)), nil
	}}
}

// example has everything that an image may have: large and small files, some of
// which do not get smaller, many files in a folder, links, owners.
func example() []Entry {
	random := make([]byte, 3*BlockSize+17)
	for i, r := 0, rand.New(rand.NewPCG(1, 2)); i < len(random); i++ {
		random[i] = byte(r.Uint32())
	}

	program := regular("usr/bin/tool", strings.Repeat("program ", 100_000))
	program.Mode = 0o755
	program.UID, program.GID = 50, 60

	entries := []Entry{
		regular("empty", ""), regular("etc/hosts", "localhost\n"), program, regular("random", string(random)),
		{Name: "bin", Mode: fs.ModeSymlink | 0o777, Link: "usr/bin"},
		{Name: "tmp", Mode: fs.ModeDir | fs.ModeSticky | 0o777},
		{Name: "var", Mode: fs.ModeDir | 0o700},
	}

	for i := range 2000 {
		entries = append(entries, regular(fmt.Sprintf("many/a-file-with-a-rather-long-name-%04d", i), fmt.Sprint(i)))
	}

	return entries
}

func write(t *testing.T, entries []Entry) string {
	t.Helper()

	name := filepath.Join(t.TempDir(), "image")

	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()

	if err := Write(f, entries); err != nil {
		t.Fatal(err)
	}

	return name
}

// describe is what a reader should find, by path.
func describe(entries []Entry) map[string]string {
	result := map[string]string{"etc": "d", "usr": "d", "usr/bin": "d", "many": "d"}

	for _, e := range entries {
		switch {
		case e.Mode.IsDir():
			result[e.Name] = "d"
		case e.Mode&fs.ModeSymlink != 0:
			result[e.Name] = "-> " + e.Link
		default:
			content, _ := e.Open()
			data, _ := io.ReadAll(content)
			result[e.Name] = fmt.Sprintf("%d bytes, %x", len(data), crc(data))
		}
	}

	return result
}

func crc(data []byte) (sum uint32) {
	for _, c := range data {
		sum = sum*31 + uint32(c)
	}

	return sum
}

// The kernel mounts it, where a test may mount.
func TestKernel(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}

	image, dir := write(t, example()), t.TempDir()

	if out, err := exec.Command("mount", "-t", "squashfs", "-o", "loop,ro", image, dir).CombinedOutput(); err != nil {
		t.Skipf("this machine does not mount squashfs: %v: %s", err, out)
	}

	defer func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}()

	got := map[string]string{}

	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == dir {
			return err
		}

		relative, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}

		switch {
		case d.IsDir():
			got[relative] = "d"
		case d.Type() == fs.ModeSymlink:
			target, err := os.Readlink(name)
			got[relative] = "-> " + target

			return err
		default:
			data, err := os.ReadFile(name)
			got[relative] = fmt.Sprintf("%d bytes, %x", len(data), crc(data))

			return err
		}

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(describe(example()), got); diff != "" {
		t.Errorf("files (-want +got):\n%.4000s", diff)
	}

	for name, want := range map[string]fs.FileMode{
		"usr/bin/tool": 0o755, "tmp": fs.ModeDir | fs.ModeSticky | 0o777, "var": fs.ModeDir | 0o700, "etc": fs.ModeDir | 0o755,
	} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}

		if info.Mode() != want || info.ModTime().Unix() != 0 {
			t.Errorf("%s has mode %s and time %s", name, info.Mode(), info.ModTime())
		}
	}
}

// The order of the entries and the number of processors do not matter.
func TestSameBytes(t *testing.T) {
	first, err := os.ReadFile(write(t, example()))
	if err != nil {
		t.Fatal(err)
	}

	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(7))

	entries := example()
	rand.New(rand.NewPCG(3, 4)).Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })

	second, err := os.ReadFile(write(t, entries))
	if err != nil || !bytes.Equal(first, second) {
		t.Errorf("two images differ: %d and %d bytes, %v", len(first), len(second), err)
	}
}

func TestBadEntries(t *testing.T) {
	short, long := regular("a", "abc"), regular("a", "abc")
	short.Size, long.Size = 2, 4
	broken := regular("a", strings.Repeat("a", 10*BlockSize))
	broken.Open = func() (io.ReadCloser, error) { return nil, fs.ErrPermission }

	for name, c := range map[string]struct {
		entries []Entry
		want    error
	}{
		"absolute": {[]Entry{regular("/a", "")}, ErrEntry},
		"upward":   {[]Entry{regular("a/../b", "")}, ErrEntry},
		"twice":    {[]Entry{regular("a", ""), regular("a", "")}, ErrEntry},
		"in file":  {[]Entry{regular("a", ""), regular("a/b", "")}, ErrEntry},
		"device":   {[]Entry{{Name: "a", Mode: fs.ModeDevice}}, ErrEntry},
		"setuid":   {[]Entry{{Name: "a", Mode: fs.ModeSetuid | 0o755}}, ErrEntry},
		"no link":  {[]Entry{{Name: "a", Mode: fs.ModeSymlink}}, ErrEntry},
		"longer":   {[]Entry{short}, ErrSize},
		"shorter":  {[]Entry{long}, ErrSize},
		"huge":     {[]Entry{{Name: "a", Size: 1 << 40}}, ErrSize},
		"broken":   {[]Entry{regular("0", strings.Repeat("a", 50*BlockSize)), broken}, fs.ErrPermission},
	} {
		f, err := os.Create(filepath.Join(t.TempDir(), "image"))
		if err != nil {
			t.Fatal(err)
		}

		if err := Write(f, c.entries); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}

		f.Close()
	}
}

// A full disk ends the work, and nothing hangs.
func TestFullDisk(t *testing.T) {
	full := errors.New("full")
	if err := Write(writerAt(func([]byte, int64) (int, error) { return 0, full }), example()); !errors.Is(err, full) {
		t.Errorf("error %v", err)
	}
}

type writerAt func([]byte, int64) (int, error)

func (w writerAt) WriteAt(data []byte, at int64) (int, error) { return w(data, at) }

func TestEmpty(t *testing.T) {
	data, err := os.ReadFile(write(t, nil))
	if err != nil || len(data) != padding {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}
