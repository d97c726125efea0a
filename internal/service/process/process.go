// Package process runs a service as a child process: with its own user, in
// its own control group, with its output captured.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/service"
)

// DefaultStopTimeout is how long a process may take to end after SIGTERM
// before it is killed.
const DefaultStopTimeout = 10 * time.Second

// Starter starts and awaits child processes. PID 1 collects every dead child,
// so that children must be made known to it: see the reaper of package
// machine.
type Starter interface {
	Start(cmd *exec.Cmd) error
	Wait(cmd *exec.Cmd) error
}

// Groups moves processes to control groups.
type Groups interface {
	Add(group string, pid int) error
	Processes(group string) ([]int, error)
}

// Process is what to run.
type Process struct {
	Path string   // executable
	Args []string // including the name of the program, argument 0
	Env  []string

	UID, GID   uint32
	CloneFlags uintptr // namespaces of its own, such as [unix.CLONE_NEWNS]

	// Terminal is the path of the terminal that the process controls and that is
	// its input and output; its errors go to the log. Empty: it has none.
	Terminal string

	Group       string // control group; empty means that of the parent
	OOMScoreAdj int    // applied as far as the system permits
	StopTimeout time.Duration

	// KillGroup says that whatever is left in the control group when the
	// process has ended is killed. It is not set for containerd, whose
	// containers outlive it.
	KillGroup bool
}

// Runner is a [service.Runner] for a process.
type Runner struct {
	Process Process
	Starter Starter
	Groups  Groups // may be nil when Process.Group is empty
}

// Run implements [service.Runner].
func (r *Runner) Run(ctx context.Context, log io.Writer, started func(service.Started)) error {
	name := r.Process.Args[0]

	output, input, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("making pipe for %s: %w", name, err)
	}
	defer output.Close()

	cmd := r.command(input)

	terminal, err := r.attach(cmd)
	if err != nil {
		return fmt.Errorf("starting %s: %w", name, errors.Join(err, input.Close()))
	}

	err = r.start(cmd, input)
	terminal.Close() //nolint:errcheck // the process has it; there may be none

	if err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}

	copied := make(chan struct{})

	go func() {
		defer close(copied)

		_, _ = io.Copy(log, output)
	}()

	started(service.Started{
		PID:     cmd.Process.Pid,
		Message: fmt.Sprintf("Process %s started with PID %d", name, cmd.Process.Pid),
	})

	err = r.await(ctx, cmd)

	// Grandchildren may keep the pipe open; what the process itself wrote is
	// in the pipe by now.
	_ = output.SetReadDeadline(time.Now().Add(100 * time.Millisecond))

	<-copied

	if err != nil {
		return fmt.Errorf("running %s: %w", name, err)
	}

	return nil
}

func (r *Runner) command(output *os.File) *exec.Cmd {
	return &exec.Cmd{
		Path:   r.Process.Path,
		Args:   r.Process.Args,
		Env:    r.Process.Env,
		Dir:    "/",
		Stdout: output,
		Stderr: output,
		SysProcAttr: &syscall.SysProcAttr{
			Setsid:     true,
			Cloneflags: r.Process.CloneFlags,
			Credential: &syscall.Credential{Uid: r.Process.UID, Gid: r.Process.GID},
		},
	}
}

// attach gives the command its terminal, and returns it: nil when it has none.
func (r *Runner) attach(cmd *exec.Cmd) (*os.File, error) {
	if r.Process.Terminal == "" {
		return nil, nil
	}

	terminal, err := os.OpenFile(r.Process.Terminal, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, fmt.Errorf("opening terminal: %w", err)
	}

	cmd.Stdin, cmd.Stdout = terminal, terminal
	cmd.SysProcAttr.Setctty = true // the first of its files

	return terminal, nil
}

// start starts the command in its control group. The parent's end of the
// output pipe is closed in any case.
//
// The process enters the group right after its start: it has had no time to
// start children, and version 1 knows no other way.
func (r *Runner) start(cmd *exec.Cmd, input *os.File) error {
	err := r.Starter.Start(cmd)
	if err := errors.Join(err, input.Close()); err != nil {
		return err
	}

	pid := cmd.Process.Pid

	if r.Process.Group != "" {
		err = r.Groups.Add(r.Process.Group, pid)
	}

	if err == nil && r.Process.OOMScoreAdj != 0 {
		err = setOOMScore(pid, r.Process.OOMScoreAdj)
	}

	if err != nil {
		_ = cmd.Process.Kill()

		return errors.Join(err, ignoreExit(r.Starter.Wait(cmd)))
	}

	return nil
}

// setOOMScore writes the score of a process. Without CAP_SYS_RESOURCE the
// score cannot be lowered; then it stays as it is. A process that is gone
// already is reported by its exit.
func setOOMScore(pid, score int) error {
	err := os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid), []byte(strconv.Itoa(score)), 0)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return nil
	}

	return err
}

// await waits for the end of the process; when ctx ends it ends the process
// first, which is no error.
func (r *Runner) await(ctx context.Context, cmd *exec.Cmd) error {
	ended := make(chan error, 1)

	go func() { ended <- r.Starter.Wait(cmd) }()

	var err error

	select {
	case err = <-ended:
		if err == nil {
			err = errors.New("process ended with status 0")
		}
	case <-ctx.Done():
		timeout := r.Process.StopTimeout
		if timeout == 0 {
			timeout = DefaultStopTimeout
		}

		_ = cmd.Process.Signal(syscall.SIGTERM)

		kill := time.AfterFunc(timeout, func() { _ = cmd.Process.Kill() })
		err = ignoreExit(<-ended)

		kill.Stop()
	}

	if r.Process.KillGroup {
		r.killGroup()
	}

	return err
}

// killGroup kills what is left in the control group. A process that escapes
// by forking right now is found in the next turn.
func (r *Runner) killGroup() {
	for range 10 {
		pids, err := r.Groups.Processes(r.Process.Group)
		if err != nil || len(pids) == 0 {
			return
		}

		for _, pid := range pids {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// ignoreExit drops the report that a process was ended by a signal or with a
// status.
func ignoreExit(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil
	}

	return err
}
