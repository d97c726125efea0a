package machine

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// WaitNoChildren returns when the process has no children any more.
func WaitNoChildren(t *testing.T) {
	t.Helper()

	for t.Context().Err() == nil {
		if _, err := deadChild(); errors.Is(err, unix.ECHILD) {
			return
		}

		runtime.Gosched()
	}
}
