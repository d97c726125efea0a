// Package progress shows how a build goes: one line that changes on a terminal,
// one line per event elsewhere.
package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// redraw is how often the terminal's line is brought up to date.
const redraw = 200 * time.Millisecond

// Display shows steps. It is safe for concurrent use.
type Display struct {
	out  io.Writer
	live bool

	mu    sync.Mutex
	steps []*Step // running, oldest first
}

// New returns a display on out; it is live when out is a terminal.
func New(out io.Writer) *Display {
	file, ok := out.(*os.File)

	return &Display{out: out, live: ok && term.IsTerminal(int(file.Fd()))}
}

// Step is something that takes time.
type Step struct {
	display *Display
	name    string
	start   time.Time
	last    time.Duration // how long it took last time, 0 when unknown
	units   int           // things done so far
	total   int           // things done last time, 0 when unknown
	stop    chan struct{}
	stopped sync.WaitGroup
}

// Start shows that a step begins. last and total are what it took last time, or
// zero.
func (d *Display) Start(name string, last time.Duration, total int) *Step {
	s := &Step{display: d, name: name, start: time.Now(), last: last, total: total, stop: make(chan struct{})}

	d.mu.Lock()
	d.steps = append(d.steps, s)
	d.mu.Unlock()

	if !d.live {
		if last > 0 {
			fmt.Fprintf(d.out, "%s (last time %s)\n", name, round(last))
		} else {
			fmt.Fprintln(d.out, name)
		}

		return s
	}

	s.stopped.Go(func() {
		ticks := time.NewTicker(redraw)
		defer ticks.Stop()

		for {
			d.draw()

			select {
			case <-s.stop:
				return
			case <-ticks.C:
			}
		}
	})

	return s
}

// Advance counts one more thing done.
func (s *Step) Advance() {
	s.display.mu.Lock()
	s.units++
	s.display.mu.Unlock()
}

// Units is how many things were done.
func (s *Step) Units() int {
	s.display.mu.Lock()
	defer s.display.mu.Unlock()

	return s.units
}

// Done ends the step and returns how long it took.
func (s *Step) Done(err error) time.Duration {
	close(s.stop)
	s.stopped.Wait()

	d := s.display
	took := time.Since(s.start)

	d.mu.Lock()
	defer d.mu.Unlock()

	for i := range d.steps {
		if d.steps[i] == s {
			d.steps = append(d.steps[:i], d.steps[i+1:]...)

			break
		}
	}

	d.clear()

	if err == nil {
		fmt.Fprintf(d.out, "%s: done in %s\n", s.name, round(took))
	}

	return took
}

// Printf shows a line of its own.
func (d *Display) Printf(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()

	d.clear()
	fmt.Fprintf(d.out, format+"\n", args...)
}

func (d *Display) clear() {
	if d.live {
		fmt.Fprint(d.out, "\r\x1b[K")
	}
}

// draw shows the oldest running step, and how many others run.
func (d *Display) draw() {
	d.mu.Lock()
	defer d.mu.Unlock()

	if len(d.steps) == 0 {
		return
	}

	d.clear()
	fmt.Fprint(d.out, d.steps[0].line(time.Now()))

	if others := len(d.steps) - 1; others > 0 {
		fmt.Fprintf(d.out, ", and %d more", others)
	}
}

func (s *Step) line(now time.Time) string {
	line := fmt.Sprintf("%s: %s", s.name, round(now.Sub(s.start)))

	if s.last > 0 {
		line += " of about " + round(s.last).String()
	}

	switch {
	case s.units > 0 && s.total > s.units:
		line += fmt.Sprintf(", %d of %d packages", s.units, s.total)
	case s.units > 0:
		line += fmt.Sprintf(", %d packages", s.units)
	}

	return line
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}

	return d.Round(time.Second)
}
