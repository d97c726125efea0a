package images

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// output is the folder of the build's results, or a skipped test.
func output(t *testing.T, name string) string {
	t.Helper()

	dir, err := filepath.Abs(filepath.Join("..", "..", "_out", name))
	if err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(dir); err != nil {
		t.Skip("there is no build in _out: run make build")
	}

	return dir
}

// shells and interpreters have no place on a node.
func unwanted() []string {
	return []string{
		"ash", "awk", "bash", "busybox", "csh", "dash", "fish", "gawk", "ksh", "lua", "mawk", "node", "perl", "php",
		"python", "python3", "ruby", "sh", "su", "sudo", "tclsh", "toybox", "zsh",
	}
}

func TestRootTree(t *testing.T) {
	root := output(t, "root")

	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		info, err := d.Info()
		if err != nil {
			return err
		}

		checkFile(t, root, name, info)

		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkFile(t *testing.T, root, name string, info fs.FileInfo) {
	t.Helper()

	shown := "/" + strings.TrimPrefix(strings.TrimPrefix(name, root), "/")

	if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		t.Errorf("%s is setuid or setgid: %s", shown, info.Mode())
	}

	if info.Mode()&fs.ModeSymlink == 0 && info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
		t.Errorf("%s can be written by others: %s", shown, info.Mode())
	}

	if slices.Contains(unwanted(), info.Name()) {
		t.Errorf("%s is a shell or an interpreter", shown)
	}

	if info.Mode()&fs.ModeSymlink != 0 {
		checkLink(t, root, name, shown)

		return
	}

	if !info.Mode().IsRegular() {
		return
	}

	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}

	if bytes.HasPrefix(data, []byte("#!")) {
		t.Errorf("%s is a script", shown)
	}

	if info.Mode().Perm()&0o111 != 0 {
		checkProgram(t, root, shown, data)
	}
}

// checkLink resolves the link inside the tree.
func checkLink(t *testing.T, root, name, shown string) {
	t.Helper()

	target, err := os.Readlink(name)
	if err != nil {
		t.Fatal(err)
	}

	if filepath.IsAbs(target) {
		target = filepath.Join(root, target)
	} else {
		target = filepath.Join(filepath.Dir(name), target)
	}

	if _, err := os.Lstat(target); err != nil {
		t.Errorf("%s points to nothing: %v", shown, err)
	}
}

// checkProgram makes sure that an executable file is a program whose loader and
// libraries are all in the tree.
func checkProgram(t *testing.T, root, shown string, data []byte) {
	t.Helper()

	file, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Errorf("%s can be executed and is no program: %v", shown, err)

		return
	}

	for _, program := range file.Progs {
		if program.Type != elf.PT_INTERP {
			continue
		}

		loader := make([]byte, program.Filesz)
		if _, err := program.ReadAt(loader, 0); err != nil {
			t.Fatal(err)
		}

		if _, err := os.Stat(filepath.Join(root, strings.TrimRight(string(loader), "\x00"))); err != nil {
			t.Errorf("%s has no loader: %v", shown, err)
		}
	}

	libraries, err := file.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}

	for _, library := range libraries {
		found, err := filepath.Glob(filepath.Join(root, "usr", "lib*", "*", library))
		if err != nil {
			t.Fatal(err)
		}

		loader, err := filepath.Glob(filepath.Join(root, "usr", "lib*", library))
		if err != nil {
			t.Fatal(err)
		}

		if len(found)+len(loader) == 0 {
			t.Errorf("%s needs %s, which is not there", shown, library)
		}
	}
}
