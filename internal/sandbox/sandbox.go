// Package sandbox takes away from a daemon what it does not need.
//
// A daemon that talks to strangers calls [Enter] first of all, before it opens
// a socket or starts a goroutine. Started as root, it moves into mount and IPC
// namespaces of its own, whose root has nothing but the paths of its
// [Profile], and becomes an ordinary user without capabilities. In any case it
// gives up gaining privileges for good, restricts itself with Landlock to its
// paths and ports, and with seccomp to system calls that a server needs.
//
// Entering namespaces needs a process with one thread, which a Go program
// never is. So Enter executes the program again, with the same arguments and
// process ID, and returns in the second run.
package sandbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"

	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
)

// marker is set in the environment of the second run.
const marker = "BASALT_SANDBOX"

// Profile says what a daemon keeps.
type Profile struct {
	// User is the user and group to become when started as root; not zero.
	User int
	// Visible are files and folders that are seen, read-only, at their own
	// paths. Unix sockets in them can be connected to. What does not exist is
	// left out.
	Visible []string
	// Links are symbolic links in the private root: path and target.
	Links map[string]string
	// Bind and Connect are the TCP ports to listen on and to connect to.
	Bind, Connect []uint16
}

// Report says what could be done. A kernel may lack some of it; everything else
// that fails is an error.
type Report struct {
	PrivateRoot bool
	Landlock    bool
	Seccomp     bool
}

// Enter puts the process into its sandbox. There is no way out.
func Enter(p Profile) (Report, error) {
	var report Report

	if os.Geteuid() == 0 {
		if p.User == 0 {
			return report, errors.New("entering sandbox: the profile has no user")
		}

		if os.Getenv(marker) == "" {
			return report, again()
		}

		if err := rename(filepath.Base(os.Args[0])); err != nil {
			return report, fmt.Errorf("entering sandbox: %w", err)
		}

		if err := p.changeRoot(); err != nil {
			return report, fmt.Errorf("entering sandbox: %w", err)
		}

		report.PrivateRoot = true

		if err := dropBoundingSet(); err != nil {
			return report, fmt.Errorf("entering sandbox: %w", err)
		}

		if err := becomeUser(p.User); err != nil {
			return report, fmt.Errorf("entering sandbox: %w", err)
		}
	}

	if err := os.Unsetenv(marker); err != nil {
		return report, fmt.Errorf("entering sandbox: %w", err)
	}

	return report, p.restrict(&report)
}

// again executes the program in new namespaces. It returns only errors.
func again() error {
	// The namespaces are of this thread, which becomes the process's only one.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_NEWIPC); err != nil {
		return fmt.Errorf("entering sandbox: making namespaces: %w", err)
	}

	env := append(os.Environ(), marker+"=1")
	if err := syscall.Exec("/proc/self/exe", os.Args, env); err != nil {
		return fmt.Errorf("entering sandbox: executing the program again: %w", err)
	}

	return nil
}

// rename gives the process the name that it was started under: the kernel named
// it after the file that was executed, which is "exe".
func rename(name string) error {
	// The process has the name of its first thread.
	path := fmt.Sprintf("/proc/self/task/%d/comm", os.Getpid())
	if err := os.WriteFile(path, []byte(name), 0); err != nil {
		return fmt.Errorf("naming the process: %w", err)
	}

	return nil
}

// becomeUser gives up root on all threads, and with it all capabilities.
func becomeUser(user int) error {
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leaving groups: %w", err)
	}

	if err := syscall.Setgid(user); err != nil {
		return fmt.Errorf("changing group: %w", err)
	}

	if err := syscall.Setuid(user); err != nil {
		return fmt.Errorf("changing user: %w", err)
	}

	return nil
}

// restrict is what needs no privileges.
func (p *Profile) restrict(report *Report) error {
	// Keys in memory are nobody else's business.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("entering sandbox: forbidding memory dumps: %w", err)
	}

	var err error
	if report.Landlock, err = p.landlock(); err != nil {
		return fmt.Errorf("entering sandbox: %w", err)
	}

	if report.Seccomp, err = filterSystemCalls(); err != nil {
		return fmt.Errorf("entering sandbox: %w", err)
	}

	return nil
}

// landlock restricts all threads to the profile's paths and ports, as far as
// the kernel knows how. The result is false when it does not at all.
func (p *Profile) landlock() (bool, error) {
	// Version 6 is the last whose rules for paths leave Unix sockets alone.
	config := landlock.V6.BestEffort()
	rules := []landlock.Rule{landlock.RODirs(p.folders()...).IgnoreIfMissing(), landlock.ROFiles(p.files()...).IgnoreIfMissing()}

	for _, port := range p.Bind {
		rules = append(rules, landlock.BindTCP(port))
	}

	for _, port := range p.Connect {
		rules = append(rules, landlock.ConnectTCP(port))
	}

	if err := config.Restrict(rules...); err != nil {
		return false, fmt.Errorf("restricting with Landlock: %w", err)
	}

	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)

	return errno == 0 && version > 0, nil
}

func (p *Profile) folders() []string {
	return slices.DeleteFunc(slices.Clone(p.Visible), func(path string) bool { return !isFolder(path) })
}

func (p *Profile) files() []string {
	return slices.DeleteFunc(slices.Clone(p.Visible), isFolder)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)

	return err == nil && info.IsDir()
}

// SystemFiles is where the node keeps the files of /etc that it writes, such as
// resolv.conf and hosts. In a private root /etc can be a link to it.
const SystemFiles = "/system/etc"

// SocketFolders returns what must be visible to connect to these Unix sockets,
// and the system's files. The folders are seen, not the sockets themselves, so
// that a server may make its socket anew.
func SocketFolders(sockets ...string) []string {
	folders := []string{SystemFiles}
	for _, socket := range sockets {
		folders = append(folders, filepath.Dir(socket))
	}

	return folders
}
