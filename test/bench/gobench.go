package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// benchmarked are the packages whose Go benchmarks are run.
func benchmarked() []string {
	return []string{"./internal/resource", "./internal/reconcile", "./internal/gateway"}
}

// goBenchmarks runs the Go benchmarks.
func goBenchmarks(ctx context.Context, o options) ([]Figure, error) {
	args := append([]string{"test", "-run", "^$", "-bench", ".", "-benchtime", o.benchtime.String()}, benchmarked()...)

	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = o.root
	cmd.Stderr = os.Stderr

	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running go test: %w\n%s", err, out)
	}

	return parseBenchmarks(string(out)), nil
}

// processors is the number of processors at the end of a benchmark's name.
var processors = regexp.MustCompile(`-\d+$`)

// parseBenchmarks reads the output of go test. Figures are named after package,
// benchmark and, but for the time of one operation, unit.
func parseBenchmarks(text string) []Figure {
	var (
		figures []Figure
		pkg     string
	)

	for line := range strings.Lines(text) {
		fields := strings.Fields(line)

		switch {
		case len(fields) == 2 && fields[0] == "pkg:":
			pkg = path.Base(fields[1])

			continue
		case len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark"):
			continue
		}

		name := pkg + " " + processors.ReplaceAllString(strings.TrimPrefix(fields[0], "Benchmark"), "")

		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				break
			}

			switch unit := fields[i+1]; unit {
			case "ns/op":
				figures = append(figures, Figure{Name: name, Unit: "µs", Value: value / 1000})
			case "B/op", "allocs/op": // not a matter of time; -benchmem shows them
			default:
				short := strings.TrimSuffix(unit, "-µs")
				if short != unit {
					unit = "µs"
				}

				figures = append(figures, Figure{Name: name + " " + short, Unit: unit, Value: value})
			}
		}
	}

	return figures
}
