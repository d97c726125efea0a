package early

import (
	"errors"
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"
)

// Mount is a file system that a machine has from the beginning.
type Mount struct {
	Type, Target string
	Flags        uintptr
	Data         string
	// Optional file systems are for features that a kernel or a machine may be
	// without.
	Optional bool
	// When is a folder that must be there for the mount to make sense.
	When string
}

const secure = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// Mounts are the file systems that the node needs besides those that stage 1
// has mounted: /proc, /sys, /dev and /run. The ones on /system, /tmp and /var
// are in memory: the root is read-only, and the volume for /var is mounted over
// its place when it is found.
func Mounts() []Mount {
	return []Mount{
		{Type: "tmpfs", Target: "/system", Flags: secure, Data: "mode=0755"},
		{Type: "tmpfs", Target: "/tmp", Flags: secure, Data: "mode=1777,size=64m"},
		{Type: "tmpfs", Target: "/var", Flags: unix.MS_NOSUID | unix.MS_NODEV, Data: "mode=0755"},
		{Type: "devpts", Target: "/dev/pts", Flags: unix.MS_NOSUID | unix.MS_NOEXEC, Data: "ptmxmode=0666,mode=0620,gid=5"},
		{Type: "tmpfs", Target: "/dev/shm", Flags: secure, Data: "mode=1777"},
		{Type: "cgroup2", Target: "/sys/fs/cgroup", Flags: secure | unix.MS_RELATIME, Data: "nsdelegate,memory_recursiveprot"},
		{Type: "mqueue", Target: "/dev/mqueue", Flags: secure, Optional: true},
		{Type: "hugetlbfs", Target: "/dev/hugepages", Flags: unix.MS_NOSUID | unix.MS_NODEV, Optional: true},
		{Type: "bpf", Target: "/sys/fs/bpf", Flags: secure, Data: "mode=0700", Optional: true},
		{Type: "securityfs", Target: "/sys/kernel/security", Flags: secure, Optional: true},
		{Type: "tracefs", Target: "/sys/kernel/tracing", Flags: secure, Data: "mode=0700", Optional: true},
		{Type: "pstore", Target: "/sys/fs/pstore", Flags: secure, Optional: true},
		{
			Type: "efivarfs", Target: "/sys/firmware/efi/efivars", Flags: secure, Optional: true,
			When: "/sys/firmware/efi",
		},
	}
}

// mountAll mounts them in their order.
func mountAll(system System, logger *slog.Logger) error {
	for _, m := range Mounts() {
		if m.When != "" && !system.Exists(m.When) {
			continue
		}

		err := system.Mount(m)
		if errors.Is(err, ErrUnsupported) {
			// The file system may be a module.
			err = errors.Join(system.LoadModule("fs-"+m.Type), system.Mount(m))
		}

		switch {
		case err == nil:
		case m.Optional:
			warn(logger, "mounting", err, "target", m.Target)
		default:
			return fmt.Errorf("mounting %s: %w", m.Target, err)
		}
	}

	return nil
}

type link struct{ target, name string }

// links are the names of a process's own files: devtmpfs does not make them.
func links() []link {
	return []link{
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	}
}
