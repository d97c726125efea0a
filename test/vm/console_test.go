package vm

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

func TestConsole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.log")
	c := &Console{path: path}
	stop, ended := make(chan struct{}), make(chan struct{})

	go func() {
		defer close(ended)
		c.follow(stop)
	}()

	write := func(text string) {
		file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()

		if _, err := file.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}

	await := func(pattern string, fatal *regexp.Regexp, limit time.Duration) []string {
		t.Helper()

		match, err := c.await(nil, regexp.MustCompile(pattern), fatal, limit)
		if err != nil {
			t.Fatal(err)
		}

		return match
	}

	const limit = time.Minute

	write("\x1b[2J\x1b[01;01HBdsDxe: starting\r\nLinux ver")
	await(`^BdsDxe: starting$`, nil, limit)
	write("sion 6.12\nsecond\n")

	if got := await(`Linux version (\S+)`, nil, limit); got[1] != "6.12" {
		t.Errorf("got %q", got)
	}

	// The log is moved aside, with a line that was not read yet.
	write("third\n")

	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}

	write("fourth\n")
	await(`^third$`, nil, limit)
	await(`^fourth$`, nil, limit)

	// What was passed is not found again.
	var late errNotSaid
	if _, err := c.await(nil, regexp.MustCompile(`second`), nil, 2*pollInterval); !errors.As(err, &late) {
		t.Errorf("an old line: %v", err)
	}

	write("Kernel panic - not syncing: no root\n")

	if _, err := c.await(nil, regexp.MustCompile(`never`), panicked, limit); err == nil || errors.As(err, &late) {
		t.Errorf("a panic: %v", err)
	}

	done := make(chan struct{})
	close(done)

	if _, err := c.await(done, regexp.MustCompile(`never`), nil, limit); err == nil {
		t.Error("the end of the test did not end the wait")
	}

	write("without an end")
	close(stop)
	<-ended

	if got := c.Tail(2); got != "fourth\nKernel panic - not syncing: no root" {
		t.Errorf("the end is %q", got)
	}
}
