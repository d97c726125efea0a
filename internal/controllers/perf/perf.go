// Package perf has the controllers that show how busy the machine is.
package perf

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/perf"
)

// interval is how often the numbers are read.
const interval = 30 * time.Second

// Controllers are all controllers of this package. Proc is where the kernel's
// process file system is mounted.
func Controllers(proc string) []reconcile.Controller {
	return []reconcile.Controller{CPU(proc), Memory(proc)}
}

// CPU shows the time that the processors have spent.
func CPU(proc string) reconcile.Controller {
	return derive.One("perf.CPUStatsController", perf.LatestID, nil,
		func(_ context.Context, rt *reconcile.Runtime, _ perf.CPU) (perf.CPU, error) {
			rt.RequeueAfter(interval)

			fs, err := procfs.NewFS(proc)
			if err != nil {
				return perf.CPU{}, fmt.Errorf("opening %s: %w", proc, err)
			}

			stat, err := fs.Stat()
			if err != nil {
				return perf.CPU{}, fmt.Errorf("reading the processors' statistics: %w", err)
			}

			return cpu(stat), nil
		})
}

func cpu(stat procfs.Stat) perf.CPU {
	one := func(s procfs.CPUStat) perf.CPUStat {
		return perf.CPUStat{
			User: s.User, Nice: s.Nice, System: s.System, Idle: s.Idle, Iowait: s.Iowait,
			Irq: s.IRQ, SoftIrq: s.SoftIRQ, Steal: s.Steal, Guest: s.Guest, GuestNice: s.GuestNice,
		}
	}

	out := perf.CPU{
		CPUTotal:        one(stat.CPUTotal),
		IRQTotal:        stat.IRQTotal,
		ContextSwitches: stat.ContextSwitches,
		ProcessCreated:  stat.ProcessCreated,
		ProcessRunning:  stat.ProcessesRunning,
		ProcessBlocked:  stat.ProcessesBlocked,
		SoftIrqTotal:    stat.SoftIRQTotal,
	}

	for _, n := range slices.Sorted(maps.Keys(stat.CPU)) {
		out.CPU = append(out.CPU, one(stat.CPU[n]))
	}

	return out
}

// Memory shows how the memory is used.
func Memory(proc string) reconcile.Controller {
	return derive.One("perf.MemoryStatsController", perf.LatestID, nil,
		func(_ context.Context, rt *reconcile.Runtime, _ perf.Memory) (perf.Memory, error) {
			rt.RequeueAfter(interval)

			file, err := os.Open(filepath.Join(proc, "meminfo"))
			if err != nil {
				return perf.Memory{}, fmt.Errorf("reading the memory's statistics: %w", err)
			}
			defer file.Close() //nolint:errcheck // read side only

			return parseMemory(file)
		})
}

// parseMemory reads the kernel's list of names and numbers. A field of the
// result has the number of the same name, leaving aside case and punctuation.
func parseMemory(in io.Reader) (perf.Memory, error) {
	var out perf.Memory

	fields := map[string]reflect.Value{}

	v := reflect.ValueOf(&out).Elem()
	for i := range v.NumField() {
		fields[strings.ToLower(v.Type().Field(i).Name)] = v.Field(i)
	}

	var free uint64

	plain := strings.NewReplacer("(", "", ")", "", "_", "")

	for lines := bufio.NewScanner(in); ; {
		if !lines.Scan() {
			if err := lines.Err(); err != nil {
				return out, fmt.Errorf("reading the memory's statistics: %w", err)
			}

			break
		}

		name, rest, ok := strings.Cut(lines.Text(), ":")
		number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")

		value, err := strconv.ParseUint(number, 10, 64)
		if !ok || err != nil {
			continue
		}

		if name == "MemFree" {
			free = value
		}

		if field, ok := fields[strings.ToLower(plain.Replace(name))]; ok {
			field.SetUint(value)
		}
	}

	if out.MemTotal >= free {
		out.MemUsed = out.MemTotal - free
	}

	return out, nil
}
