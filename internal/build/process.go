package build

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// complaint is the end of what a compiler said, enough to see what is wrong.
const complaint = 4 << 10

// grace is how long an interrupted compiler has to go by itself.
const grace = 5 * time.Second

// compilerError is a compiler that ended with an error.
type compilerError struct {
	program string
	output  string
	err     error
}

func (e *compilerError) Error() string {
	return fmt.Sprintf("%s: %v\n%s", e.program, e.err, e.output)
}

func (e *compilerError) Unwrap() error { return e.err }

// runCompiler runs a program in dir; advance is called for every package that
// it reports. When ctx ends, the program and those that it started are told to
// stop.
func runCompiler(ctx context.Context, dir string, env []string, advance func(), name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.Env = env
	// A group of its own: Ctrl-C reaches it once, through Cancel.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = grace

	reader, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer

	said := make(chan string, 1)

	go func() { said <- readOutput(reader, advance) }()

	err := cmd.Run()
	writer.Close()

	output := <-said

	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		// Children that ignored the signal go with the group.
		if cmd.Process != nil {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		}

		return ctx.Err()
	default:
		return &compilerError{program: name, output: output, err: err}
	}
}

// readOutput counts package lines and keeps the end of everything else.
func readOutput(r io.Reader, advance func()) string {
	var kept bytes.Buffer

	lines := bufio.NewReader(r)

	for {
		line, err := lines.ReadBytes('\n')

		switch {
		case packageLine(bytes.TrimSpace(line)):
			advance()
		case !bytes.HasPrefix(line, []byte("go: downloading ")):
			kept.Write(line)
		}

		if err != nil {
			break
		}
	}

	text := strings.TrimSpace(kept.String())
	if len(text) > complaint {
		text = "..." + text[len(text)-complaint:]
	}

	return text
}

// packageLine tells a line of go build -v, which names a compiled package, from
// a complaint.
func packageLine(line []byte) bool {
	return len(line) > 0 && !bytes.ContainsAny(line, " \t:#")
}

// killed says that a process was ended by SIGKILL, which nobody but the kernel
// sends to a compiler.
func killed(err error) bool {
	var exit *exec.ExitError

	if !errors.As(err, &exit) {
		return false
	}

	status, ok := exit.Sys().(syscall.WaitStatus)

	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
