package oom

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Machine is the machine whose memory is watched. Its fields are set before its
// use.
type Machine struct {
	Proc   string // where the process file system is mounted
	Cgroup string // where the unified tree of control groups is mounted
}

// spared is the control group that never ends: that of the first process.
const spared = "init"

// classGroups are the control groups that are all of a class, below the root.
func classGroups() map[Class]string {
	return map[Class]string{
		Besteffort: "kubepods/besteffort", Burstable: "kubepods/burstable", Guaranteed: "kubepods",
		Podruntime: "podruntime", System: "system",
	}
}

// Sample reads the pressure on memory: of the machine, and unless that is calm,
// of the classes. A kernel that does not measure it is always calm.
func (m Machine) Sample(now time.Time) (Sample, error) {
	s := Sample{Time: now, Classes: map[Class]Pressure{}}

	var err error

	s.Machine, err = readPressure(filepath.Join(m.Proc, "pressure/memory"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}

	if err != nil || s.Calm() {
		return s, err
	}

	for class, group := range classGroups() {
		p, err := readPressure(filepath.Join(m.Cgroup, group, "memory.pressure"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s, err
		}

		s.Classes[class] = p
	}

	return s, nil
}

func readPressure(file string) (Pressure, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Pressure{}, fmt.Errorf("reading the pressure on memory: %w", err)
	}

	return ParsePressure(string(text))
}

// Groups are the control groups at the end of the tree that have processes,
// without that of the first process.
func (m Machine) Groups() ([]Group, error) {
	var groups []Group

	err := filepath.WalkDir(m.Cgroup, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist): // it has gone meanwhile
			return nil
		case err != nil || !entry.IsDir():
			return err
		}

		name, err := filepath.Rel(m.Cgroup, path)
		if err != nil {
			return err
		}

		if name == spared {
			return fs.SkipDir
		}

		processes, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil || len(processes) == 0 || name == "." {
			return nil //nolint:nilerr // it has gone, or has nobody
		}

		groups = append(groups, Group{
			Path: name, Current: readNumber(path, "memory.current"), Peak: readNumber(path, "memory.peak"),
			Max: readNumber(path, "memory.max"),
		})

		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking at the control groups: %w", err)
	}

	return groups, nil
}

// readNumber reads a number of a control group; nil when there is none, or when
// it is "max".
func readNumber(folder, file string) *uint64 {
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		return nil
	}

	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return nil
	}

	return &n
}

// Kill ends all processes of a control group at once, and returns what they
// were.
func (m Machine) Kill(group Group) ([]string, error) {
	folder := filepath.Join(m.Cgroup, group.Path)

	text, err := os.ReadFile(filepath.Join(folder, "cgroup.procs"))
	if err != nil {
		return nil, fmt.Errorf("ending control group %s: %w", group.Path, err)
	}

	var processes []string

	for pid := range strings.FieldsSeq(string(text)) {
		name, err := os.ReadFile(filepath.Join(m.Proc, pid, "comm"))
		if err == nil {
			processes = append(processes, fmt.Sprintf("%s (%s)", strings.TrimSpace(string(name)), pid))
		}
	}

	file, err := os.OpenFile(filepath.Join(folder, "cgroup.kill"), os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("ending control group %s: %w", group.Path, err)
	}

	_, err = file.WriteString("1")

	return processes, errors.Join(err, file.Close())
}
