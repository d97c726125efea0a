package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// Dir is a folder that must exist.
type Dir struct {
	Path     string
	Mode     fs.FileMode
	UID, GID int
}

// Bind shows the folder Source at Target too. Target must exist.
type Bind struct {
	Source, Target string
}

// Layout is what the file systems of a node need before anything starts.
type Layout struct {
	Dirs  []Dir
	Binds []Bind
}

// Apply makes the mounts of the root shared, so that mounts made by one
// container reach the others, creates the folders, and binds. It can be
// applied again.
func (l Layout) Apply() error {
	if err := unix.Mount("", "/", "", unix.MS_SHARED|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("sharing mounts: %w", err)
	}

	for _, dir := range l.Dirs {
		if err := dir.create(); err != nil {
			return fmt.Errorf("preparing folder: %w", err)
		}
	}

	for _, bind := range l.Binds {
		if err := bind.mount(); err != nil {
			return fmt.Errorf("binding %s to %s: %w", bind.Source, bind.Target, err)
		}
	}

	return nil
}

func (d Dir) create() error {
	if err := os.MkdirAll(d.Path, d.Mode.Perm()); err != nil {
		return err
	}

	// The mode given to mkdir is cut by the umask, and the folder may be older.
	return errors.Join(os.Chmod(d.Path, d.Mode), os.Chown(d.Path, d.UID, d.GID))
}

func (b Bind) mount() error {
	mounted, err := mountinfo.Mounted(b.Target)
	if err != nil || mounted {
		return err
	}

	return unix.Mount(b.Source, b.Target, "", unix.MS_BIND|unix.MS_REC, "")
}

// RaiseLimits raises the number of files that this process and its children
// may have open: to the wanted one, or as far as the system permits.
func RaiseLimits(files uint64) error {
	limit := unix.Rlimit{Cur: files, Max: files}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err == nil {
		return nil
	}

	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading limit of open files: %w", err)
	}

	limit.Cur = limit.Max
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising limit of open files: %w", err)
	}

	return nil
}

// UnmountBelow unmounts every file system that is mounted below a folder, the
// deepest first, whether it is busy or not. What is mounted on the folder itself
// stays.
func UnmountBelow(path string) error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(path))
	if err != nil {
		return fmt.Errorf("finding mounts below %s: %w", path, err)
	}

	slices.SortStableFunc(mounts, func(a, b *mountinfo.Info) int { return len(b.Mountpoint) - len(a.Mountpoint) })

	var errs []error

	for _, mount := range mounts {
		if mount.Mountpoint == path {
			continue
		}

		// One that went with another, because mounts are shared, is fine.
		err := unix.Unmount(mount.Mountpoint, unix.MNT_DETACH)
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("unmounting %s: %w", mount.Mountpoint, err))
		}
	}

	return errors.Join(errs...)
}

// WipeDir removes everything in a folder but not the folder itself, which may
// be a mount point. Other file systems below it are unmounted first, so that
// nothing on them is removed.
func WipeDir(path string) error {
	if err := UnmountBelow(path); err != nil {
		return fmt.Errorf("wiping %s: %w", path, err)
	}

	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("wiping %s: %w", path, err)
	}

	var errs []error
	for _, entry := range entries {
		errs = append(errs, os.RemoveAll(filepath.Join(path, entry.Name())))
	}

	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("wiping %s: %w", path, err)
	}

	return nil
}
