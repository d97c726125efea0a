package machine_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/machine"
)

// TestReaper makes the test process a subreaper: orphans become its children
// as they become those of PID 1.
func TestReaper(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		t.Fatal(err)
	}

	reaper := machine.NewReaper(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())

	var running sync.WaitGroup

	running.Go(func() {
		if err := reaper.Run(ctx); err != nil {
			t.Error(err)
		}
	})

	t.Cleanup(func() {
		cancel()
		running.Wait()
	})

	// Each shell leaves an orphan behind, which ends when the pipe it reads
	// from is closed, and exits with a status that must not get lost.
	var wg sync.WaitGroup

	for status := range 20 {
		wg.Go(func() {
			read, write, err := os.Pipe()
			if err != nil {
				t.Error(err)

				return
			}
			defer read.Close()

			cmd := exec.Command("sh", "-c", fmt.Sprintf("cat <&3 & exit %d", status))
			cmd.ExtraFiles = []*os.File{read}

			if err := reaper.Start(cmd); err != nil {
				t.Error(err)
			}

			if err := reaper.Wait(cmd); cmd.ProcessState.ExitCode() != status {
				t.Errorf("status is %v, want %d", err, status)
			}

			write.Close()
		})
	}

	wg.Wait()
	machine.WaitNoChildren(t)
}
