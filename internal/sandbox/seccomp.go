package sandbox

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// denied are system calls that no server has a use for and that have helped
// others out of their sandbox. They fail with EPERM. The list names what is
// dangerous, not what is needed: the Go runtime may use new calls without
// breaking the daemon.
var denied = []uint32{
	// Other programs and other processes' memory.
	unix.SYS_EXECVE, unix.SYS_EXECVEAT, unix.SYS_PTRACE, unix.SYS_PROCESS_VM_READV, unix.SYS_PROCESS_VM_WRITEV,
	unix.SYS_PIDFD_GETFD, unix.SYS_KCMP, unix.SYS_PERSONALITY,
	// Namespaces and mounts.
	unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_CHROOT, unix.SYS_PIVOT_ROOT, unix.SYS_MOUNT, unix.SYS_UMOUNT2,
	unix.SYS_OPEN_TREE, unix.SYS_MOVE_MOUNT, unix.SYS_FSOPEN, unix.SYS_FSCONFIG, unix.SYS_FSMOUNT, unix.SYS_FSPICK,
	unix.SYS_MOUNT_SETATTR, unix.SYS_OPEN_BY_HANDLE_AT, unix.SYS_NAME_TO_HANDLE_AT,
	// The kernel itself.
	unix.SYS_INIT_MODULE, unix.SYS_FINIT_MODULE, unix.SYS_DELETE_MODULE, unix.SYS_KEXEC_LOAD, unix.SYS_KEXEC_FILE_LOAD,
	unix.SYS_REBOOT, unix.SYS_SYSLOG, unix.SYS_ACCT, unix.SYS_SWAPON, unix.SYS_SWAPOFF, unix.SYS_SETHOSTNAME,
	unix.SYS_SETDOMAINNAME, unix.SYS_SETTIMEOFDAY, unix.SYS_CLOCK_SETTIME, unix.SYS_CLOCK_ADJTIME, unix.SYS_ADJTIMEX,
	unix.SYS_QUOTACTL,
	// Large or young interfaces.
	unix.SYS_BPF, unix.SYS_PERF_EVENT_OPEN, unix.SYS_USERFAULTFD, unix.SYS_IO_URING_SETUP, unix.SYS_IO_URING_ENTER,
	unix.SYS_IO_URING_REGISTER, unix.SYS_KEYCTL, unix.SYS_ADD_KEY, unix.SYS_REQUEST_KEY, unix.SYS_FANOTIFY_INIT,
	unix.SYS_MEMFD_SECRET, unix.SYS_VHANGUP,
}

// architectures are the values of seccomp_data.arch that this program runs as.
var architectures = map[string]uint32{
	"amd64": unix.AUDIT_ARCH_X86_64,
	"arm64": unix.AUDIT_ARCH_AARCH64,
}

// Offsets in struct seccomp_data, and what filters return.
const (
	offsetNumber = 0
	offsetArch   = 4

	actionKill  = 0x80000000 // the process
	actionErrno = 0x00050000 // the error is in the lower half
	actionAllow = 0x7fff0000

	// x32Bit marks system calls of the 32-bit pointer ABI of amd64.
	x32Bit = 0x40000000

	setModeFilter = 1
)

// filterSystemCalls denies all threads the calls above. The result is false when
// the kernel has no seccomp filters.
func filterSystemCalls() (bool, error) {
	program, err := filter(runtime.GOARCH)
	if err != nil {
		return false, err
	}

	// The flag of the calling thread passes to the others with the filter.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return false, fmt.Errorf("giving up new privileges: %w", err)
	}

	instructions := make([]unix.SockFilter, len(program))
	for i, raw := range program {
		instructions[i] = unix.SockFilter{Code: raw.Op, Jt: raw.Jt, Jf: raw.Jf, K: raw.K}
	}

	fprog := unix.SockFprog{Len: uint16(len(instructions)), Filter: &instructions[0]}

	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, setModeFilter, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&fprog)))

	switch {
	case errno == 0:
		return true, nil
	case errors.Is(errno, unix.ENOSYS), errors.Is(errno, unix.EINVAL):
		return false, nil
	default:
		return false, fmt.Errorf("filtering system calls: %w", errno)
	}
}

// filter returns the BPF program for an architecture.
func filter(arch string) ([]bpf.RawInstruction, error) {
	number, ok := architectures[arch]
	if !ok {
		return nil, fmt.Errorf("filtering system calls: not known on %s", arch)
	}

	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: number, SkipTrue: 1},
		bpf.RetConstant{Val: actionKill},
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: x32Bit, SkipTrue: 1},
		bpf.RetConstant{Val: actionKill},
	}

	for _, call := range denied {
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: call, SkipTrue: 1},
			bpf.RetConstant{Val: actionErrno | uint32(unix.EPERM)})
	}

	raw, err := bpf.Assemble(append(program, bpf.RetConstant{Val: actionAllow}))
	if err != nil {
		return nil, fmt.Errorf("filtering system calls: %w", err)
	}

	return raw, nil
}
