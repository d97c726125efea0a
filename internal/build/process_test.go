package build

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestReadOutput(t *testing.T) {
	packages := 0
	got := readOutput(strings.NewReader("go: downloading github.com/a/b v1.0.0\nruntime\ngithub.com/a/b\n# github.com/a/b\n./x.go:1:2: undefined: y\n"), func() { packages++ })

	if want := "# github.com/a/b\n./x.go:1:2: undefined: y"; got != want || packages != 2 {
		t.Errorf("%d packages and %q, want 2 and %q", packages, got, want)
	}

	long := readOutput(strings.NewReader(strings.Repeat("a line of it\n", 1000)+"the end: x\n"), func() {})
	if len(long) > complaint+10 || !strings.HasSuffix(long, "the end: x") {
		t.Errorf("kept %d bytes, at the end %q", len(long), long[len(long)-20:])
	}
}

// TestInterrupt starts a program that starts another, as go starts compilers,
// and ends both.
func TestInterrupt(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)

	go func() {
		done <- runCompiler(ctx, "/", os.Environ(), func() {}, "sh", "-c", "sleep 60 & echo $! > "+pipe+"; wait")
	}()

	child := readPID(t, pipe)

	cancel()

	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}

	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(child, 0) == nil && !zombie(child); {
		if time.Now().After(deadline) {
			t.Fatalf("process %d still runs", child)
		}
	}
}

func readPID(t *testing.T, pipe string) int {
	t.Helper()

	file, err := os.Open(pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	line, err := bufio.NewReader(file).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}

	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}

	return pid
}

// zombie says that a process has ended and nobody has asked for its status.
func zombie(pid int) bool {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")

	return err == nil && strings.Contains(string(data), ") Z ")
}

func TestCompilerError(t *testing.T) {
	err := runCompiler(t.Context(), "/", os.Environ(), func() {}, "sh", "-c", "echo undefined: x >&2; exit 2")

	var failed *compilerError
	if !errors.As(err, &failed) || failed.output != "undefined: x" {
		t.Errorf("error %v", err)
	}
}
