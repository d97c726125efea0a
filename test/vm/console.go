package vm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"
	"time"
)

// pollInterval is the pause between two looks at something that cannot be
// watched.
const pollInterval = 100 * time.Millisecond

// askInterval is the pause between two questions to a machine, to which each is
// work: in emulation a call takes a tenth of a second of a processor.
const askInterval = time.Second

// Console is what a machine wrote to its serial console, from the beginning.
type Console struct {
	path string

	mu    sync.Mutex
	lines []string
	rest  []byte
	next  int // the first line that no Await has seen
}

// escapes are what firmware and boot loaders write to move on a screen.
var escapes = regexp.MustCompile(`\x1b\[[0-9;=?]*[a-zA-Z]|[\r\x00\x07]`)

// feed takes what comes.
func (c *Console) feed(data []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.rest = append(c.rest, data...)

	for {
		end := bytes.IndexByte(c.rest, '\n')
		if end < 0 {
			return
		}

		c.lines = append(c.lines, escapes.ReplaceAllString(string(c.rest[:end]), ""))
		c.rest = c.rest[end+1:]
	}
}

// follow reads the log of the console until stop is closed, and once more.
func (c *Console) follow(stop <-chan struct{}) {
	var file *os.File

	defer func() {
		if file != nil {
			file.Close()
		}
	}()

	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()

	for last := false; !last; {
		select {
		case <-stop:
			last = true
		case <-ticker.C:
		}

		file = c.read(file)
	}
}

// read reads what has come, also when the log was moved aside meanwhile, and
// returns the file to go on with.
func (c *Console) read(file *os.File) *os.File {
	if file != nil {
		c.drain(file)
	}

	next, err := os.Open(c.path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.feed([]byte("\nreading the console: " + err.Error() + "\n"))
		}

		return file
	}

	if file != nil {
		a, errA := file.Stat()
		b, errB := next.Stat()

		if errors.Join(errA, errB) != nil || os.SameFile(a, b) {
			next.Close()

			return file
		}

		c.drain(file)
		file.Close()
	}

	c.drain(next)

	return next
}

func (c *Console) drain(file *os.File) {
	data, err := io.ReadAll(file)
	c.feed(data)

	if err != nil {
		c.feed([]byte("\nreading the console: " + err.Error() + "\n"))
	}
}

// find looks for a pattern in the lines that no earlier find has passed.
func (c *Console) find(pattern *regexp.Regexp) []string {
	c.mu.Lock()
	defer c.mu.Unlock()

	for i := c.next; i < len(c.lines); i++ {
		if match := pattern.FindStringSubmatch(c.lines[i]); match != nil {
			c.next = i + 1

			return match
		}
	}

	return nil
}

// seen says whether a pattern stands in a line that no earlier find has passed,
// without passing any.
func (c *Console) seen(pattern *regexp.Regexp) string {
	c.mu.Lock()
	defer c.mu.Unlock()

	for _, line := range c.lines[c.next:] {
		if pattern.MatchString(line) {
			return line
		}
	}

	return ""
}

// Skip passes all that has come up to now.
func (c *Console) Skip() {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.next = len(c.lines)
}

// Tail are the last lines.
func (c *Console) Tail(count int) string {
	c.mu.Lock()
	defer c.mu.Unlock()

	return strings.Join(c.lines[max(0, len(c.lines)-count):], "\n")
}

// errNotSaid is returned for a pattern that has not come in time.
type errNotSaid struct {
	pattern *regexp.Regexp
	limit   time.Duration
}

func (e errNotSaid) Error() string {
	return fmt.Sprintf("the console did not say %q within %s", e.pattern, e.limit)
}

// await waits until the console says a pattern, after what was awaited before,
// and returns its submatches. A line that matches fatal ends the wait.
func (c *Console) await(done <-chan struct{}, pattern, fatal *regexp.Regexp, limit time.Duration) ([]string, error) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()

	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()

	for {
		if match := c.find(pattern); match != nil {
			return match, nil
		}

		if fatal != nil {
			if line := c.seen(fatal); line != "" {
				return nil, fmt.Errorf("waiting for the console to say %q, it said %q", pattern, line)
			}
		}

		select {
		case <-done:
			return nil, fmt.Errorf("waiting for the console to say %q: the test ends", pattern)
		case <-deadline.C:
			return nil, errNotSaid{pattern, limit}
		case <-ticker.C:
		}
	}
}
