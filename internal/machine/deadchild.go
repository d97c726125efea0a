package machine

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childInfo is the part of the kernel's siginfo that waitid fills in.
type childInfo struct {
	signo, errno, code int32
	_                  int32
	pid                int32
	_                  [27]int32
}

// deadChild returns the process number of a child that has ended and leaves
// it uncollected, or 0 when there is none.
func deadChild() (int, error) {
	var info childInfo

	err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)), unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)

	runtime.KeepAlive(&info)

	return int(info.pid), err
}
