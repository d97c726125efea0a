package mount

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/mkfs"
	"github.com/basalt-os/basalt/internal/blockdev/probe"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// Kernel mounts with the kernel's means.
type Kernel struct {
	// Root is before all targets; empty on a machine.
	Root string
	// Opener is for a look at a file system before it grows.
	Opener blockdev.Opener
}

// errRaw says that a volume cannot be mounted.
var errRaw = errors.New("the volume has no file system")

// Mount implements [Mounter].
func (k Kernel) Mount(_ context.Context, m Mount) error {
	m.Target = k.at(m.Target)

	var err error

	switch {
	case m.Filesystem == block.FilesystemTypeSwap:
		return swapOn(m.Source)
	case m.Type == block.VolumeTypeDirectory:
		err = directory(m)
	case m.Type == block.VolumeTypeSymlink:
		err = symlink(m)
	case m.Type == block.VolumeTypeOverlay:
		m.Source = k.at(m.Source)
		err = overlay(m)
	case m.Type == block.VolumeTypeTmpfs:
		err = m.mount("tmpfs", "tmpfs", m.options("mode=0755"))
	case m.Filesystem == block.FilesystemTypeNone:
		err = errRaw
	default:
		err = k.filesystem(m)
	}

	if err != nil {
		return fmt.Errorf("mounting %s at %s: %w", m.Source, m.Target, err)
	}

	return nil
}

// Remount implements [Mounter].
func (k Kernel) Remount(_ context.Context, m Mount) error {
	if !m.mounted() {
		return nil
	}

	flags := m.flags() | unix.MS_REMOUNT
	if m.Bind {
		flags |= unix.MS_BIND
	}

	if err := unix.Mount("", k.at(m.Target), "", flags, ""); err != nil {
		return fmt.Errorf("mounting again %s: %w", m.Target, err)
	}

	return nil
}

// Unmount implements [Mounter].
func (k Kernel) Unmount(_ context.Context, m Mount) error {
	if m.Filesystem == block.FilesystemTypeSwap {
		return swapOff(m.Source)
	}

	if !m.mounted() {
		return nil
	}

	err := unix.Unmount(k.at(m.Target), 0)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting %s: %w", m.Target, err)
	}

	return nil
}

func (k Kernel) at(target string) string {
	if k.Root == "" || target == "" {
		return target
	}

	return filepath.Join(k.Root, target)
}

// mounted says whether there is a mount, or just a folder or a link.
func (m Mount) mounted() bool {
	return m.Type != block.VolumeTypeSymlink && (m.Type != block.VolumeTypeDirectory || m.Bind)
}

func (m Mount) flags() uintptr {
	var flags uintptr

	for flag, set := range map[uintptr]bool{
		unix.MS_RDONLY:                 m.ReadOnly,
		unix.MS_NOSUID | unix.MS_NODEV: m.Secure,
		unix.MS_NOEXEC:                 m.NoExec,
		unix.MS_NOATIME:                m.NoAccessTime,
	} {
		if set {
			flags |= flag
		}
	}

	return flags
}

// options are those of the file system, as text.
func (m Mount) options(more ...string) string {
	if m.ProjectQuota {
		more = append(more, "prjquota")
	}

	for _, p := range m.Parameters {
		switch {
		case p.Type == block.FSParameterTypeString && p.String != nil:
			more = append(more, p.Name+"="+*p.String)
		case p.Type == block.FSParameterTypeBoolean:
			more = append(more, p.Name)
		}
	}

	return strings.Join(more, ",")
}

// mount mounts at a target that is made if it is not there.
func (m Mount) mount(source, kind, options string) error {
	if err := os.MkdirAll(m.Target, 0o755); err != nil {
		return err
	}

	return unix.Mount(source, m.Target, kind, m.flags(), options)
}

func (k Kernel) filesystem(m Mount) error {
	if err := m.mount(m.Source, m.Filesystem.String(), m.options()); err != nil {
		return err
	}

	if m.ReadOnly {
		return nil
	}

	if m.Grow {
		if err := k.grow(m); err != nil {
			return errors.Join(err, unix.Unmount(m.Target, 0))
		}
	}

	return m.own()
}

// grow makes the file system as large as its device.
func (k Kernel) grow(m Mount) error {
	handle, err := k.Opener.Open(m.Source, blockdev.Read)
	if err != nil {
		return err
	}
	defer handle.Close() //nolint:errcheck // read side only

	found, err := probe.Look(probe.Device{Reader: handle, Size: m.Size, SectorSize: 512})
	if err != nil {
		return err
	}

	_, err = mkfs.Grow(m.Filesystem.String(), m.Target, found.Size, m.Size)

	return err
}

// own sets owner and mode of the target.
func (m Mount) own() error {
	if m.Mode == 0 {
		return nil
	}

	if err := os.Chown(m.Target, m.UID, m.GID); err != nil {
		return err
	}

	return os.Chmod(m.Target, m.Mode)
}

func directory(m Mount) error {
	_, err := os.Lstat(m.Target)
	isNew := errors.Is(err, fs.ErrNotExist)

	if err := os.MkdirAll(m.Target, 0o755); err != nil {
		return err
	}

	// What a folder that was there has been given since is kept.
	if isNew {
		if err := m.own(); err != nil {
			return err
		}
	}

	if !m.Bind {
		return nil
	}

	if err := unix.Mount(m.Target, m.Target, "", unix.MS_BIND, ""); err != nil {
		return err
	}

	return unix.Mount("", m.Target, "", m.flags()|unix.MS_BIND|unix.MS_REMOUNT, "")
}

// symlink makes a link. What stands in its place goes only if it is another
// link or an empty folder.
func symlink(m Mount) error {
	current, err := os.Readlink(m.Target)
	if err == nil && current == m.Source {
		return nil
	}

	if err := os.Remove(m.Target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	return os.Symlink(m.Source, m.Target)
}

// overlay puts what changes below a folder of the read-only root elsewhere.
func overlay(m Mount) error {
	name := strings.ReplaceAll(strings.Trim(m.Target, "/"), "/", "-")
	upper, work := filepath.Join(m.Source, name+"-diff"), filepath.Join(m.Source, name+"-workdir")

	for _, dir := range []string{upper, work} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}

	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", m.Target, upper, work)

	return unix.Mount("overlay", m.Target, "overlay", m.flags(), options)
}

func swapOn(device string) error {
	return swap("swapping to", unix.SYS_SWAPON, device, unix.EBUSY)
}

func swapOff(device string) error {
	return swap("no longer swapping to", unix.SYS_SWAPOFF, device, unix.EINVAL)
}

// swap calls the kernel; already is what it says when there is nothing to do.
func swap(doing string, call uintptr, device string, already error) error {
	path, err := unix.BytePtrFromString(device)
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, device, err)
	}

	_, _, errno := unix.Syscall(call, uintptr(unsafe.Pointer(path)), 0, 0)
	if errno != 0 && !errors.Is(errno, already) {
		return fmt.Errorf("%s %s: %w", doing, device, errno)
	}

	return nil
}
