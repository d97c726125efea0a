package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

const (
	// etcFiles is where the files are that appear under /etc.
	etcFiles = "/system/etc"
	// etcOverlay has the writable view of /etc and what it is made of.
	etcOverlay = "/system/overlay/etc"
)

// etc is /etc of a node: the root tree's own, read-only, with files of
// [etcFiles] in their places.
type etc struct {
	// writable is the same folder as /etc, where places can be made.
	writable string
}

// mountEtc puts a layer in memory over /etc, so that there can be a place for
// any file. What people see stays read-only. It can be called again.
func mountEtc() (etc, error) {
	view := etc{writable: filepath.Join(etcOverlay, "merged")}

	mounted, err := mountinfo.Mounted("/etc")
	if err != nil || mounted {
		return view, err
	}

	upper, work := filepath.Join(etcOverlay, "upper"), filepath.Join(etcOverlay, "work")
	for _, dir := range []string{view.writable, upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return view, fmt.Errorf("preparing /etc: %w", err)
		}
	}

	layers := fmt.Sprintf("lowerdir=/etc,upperdir=%s,workdir=%s", upper, work)
	if err := unix.Mount("overlay", view.writable, "overlay", unix.MS_NOSUID|unix.MS_NODEV, layers); err != nil {
		return view, fmt.Errorf("laying a writable layer over /etc: %w", err)
	}

	if err := unix.Mount(view.writable, "/etc", "", unix.MS_BIND, ""); err != nil {
		return view, fmt.Errorf("binding /etc: %w", err)
	}

	const readOnly = unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV
	if err := unix.Mount("", "/etc", "", readOnly, ""); err != nil {
		return view, fmt.Errorf("making /etc read-only: %w", err)
	}

	return view, nil
}

// Show implements [files.Etc]. Some folders of /etc are those of the writable
// files already.
func (e etc) Show(name string) error {
	source, target := filepath.Join(etcFiles, name), filepath.Join("/etc", name)

	from, err := os.Stat(source)
	if err != nil {
		return err
	}

	to, err := os.Stat(target)

	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := e.makePlace(name); err != nil {
			return err
		}
	case err != nil || os.SameFile(from, to):
		return err
	}

	return unix.Mount(source, target, "", unix.MS_BIND, "")
}

// makePlace makes an empty file to mount another one over.
func (e etc) makePlace(name string) error {
	place := filepath.Join(e.writable, name)
	if err := os.MkdirAll(filepath.Dir(place), 0o755); err != nil {
		return err
	}

	return os.WriteFile(place, nil, 0o444)
}

// Hide implements [files.Etc]. An empty place that was made for the file goes
// as well.
func (e etc) Hide(name string) error {
	target := filepath.Join("/etc", name)

	mounted, err := mountinfo.Mounted(target)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !mounted) {
		return nil
	}

	if err != nil {
		return err
	}

	if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
		return err
	}

	made := filepath.Join(etcOverlay, "upper", name)
	if _, err := os.Lstat(made); errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	return os.Remove(filepath.Join(e.writable, name))
}
