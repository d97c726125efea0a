package vm

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Step is one step of a story.
type Step struct {
	Name string `json:"name"`
	// Wall and CPU are in seconds; CPU is what all machines took of this
	// machine's processors.
	Wall float64 `json:"wall"`
	CPU  float64 `json:"cpu"`
}

// Report is what is kept of a story: _out/vm/<test>/steps.json.
type Report struct {
	Test        string    `json:"test"`
	Began       time.Time `json:"began"`
	Accelerator string    `json:"accelerator"`
	Seed        uint64    `json:"seed"`
	Failed      bool      `json:"failed"`
	Steps       []Step    `json:"steps"`
}

// Step runs a step of the story and times it. It returns the wall time.
func (c *Cluster) Step(name string, run func()) time.Duration {
	c.t.Helper()

	begin, cpu := time.Now(), c.cpu()
	done := false

	defer func() {
		if !done {
			c.note(name+" (failed)", time.Since(begin), c.cpu()-cpu)
		}
	}()

	run()

	done = true
	wall := time.Since(begin)
	c.note(name, wall, c.cpu()-cpu)

	return wall
}

func (c *Cluster) note(name string, wall, cpu time.Duration) {
	c.t.Helper()
	c.report.Steps = append(c.report.Steps, Step{name, seconds(wall), seconds(cpu)})
	c.t.Logf("%-52s %7.1f s  %7.1f s of CPU", name, wall.Seconds(), cpu.Seconds())
}

// seconds are rounded: more digits mean nothing.
func seconds(d time.Duration) float64 { return float64(d.Round(100*time.Millisecond)) / 1e9 }

// finish prints the whole story and keeps it.
func (r *Report) finish(t *testing.T, dir string) {
	t.Helper()

	r.Failed = t.Failed()

	var (
		text      strings.Builder
		wall, cpu float64
	)

	for _, step := range r.Steps {
		fmt.Fprintf(&text, "%-52s %7.1f %9.1f\n", step.Name, step.Wall, step.CPU)
		wall += step.Wall
		cpu += step.CPU
	}

	t.Logf("%s, seed %d: seconds, and seconds of CPU\n%s%-52s %7.1f %9.1f", r.Accelerator, r.Seed, text.String(), "together", wall, cpu)

	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Error(err)

		return
	}

	if err := os.WriteFile(filepath.Join(dir, "steps.json"), append(data, '\n'), 0o644); err != nil {
		t.Error(err)
	}
}
