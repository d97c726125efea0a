package tree

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func source(t *testing.T, data string) (name, sum string, size int64) {
	t.Helper()

	name = filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(name, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}

	digest := sha256.Sum256([]byte(data))

	return name, hex.EncodeToString(digest[:]), int64(len(data))
}

func example(t *testing.T) *Tree {
	t.Helper()

	name, sum, size := source(t, "program")

	return New().
		Symlink("usr/sbin/init", "../bin/init").
		File("usr/bin/init", 0o755, name, sum, size).
		Dir("/tmp", fs.ModeSticky|0o777).
		Text("etc/hosts", 0o644, "localhost\n")
}

func archive(t *testing.T, tree *Tree) []byte {
	t.Helper()

	var out bytes.Buffer

	if err := tree.WriteTar(&out); err != nil {
		t.Fatal(err)
	}

	return out.Bytes()
}

func TestArchive(t *testing.T) {
	type member struct {
		Name, Link, Data string
		Mode             int64
		Type             byte
	}

	var got []member

	for reader := tar.NewReader(bytes.NewReader(archive(t, example(t)))); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			t.Fatal(err)
		}

		data, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}

		if !header.ModTime.Equal(Epoch) || header.Uid != 0 || header.Gid != 0 || header.Uname != "" {
			t.Errorf("%s tells about the machine: %+v", header.Name, header)
		}

		got = append(got, member{header.Name, header.Linkname, string(data), header.Mode, header.Typeflag})
	}

	want := []member{
		{"etc/", "", "", 0o755, tar.TypeDir},
		{"etc/hosts", "", "localhost\n", 0o644, tar.TypeReg},
		{"tmp/", "", "", 0o1777, tar.TypeDir},
		{"usr/", "", "", 0o755, tar.TypeDir},
		{"usr/bin/", "", "", 0o755, tar.TypeDir},
		{"usr/bin/init", "", "program", 0o755, tar.TypeReg},
		{"usr/sbin/", "", "", 0o755, tar.TypeDir},
		{"usr/sbin/init", "../bin/init", "", 0o777, tar.TypeSymlink},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("archive (-want +got):\n%s", diff)
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	one := New().Text("a/x", 0o644, "1").Text("b", 0o600, "2")
	other := New().Text("b", 0o600, "2").Merge(New().Text("/a/x", 0o644, "1"))

	if one.Digest() != other.Digest() || !bytes.Equal(archive(t, one), archive(t, other)) {
		t.Error("two orders of adding the same files give two archives")
	}
}

func TestDigestSeesEverything(t *testing.T) {
	trees := map[string]*Tree{
		"base":    New().Text("a", 0o644, "1"),
		"content": New().Text("a", 0o644, "2"),
		"mode":    New().Text("a", 0o755, "1"),
		"name":    New().Text("b", 0o644, "1"),
		"link":    New().Symlink("a", "1"),
		"target":  New().Symlink("a", "2"),
		"dir":     New().Dir("a", 0o644),
	}
	seen := map[string]string{}

	for name, tree := range trees {
		if other, ok := seen[tree.Digest()]; ok {
			t.Errorf("%s and %s have the same digest", name, other)
		}

		seen[tree.Digest()] = name
	}
}

func TestRefused(t *testing.T) {
	tests := map[string]*Tree{
		"setuid":   New().Text("su", fs.ModeSetuid|0o755, "x"),
		"conflict": New().Text("a", 0o644, "1").Text("a", 0o644, "2"),
		"inner":    New().Merge(New().Text("su", fs.ModeSetgid|0o755, "x")),
	}

	for name, tree := range tests {
		if tree.Err() == nil || tree.WriteTar(io.Discard) == nil || tree.WriteFolder(filepath.Join(t.TempDir(), "x")) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestChangedSource(t *testing.T) {
	name, sum, size := source(t, "before")

	if err := os.WriteFile(name, []byte("behind"), 0o600); err != nil {
		t.Fatal(err)
	}

	if err := New().File("a", 0o755, name, sum, size).WriteTar(io.Discard); !errors.Is(err, ErrChanged) {
		t.Errorf("error %v, want ErrChanged", err)
	}
}

func TestFolder(t *testing.T) {
	tree := example(t)
	changes := map[string]func(t *testing.T, dir string) error{
		"content":    func(_ *testing.T, dir string) error { return os.WriteFile(dir+"/etc/hosts", []byte("other"), 0o600) },
		"time":       func(_ *testing.T, dir string) error { return os.Chtimes(dir+"/etc/hosts", time.Now(), time.Now()) },
		"mode":       func(_ *testing.T, dir string) error { return os.Chmod(dir+"/usr/bin/init", 0o700) },
		"missing":    func(_ *testing.T, dir string) error { return os.Remove(dir + "/usr/sbin/init") },
		"additional": func(_ *testing.T, dir string) error { return os.WriteFile(dir+"/tmp/x", nil, 0o600) },
	}

	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "root")

			if err := tree.WriteFolder(dir); err != nil {
				t.Fatal(err)
			}

			if !tree.IsFolder(dir) {
				t.Fatal("a fresh folder is not the tree")
			}

			if err := change(t, dir); err != nil {
				t.Fatal(err)
			}

			if tree.IsFolder(dir) {
				t.Error("a changed folder is still the tree")
			}
		})
	}
}

func TestFolderIsNoLink(t *testing.T) {
	name, sum, size := source(t, "program")
	dir := filepath.Join(t.TempDir(), "root")

	if err := New().File("a", 0o755, name, sum, size).WriteFolder(dir); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "a"), []byte("broken!"), 0o755); err != nil {
		t.Fatal(err)
	}

	if data, err := os.ReadFile(name); err != nil || string(data) != "program" {
		t.Errorf("writing to the folder changed its source: %q, %v", data, err)
	}
}
