package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Stats is what a group with its children has used.
type Stats struct {
	Memory     uint64 // bytes, page cache that can be dropped at once not counted
	CPU        time.Duration
	Pids       uint64
	OOMKills   uint64
	MemoryPeak uint64 // bytes
}

// Stats measures a group. What the system does not account is zero.
func (t *Tree) Stats(group string) (Stats, error) {
	files := unifiedFiles
	if !t.Unified() {
		files = legacyFiles
	}

	read := func(controller, file string) ([]byte, error) {
		dir := t.dir(controller, group)
		if dir == "" || file == "" {
			return nil, fs.ErrNotExist
		}

		return os.ReadFile(filepath.Join(dir, file))
	}

	value := func(controller, file string, errs *error) uint64 {
		data, err := read(controller, file)
		if errors.Is(err, fs.ErrNotExist) {
			return 0
		}

		number, parseErr := ParseValue(data)
		*errs = errors.Join(*errs, err, parseErr)

		return number
	}

	keyed := func(controller, file, key string, errs *error) uint64 {
		data, err := read(controller, file)
		if errors.Is(err, fs.ErrNotExist) {
			return 0
		}

		values, parseErr := ParseKeyed(data)
		*errs = errors.Join(*errs, err, parseErr)

		return values[key]
	}

	var err error

	stats := Stats{
		Memory:     value("memory", files.memory, &err),
		MemoryPeak: value("memory", files.peak, &err),
		Pids:       value("pids", "pids.current", &err),
		OOMKills:   keyed("memory", files.oom, "oom_kill", &err),
	}

	if inactive := keyed("memory", "memory.stat", files.inactive, &err); inactive <= stats.Memory {
		stats.Memory -= inactive
	}

	if t.Unified() {
		stats.CPU = time.Duration(keyed("cpu", "cpu.stat", "usage_usec", &err)) * time.Microsecond
	} else {
		stats.CPU = time.Duration(value("cpuacct", "cpuacct.usage", &err))
	}

	if err != nil {
		return Stats{}, fmt.Errorf("measuring control group %q: %w", group, err)
	}

	return stats, nil
}

// statFiles are the names that differ between the layouts.
type statFiles struct {
	memory, peak, oom string
	inactive          string // key of memory.stat
}

var (
	unifiedFiles = statFiles{"memory.current", "memory.peak", "memory.events", "inactive_file"}
	legacyFiles  = statFiles{"memory.usage_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control", "total_inactive_file"}
)
