package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// mountPoint is where the private root is put together. What is there in the
// daemon's own mount namespace does not matter: it goes away with the old root.
const mountPoint = "/tmp"

// changeRoot replaces the root by one with the visible paths only.
func (p *Profile) changeRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separating mounts: %w", err)
	}

	// The visible trees are picked up before anything is mounted over them.
	trees, err := p.pick()
	if err != nil {
		return err
	}

	defer trees.close()

	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

	if err := unix.Mount("root", mountPoint, "tmpfs", flags, "size=64k,mode=755"); err != nil {
		return fmt.Errorf("mounting private root: %w", err)
	}

	for _, tree := range trees {
		if err := tree.attach(mountPoint); err != nil {
			return err
		}
	}

	for path, target := range p.Links {
		if err := link(filepath.Join(mountPoint, path), target); err != nil {
			return fmt.Errorf("linking %s: %w", path, err)
		}
	}

	if err := pivot(mountPoint); err != nil {
		return err
	}

	if err := unix.Mount("", "/", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY|flags, ""); err != nil {
		return fmt.Errorf("making private root read-only: %w", err)
	}

	return nil
}

// tree is a detached copy of a file or folder with what is mounted in it.
type tree struct {
	path   string
	folder bool
	fd     int
}

type trees []tree

func (t trees) close() {
	for _, tree := range t {
		// What it refers to has been attached, or the daemon gives up.
		_ = unix.Close(tree.fd)
	}
}

func (p *Profile) pick() (trees, error) {
	var picked trees

	for _, path := range slices.Concat(p.Visible, libraryPaths()) {
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}

		if err != nil {
			picked.close()

			return nil, fmt.Errorf("picking %s: %w", path, err)
		}

		fd, err := unix.OpenTree(unix.AT_FDCWD, path,
			unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
		if err != nil {
			picked.close()

			return nil, fmt.Errorf("picking %s: %w", path, err)
		}

		picked = append(picked, tree{path: path, folder: info.IsDir(), fd: fd})
	}

	return picked, nil
}

// attach mounts the tree at its own path below a new root, read-only.
func (t tree) attach(root string) error {
	target := filepath.Join(root, t.path)
	parent := filepath.Dir(target)

	if t.folder {
		parent = target
	}

	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("making %s in private root: %w", t.path, err)
	}

	if !t.folder {
		if err := os.WriteFile(target, nil, 0o444); err != nil {
			return fmt.Errorf("making %s in private root: %w", t.path, err)
		}
	}

	if err := unix.MoveMount(t.fd, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attaching %s: %w", t.path, err)
	}

	if err := unix.MountSetattr(unix.AT_FDCWD, target, unix.AT_RECURSIVE, &unix.MountAttr{
		Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NOSUID | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOEXEC,
	}); err != nil {
		return fmt.Errorf("making %s read-only: %w", t.path, err)
	}

	return nil
}

func link(path, target string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}

	return os.Symlink(target, path)
}

// pivot makes the folder the root and lets the old root go.
func pivot(root string) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("entering private root: %w", err)
	}

	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("entering private root: %w", err)
	}

	// The old root is now mounted over the new one.
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the old root: %w", err)
	}

	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("entering private root: %w", err)
	}

	return nil
}
