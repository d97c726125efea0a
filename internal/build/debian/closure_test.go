package debian

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pool is a package made of a dynamically linked program of this machine and
// what it needs, laid out as Debian does.
func pool(t *testing.T, leaveOut string) Pool {
	t.Helper()

	const program = "/usr/bin/env"

	dir := t.TempDir()
	pending := []string{program}

	for len(pending) > 0 {
		name := pending[0]
		pending = pending[1:]

		source, target := name, name

		if !strings.Contains(name, "/") {
			found, err := filepath.Glob("/lib/*-linux-gnu/" + name)
			if err != nil || len(found) == 0 {
				t.Skipf("%s is not where Debian has it", name)
			}

			source, target = found[0], found[0]
		}

		data, err := os.ReadFile(source)
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("this machine has no %s", source)
		}

		if err != nil {
			t.Fatal(err)
		}

		if filepath.Base(target) == leaveOut {
			continue
		}

		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(target)), 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(filepath.Join(dir, target), data, 0o755|fs.ModeSetuid); err != nil {
			t.Fatal(err)
		}

		needs, err := dependencies(source)
		if err != nil {
			t.Skipf("%s is linked statically: %v", source, err)
		}

		pending = append(pending, needs...)
	}

	return Pool{"env": dir}
}

func TestPrograms(t *testing.T) {
	tree, err := pool(t, "").Programs("/usr/bin/env")
	if err != nil {
		t.Fatal(err)
	}

	var names []string

	for name, entry := range tree.All() {
		if entry.Mode.IsRegular() {
			names = append(names, filepath.Base(name))

			if !strings.HasPrefix(name, "usr/") || entry.Mode.Perm() != 0o755 || entry.Mode&fs.ModeSetuid != 0 {
				t.Errorf("%s %s", name, entry.Mode)
			}
		}
	}

	for _, want := range []string{"env", "libc.so.6", "ld-linux"} {
		if !strings.Contains(strings.Join(names, " "), want) {
			t.Errorf("%v lacks %s", names, want)
		}
	}
}

func TestMissingLibrary(t *testing.T) {
	if _, err := pool(t, "libc.so.6").Programs("/usr/bin/env"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want %v", err, fs.ErrNotExist)
	}
}

func TestCertificates(t *testing.T) {
	dir := t.TempDir()

	if _, err := Certificates(dir); err == nil {
		t.Error("no certificates and no error")
	}

	folder := filepath.Join(dir, "usr/share/ca-certificates/mozilla")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}

	for name, data := range map[string]string{"b.crt": "second\n", "a.crt": "first\n", "c.txt": "no\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	if got, err := Certificates(dir); err != nil || got != "first\nsecond\n" {
		t.Errorf("bundle %q, %v", got, err)
	}
}
