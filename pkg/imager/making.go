package imager

import (
	"io"

	"github.com/basalt-os/basalt/internal/build/sbom"
)

// Monitor is told, by one goroutine, how the making of an output gets on.
type Monitor interface {
	// Step says that a step begins, and that the one before is done.
	Step(name string)
	// Advance says how many bytes of the step are done.
	Advance(done, total int64)
}

// making is what is noted while an output is made. Nil notes nothing.
type making struct {
	monitor Monitor        // may be nil
	parts   []sbom.Program // what went into it out of images of containers
}

// step begins a step.
func (m *making) step(name string) {
	if m != nil && m.monitor != nil {
		m.monitor.Step(name)
	}
}

// reader counts what is read of r as a part of the step.
func (m *making) reader(r io.Reader, total int64) io.Reader {
	if m == nil || m.monitor == nil {
		return r
	}

	return &counter{monitor: m.monitor, source: r, total: total}
}

// add notes a part.
func (m *making) add(part sbom.Program) {
	if m != nil {
		m.parts = append(m.parts, part)
	}
}

// counter tells a monitor what is read.
type counter struct {
	monitor     Monitor
	source      io.Reader
	done, total int64
}

// Read implements [io.Reader].
func (c *counter) Read(data []byte) (int, error) {
	n, err := c.source.Read(data)
	c.done += int64(n)
	c.monitor.Advance(c.done, c.total)

	return n, err
}
