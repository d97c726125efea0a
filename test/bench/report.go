package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// Figure is one thing that was measured.
type Figure struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
}

// Machine is where it was measured.
type Machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	MemoryMiB  uint64 `json:"memoryMiB"`
	Kernel     string `json:"kernel"`
	Go         string `json:"go"`
}

// Report is all that one run has measured.
type Report struct {
	Machine Machine   `json:"machine"`
	Commit  string    `json:"commit"`
	Time    time.Time `json:"time"`
	Figures []Figure  `json:"figures"`
}

// describeMachine describes the machine that this runs on.
func describeMachine() (Machine, error) {
	var (
		uts  unix.Utsname
		info unix.Sysinfo_t
	)

	if err := errors.Join(unix.Uname(&uts), unix.Sysinfo(&info)); err != nil {
		return Machine{}, fmt.Errorf("describing the machine: %w", err)
	}

	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return Machine{}, err
	}

	processor := runtime.GOARCH

	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			processor = strings.TrimSpace(value)

			break
		}
	}

	return Machine{
		Processor:  processor,
		Processors: runtime.NumCPU(),
		MemoryMiB:  info.Totalram * uint64(info.Unit) >> 20,
		Kernel:     unix.ByteSliceToString(uts.Release[:]),
		Go:         runtime.Version(),
	}, nil
}

// commit names what is checked out; empty outside of a repository.
func commit(ctx context.Context, root string) string {
	cmd := exec.CommandContext(ctx, "git", "describe", "--always", "--dirty")
	cmd.Dir = root

	out, err := cmd.Output()
	if err != nil {
		return ""
	}

	return strings.TrimSpace(string(out))
}

// load reads an earlier report; nil when there is none.
func load(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}

	var report Report
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}

	return &report, nil
}

// save replaces the file; what was there is kept beside it as previous.json.
func (r *Report) save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}

	err = os.Rename(path, filepath.Join(filepath.Dir(path), "previous.json"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}

	return renameio.WriteFile(path, append(text, '\n'), 0o644)
}

// write prints the figures, beside those of an earlier report when there is
// one.
func (r *Report) write(out io.Writer, former *Report) error {
	m := r.Machine
	fmt.Fprintf(out, "%s\n%d × %s, %d MiB, Linux %s, %s\nat %s\n",
		r.Time.Format(time.DateTime), m.Processors, m.Processor, m.MemoryMiB, m.Kernel, m.Go, r.Commit)

	earlier := map[string]float64{}

	if former != nil {
		for _, figure := range former.Figures {
			earlier[figure.Name] = figure.Value
		}

		fmt.Fprintf(out, "compared with %s at %s\n", former.Time.Format(time.DateTime), former.Commit)

		if former.Machine != m {
			fmt.Fprintln(out, "which was measured on another machine, or with another kernel or compiler")
		}
	}

	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w)

	for _, figure := range r.Figures {
		before, change := "", ""

		if value, ok := earlier[figure.Name]; ok {
			before = number(value)

			if value != 0 {
				change = fmt.Sprintf("%+.0f %%", 100*(figure.Value/value-1))
			}
		}

		// The first column is a cell of its own to stand to the left.
		fmt.Fprintf(w, "%-62s\t%s\t %-8s\t%s\t%s\t\n", figure.Name, number(figure.Value), figure.Unit, before, change)
	}

	return w.Flush()
}

// number prints three digits that matter.
func number(value float64) string {
	digits := 0
	if value != 0 {
		digits = 2 - int(math.Floor(math.Log10(math.Abs(value))))
	}

	return fmt.Sprintf("%.*f", min(max(digits, 0), 3), value)
}
