package process_test

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

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
