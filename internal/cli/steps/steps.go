// Package steps shows a person how a command that takes a while gets on: one
// line per step, with the time that it took. On a terminal the line of the
// running step moves; elsewhere each line is written once, when it is final.
package steps

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// frames is the spinner, one frame per tick.
const (
	frames = `|/-\`
	tick   = 120 * time.Millisecond
)

// Printer prints steps, one at a time. It belongs to one goroutine.
type Printer struct {
	out  io.Writer
	live bool // a terminal: lines may be overwritten
	done []Result
}

// Result is a step that has ended.
type Result struct {
	Name  string
	Took  time.Duration
	Error error
}

// New returns a printer that writes to out.
func New(out io.Writer) *Printer {
	file, ok := out.(*os.File)

	return &Printer{out: out, live: ok && term.IsTerminal(int(file.Fd()))}
}

// Results returns the steps that have ended.
func (p *Printer) Results() []Result { return p.done }

// Do runs a function as a step.
func (p *Printer) Do(name string, run func(step *Step) error) error {
	step := p.Begin(name)
	err := run(step)
	step.End(err)

	return err
}

// Step is a step that is running. Detail may be called from any goroutine.
type Step struct {
	printer *Printer
	name    string
	begin   time.Time
	stop    chan struct{}
	wg      sync.WaitGroup

	mu     sync.Mutex
	detail string
}

// Begin begins a step; the one before must have ended.
func (p *Printer) Begin(name string) *Step {
	step := &Step{printer: p, name: name, begin: time.Now(), stop: make(chan struct{})}

	if p.live {
		step.wg.Go(step.spin)
	}

	return step
}

// Detail says what the step is doing just now.
func (s *Step) Detail(detail string) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.detail = detail
}

// End ends the step and prints its line. It must be called once.
func (s *Step) End(err error) {
	close(s.stop)
	s.wg.Wait()

	result := Result{s.name, time.Since(s.begin), err}
	s.printer.done = append(s.printer.done, result)

	mark, clear := "ok", ""
	if err != nil {
		mark = "failed"
	}

	if s.printer.live {
		clear = "\r\x1b[K"
	}

	fmt.Fprintf(s.printer.out, "%s%-6s %-68s %6.1fs\n", clear, mark, s.name, result.Took.Seconds()) //nolint:errcheck // progress
}

// spin moves the line of the step until it ends.
func (s *Step) spin() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()

	for frame := 0; ; frame++ {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
		}

		s.mu.Lock()
		detail := s.detail
		s.mu.Unlock()

		const width = 60
		if len(detail) > width {
			detail = detail[:width-1] + "…"
		}

		fmt.Fprintf(s.printer.out, "\r\x1b[K%c      %-68s %6.1fs  %s", //nolint:errcheck // progress
			frames[frame%len(frames)], s.name, time.Since(s.begin).Seconds(), detail)
	}
}
