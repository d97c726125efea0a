package process_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/process"
)

// direct starts children without a reaper.
type direct struct{}

func (direct) Start(cmd *exec.Cmd) error { return cmd.Start() }
func (direct) Wait(cmd *exec.Cmd) error  { return cmd.Wait() }

func shell(script string) *process.Runner {
	return &process.Runner{
		Starter: direct{},
		Process: process.Process{Path: "/bin/sh", Args: []string{"sh", "-c", script}, Env: []string{"WORD=hello"}},
	}
}

func TestRunCapturesOutput(t *testing.T) {
	var out bytes.Buffer

	pid := 0
	err := shell("echo $WORD; echo error >&2").Run(t.Context(), &out, func(s service.Started) { pid = s.PID })

	if err == nil || !strings.Contains(err.Error(), "status 0") {
		t.Errorf("got %v, want the end of the process as an error", err)
	}

	if pid == 0 {
		t.Error("the process number is not reported")
	}

	if got := out.String(); got != "hello\nerror\n" {
		t.Errorf("output is %q", got)
	}
}

func TestRunReportsExitStatus(t *testing.T) {
	err := shell("exit 3").Run(t.Context(), io.Discard, func(service.Started) {})
	if err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v, want exit status 3", err)
	}
}

func TestRunFailsWithoutExecutable(t *testing.T) {
	runner := shell("")
	runner.Process.Path = "/nonexistent"

	if err := runner.Run(t.Context(), io.Discard, func(service.Started) { t.Error("started is called") }); err == nil {
		t.Error("a missing executable is no error")
	}
}

func TestStop(t *testing.T) {
	for _, test := range []struct {
		name, script string
		timeout      time.Duration
	}{
		{"gracefully", "trap 'exit 0' TERM; echo ready; while :; do sleep 0.01; done", time.Minute},
		{"by force", "trap '' TERM; echo ready; while :; do sleep 0.01; done", time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()

			runner := shell(test.script)
			runner.Process.StopTimeout = test.timeout

			var pid int

			// The script is stopped once it has set its trap.
			err := runner.Run(ctx, onWrite(cancel), func(s service.Started) { pid = s.PID })
			if err != nil {
				t.Fatal(err)
			}

			if err := syscall.Kill(pid, 0); err == nil {
				t.Error("the process is still there")
			}
		})
	}
}

type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()

	return len(p), nil
}

// A process with a terminal reads and writes there; what it has to say about
// itself is in its log.
func TestTerminal(t *testing.T) {
	terminal, path := pseudoTerminal(t)

	r := shell("read word; echo got $word; echo to the log >&2; tty; sleep 10")
	r.Process.Terminal = path

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	var log bytes.Buffer

	go func() { done <- r.Run(ctx, &log, func(service.Started) {}) }()

	if _, err := terminal.WriteString("hello\n"); err != nil {
		t.Fatal(err)
	}

	var screen string

	lines := bufio.NewScanner(terminal)
	for !strings.Contains(screen, path) && lines.Scan() {
		screen += lines.Text() + "\n"
	}

	cancel()

	if err := <-done; err != nil {
		t.Error(err)
	}

	if !strings.Contains(screen, "got hello") || log.String() != "to the log\n" {
		t.Errorf("on the terminal: %q, in the log: %q", screen, log.String())
	}
}

// pseudoTerminal returns what is before a terminal and the path of the terminal.
func pseudoTerminal(t *testing.T) (*os.File, string) {
	t.Helper()

	file, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudo terminals: %v", err)
	}

	t.Cleanup(func() { file.Close() })

	number, err := unix.IoctlGetInt(int(file.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(file.Fd()), unix.TIOCSPTLCK, 0)
	}

	if err != nil {
		t.Fatal(err)
	}

	return file, fmt.Sprintf("/dev/pts/%d", number)
}
