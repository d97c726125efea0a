// Package kexec puts a kernel into memory that takes over from the running one
// without a detour through the firmware. machine.End starts it.
package kexec

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrDisabled says that the running kernel starts no other one until it has been
// restarted.
var ErrDisabled = errors.New("the sysctl kernel.kexec_load_disabled is on")

// disabledFile tells whether the kernel still takes another one.
const disabledFile = "/proc/sys/kernel/kexec_load_disabled"

// Load reads a kernel and its initramfs, in memory twice for a moment, to be
// started with a command line. It fails with ErrDisabled, and with what the
// kernel says: EPERM when it is locked down, as with Secure Boot, EKEYREJECTED
// when it wants signatures.
func Load(kernel, initramfs io.Reader, cmdline string) error {
	disabled, err := os.ReadFile(disabledFile)
	if err != nil {
		return fmt.Errorf("loading a kernel: %w", err)
	}

	if strings.TrimSpace(string(disabled)) != "0" {
		return fmt.Errorf("loading a kernel: %w", ErrDisabled)
	}

	var files [2]*os.File

	for i, source := range []io.Reader{kernel, initramfs} {
		file, err := inMemory(source)
		if err != nil {
			return fmt.Errorf("loading a kernel: %w", err)
		}
		defer file.Close()

		files[i] = file
	}

	if err := unix.KexecFileLoad(int(files[0].Fd()), int(files[1].Fd()), cmdline, 0); err != nil {
		return fmt.Errorf("loading a kernel: %w", err)
	}

	return nil
}

// inMemory copies to a file that is on no disk.
func inMemory(source io.Reader) (*os.File, error) {
	fd, err := unix.MemfdCreate("kexec", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}

	file := os.NewFile(uintptr(fd), "kexec")
	if _, err := io.Copy(file, source); err != nil {
		return nil, errors.Join(err, file.Close())
	}

	return file, nil
}
