package tree

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// WriteFolder makes dir, which must not exist, a copy of the tree. Owners are
// those of the caller: a folder is for use as a read-only root, where the
// archive carries the owners.
func (t *Tree) WriteFolder(dir string) error {
	if t.err != nil {
		return t.err
	}

	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}

	// Modes and times of folders come last: writing into a folder changes them.
	var folders []string

	for name, e := range t.All() {
		target := filepath.Join(dir, filepath.FromSlash(name))

		var err error

		switch {
		case e.Mode.IsDir():
			folders = append(folders, name)
			err = os.Mkdir(target, 0o755)
		case e.Mode&fs.ModeSymlink != 0:
			err = os.Symlink(e.Link, target)
		default:
			err = e.writeFile(target)
		}

		if err != nil {
			return fmt.Errorf("writing /%s: %w", name, err)
		}
	}

	for _, name := range slices.Backward(folders) {
		target := filepath.Join(dir, filepath.FromSlash(name))

		if err := finish(target, t.entries[name].Mode); err != nil {
			return fmt.Errorf("writing /%s: %w", name, err)
		}
	}

	return finish(dir, 0o755)
}

// writeFile copies; a hard link into the cache would let a writer of the copy
// change the cache. The kernel shares the blocks where the file system can.
func (e Entry) writeFile(target string) error {
	file, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}

	err = e.copyToFile(file)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}

	if err != nil {
		return err
	}

	return finish(target, e.Mode)
}

func (e Entry) copyToFile(file *os.File) error {
	if e.Source == "" {
		_, err := file.Write(e.Data)

		return err
	}

	source, err := os.Open(e.Source)
	if err != nil {
		return err
	}
	defer source.Close()

	if _, err := file.ReadFrom(source); err != nil {
		return err
	}

	return nil
}

func finish(target string, mode fs.FileMode) error {
	if err := os.Chmod(target, mode&(fs.ModePerm|fs.ModeSticky)); err != nil {
		return err
	}

	return os.Chtimes(target, Epoch, Epoch)
}

// IsFolder reports whether dir looks like what WriteFolder made of this tree:
// the same entries with the same types, modes, sizes, times and link targets.
// Contents are not read.
func (t *Tree) IsFolder(dir string) bool {
	seen := 0

	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		relative, err := filepath.Rel(dir, name)
		if err != nil || relative == "." {
			return err
		}

		info, err := d.Info()
		if err != nil {
			return err
		}

		e, ok := t.entries[filepath.ToSlash(relative)]
		if !ok || !e.looksLike(name, info) {
			return fs.ErrNotExist
		}

		seen++

		return nil
	})

	return err == nil && seen == len(t.entries)
}

func (e Entry) looksLike(name string, info fs.FileInfo) bool {
	if e.Mode&fs.ModeSymlink != 0 {
		target, err := os.Readlink(name)

		return err == nil && target == e.Link
	}

	mask := fs.ModeType | fs.ModePerm | fs.ModeSticky

	return info.Mode()&mask == e.Mode&mask && info.ModTime().Equal(Epoch) &&
		(e.Mode.IsDir() || info.Size() == e.Size)
}
