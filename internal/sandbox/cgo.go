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
