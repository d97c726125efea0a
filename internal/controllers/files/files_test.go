package files

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOverwriteKeepsTheFile(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "sub", "hosts")
	if err := overwrite(path, []byte("a long first version"), 0o644); err != nil {
		t.Fatal(err)
	}

	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}

	if err := overwrite(path, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}

	after, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}

	if !os.SameFile(before, after) {
		t.Error("the file was replaced")
	}

	text, err := os.ReadFile(path)
	if err != nil || string(text) != "short" || after.Mode().Perm() != 0o600 {
		t.Errorf("contents %q, mode %v, error %v", text, after.Mode(), err)
	}
}

func TestFolderHoldsExactlyItsFiles(t *testing.T) {
	t.Parallel()

	folder := Folder{Path: filepath.Join(t.TempDir(), "pki"), Owner: os.Getuid()}

	for _, contents := range []map[string]File{
		{"ca.crt": {Contents: []byte("1")}, "ca.key": {Contents: []byte("2"), Secret: true}},
		{"ca.crt": {Contents: []byte("3")}},
	} {
		if err := folder.Write(contents); err != nil {
			t.Fatal(err)
		}

		entries, err := os.ReadDir(folder.Path)
		if err != nil {
			t.Fatal(err)
		}

		got, want := map[string]string{}, map[string]string{}

		for _, entry := range entries {
			text, err := os.ReadFile(filepath.Join(folder.Path, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}

			info, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}

			got[entry.Name()] = info.Mode().String() + " " + string(text)
		}

		for name, file := range contents {
			mode := "-r--r--r-- "
			if file.Secret {
				mode = "-r-------- "
			}

			want[name] = mode + string(file.Contents)
		}

		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("files (-want +got):\n%s", diff)
		}
	}
}
