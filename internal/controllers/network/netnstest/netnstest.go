// Package netnstest runs the tests of a package in a network namespace of their
// own, where they may change what they like.
package netnstest

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// inside says that a process is the one in the namespace.
const inside = "BASALT_TEST_IN_NETWORK_NAMESPACE"

// Main runs the tests, in a fresh network namespace if the user is root. It
// returns the exit code, for TestMain.
func Main(m *testing.M) int {
	if os.Getenv(inside) != "" {
		// What /sys says of links is about the namespace of its mount.
		if err := unix.Mount("sysfs", "/sys", "sysfs", 0, ""); err != nil {
			fmt.Fprintln(os.Stderr, "mounting /sys:", err)

			return 1
		}

		return m.Run()
	}

	if os.Getuid() != 0 {
		return m.Run()
	}

	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET, Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL,
	}

	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, "no network namespace:", err)

		return m.Run()
	}

	return cmd.ProcessState.ExitCode()
}

// Need skips a test that needs the namespace where there is none.
func Need(t testing.TB) {
	t.Helper()

	if os.Getenv(inside) == "" {
		t.Skip("needs root, to make a network namespace")
	}
}
