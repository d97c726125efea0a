//go:build cgo

package sandbox

import (
	"fmt"
	"os"
)

// libraryPaths are what Landlock's library needs to see in programs with C
// code, to find their threads.
func libraryPaths() []string {
	return []string{fmt.Sprintf("/proc/%d/task", os.Getpid())}
}

// dropBoundingSet does nothing in programs with C code, which are those of tests
// under the race detector: the runtime cannot reach all of their threads. With
// no_new_privs nothing can be brought back from the set anyway.
func dropBoundingSet() error { return nil }
