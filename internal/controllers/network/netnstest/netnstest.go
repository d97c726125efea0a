// Package netnstest runs the tests of a package in a network namespace of their
// own, where they may change what they like.
package netnstest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
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

		// Package net takes it that there is no IPv6 where [::1] is not there.
		if err := netlink.LinkSetUp(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: "lo"}}); err != nil {
			fmt.Fprintln(os.Stderr, "setting the loopback link up:", err)

			return 1
		}

		return m.Run()
	}

	// Fuzzing has workers of its own, which talk to it by inherited files.
	fuzzing := slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.fuzz") })

	if os.Getuid() != 0 || fuzzing {
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

// Namespace is a second network namespace.
type Namespace struct{ file *os.File }

// New makes a namespace that lasts as long as the test. Only its own loopback
// link is in it, and down.
func New(t testing.TB) *Namespace {
	t.Helper()
	Need(t)

	ns := &Namespace{}

	err := elsewhere(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("making a network namespace: %w", err)
		}

		var err error
		ns.file, err = os.Open("/proc/thread-self/ns/net")

		return err
	})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { _ = ns.file.Close() })

	return ns
}

// FD is a file descriptor of the namespace.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Do calls a function in the namespace. Sockets that it opens stay in there.
// It must not end the test.
func (n *Namespace) Do(t testing.TB, f func() error) {
	t.Helper()

	err := elsewhere(func() error {
		if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering the network namespace: %w", err)
		}

		return f()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// elsewhere calls a function on a thread that ends with it, whatever namespace
// it is in then.
func elsewhere(f func() error) error {
	done := make(chan error)

	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()

	return <-done
}
