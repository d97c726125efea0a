package stage1

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/watchdog"
)

const (
	noSuid   = unix.MS_NOSUID
	noDev    = unix.MS_NODEV
	noExec   = unix.MS_NOEXEC
	readOnly = unix.MS_RDONLY
)

// Linux is the running kernel.
type Linux struct{}

var _ System = Linux{}

// List implements System.
func (Linux) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	var files []string

	for _, entry := range entries {
		files = append(files, filepath.Join(dir, entry.Name()))
	}

	return files, err
}

// LoadModule implements System.
func (Linux) LoadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()

	if err := unix.FinitModule(int(f.Fd()), "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}

	return nil
}

// ArmWatchdog implements System.
func (Linux) ArmWatchdog() error {
	timer, err := watchdog.Open(watchdog.DefaultDevice, watchdog.BootTimeout)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}

	if err != nil {
		return err
	}

	return timer.Leave()
}

// Loop implements System.
func (Linux) Loop(file string) (string, error) {
	backing, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer backing.Close()

	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()

	number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return "", fmt.Errorf("finding a free loop device: %w", err)
	}

	name := fmt.Sprintf("/dev/loop%d", number)

	device, err := os.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return "", err
	}
	defer device.Close()

	config := &unix.LoopConfig{Fd: uint32(backing.Fd()), Info: unix.LoopInfo64{Flags: unix.LO_FLAGS_READ_ONLY}}
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file)

	if err := unix.IoctlLoopConfigure(int(device.Fd()), config); err != nil {
		return "", fmt.Errorf("setting up %s: %w", name, err)
	}

	return name, nil
}

// Mount implements System.
func (Linux) Mount(m Mount) error {
	if err := os.MkdirAll(m.Target, 0o755); err != nil {
		return err
	}

	err := unix.Mount(m.Source, m.Target, m.Type, m.Flags, m.Data)
	if errors.Is(err, unix.EBUSY) { // the kernel may have mounted /dev itself
		return nil
	}

	return err
}

// Move implements System.
func (Linux) Move(from, to string) error {
	return unix.Mount(from, to, "", unix.MS_MOVE, "")
}

// Copy implements System.
func (Linux) Copy(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}

	return os.WriteFile(to, data, 0o644)
}

// Remove implements System.
func (Linux) Remove(name string) error { return os.RemoveAll(name) }

// Enter implements System. The initramfs cannot be unmounted, so the new root
// is put over it.
func (Linux) Enter(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return err
	}

	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return err
	}

	if err := unix.Chroot("."); err != nil {
		return err
	}

	return unix.Chdir("/")
}

// Exec implements System.
func (Linux) Exec(program string) error {
	return unix.Exec(program, []string{program}, []string{"PATH=/usr/sbin:/usr/bin", "TERM=linux"})
}
