package connect

import (
	"bytes"
	"io"
	"sync"
)

// Lines is an output that several nodes write to at once, line by line. Its
// writers may be used from different goroutines.
type Lines struct {
	mu   sync.Mutex
	out  io.Writer
	many bool
}

// NewLines returns an output for the nodes of a target. With several nodes,
// every line begins with the name of its node.
func NewLines(out io.Writer, t *Target) *Lines {
	return &Lines{out: out, many: len(t.Nodes) > 1}
}

// For returns the writer of one node. Close writes a last line that has not
// ended.
func (l *Lines) For(node string) io.WriteCloser {
	w := &lineWriter{lines: l}
	if l.many {
		w.prefix = []byte(node + ": ")
	}

	return w
}

type lineWriter struct {
	lines  *Lines
	prefix []byte
	rest   []byte
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)

	end := bytes.LastIndexByte(w.rest, '\n') + 1
	if end == 0 {
		return len(p), nil
	}

	if err := w.flush(w.rest[:end]); err != nil {
		return 0, err
	}

	w.rest = w.rest[end:]

	return len(p), nil
}

// Close implements io.Closer.
func (w *lineWriter) Close() error {
	if len(w.rest) == 0 {
		return nil
	}

	return w.flush(append(w.rest, '\n'))
}

func (w *lineWriter) flush(text []byte) error {
	if len(w.prefix) > 0 {
		var prefixed []byte
		for line := range bytes.Lines(text) {
			prefixed = append(append(prefixed, w.prefix...), line...)
		}

		text = prefixed
	}

	w.lines.mu.Lock()
	defer w.lines.mu.Unlock()

	_, err := w.lines.out.Write(text)

	return err
}
