//go:build !cgo

package sandbox

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// libraryPaths are what Landlock's library needs to see: nothing, as the
// runtime knows its threads.
func libraryPaths() []string { return nil }

// dropBoundingSet gives up all capabilities that programs with privileges could
// bring back, on all threads. It needs CAP_SETPCAP.
func dropBoundingSet() error {
	for capability := uintptr(0); ; capability++ {
		_, _, errno := syscall.AllThreadsSyscall(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, capability, 0)

		switch {
		case errno == 0:
		case errors.Is(errno, unix.EINVAL): // beyond the last one that the kernel knows
			return nil
		default:
			return fmt.Errorf("giving up capability %d: %w", capability, errno)
		}
	}
}
