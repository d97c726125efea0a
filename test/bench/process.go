package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/cgroup"
)

// tick is the unit of processor time in /proc.
const tick = time.Second / 100

// program is what all processes of one program use.
type program struct {
	memory    uint64 // resident, in bytes; pages that processes share count in each
	private   uint64 // of it, what no other process shares
	processor time.Duration
}

// usage is what a node uses at a moment.
type usage struct {
	at           time.Time
	programs     map[string]program
	proportional uint64        // memory in bytes; pages that processes share count once
	processor    time.Duration // since the node's start, of processes that have ended too
}

// measure looks at the processes in a control group and those below it.
func measure(tree *cgroup.Tree, group string) (usage, error) {
	pids, err := tree.ProcessesBelow(group)
	if err != nil {
		return usage{}, fmt.Errorf("listing the processes of %s: %w", group, err)
	}

	stats, err := tree.Stats(group)
	if err != nil {
		return usage{}, err
	}

	u := usage{at: time.Now(), programs: map[string]program{}, processor: stats.CPU}

	for _, pid := range pids {
		err := u.add(pid)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // it has ended meanwhile
		} else if err != nil {
			return usage{}, fmt.Errorf("measuring process %d: %w", pid, err)
		}
	}

	return u, nil
}

func (u *usage) add(pid int) error {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return err
	}

	arguments, err := process.CmdLine()
	if err != nil || len(arguments) == 0 {
		return err
	}

	stat, err := process.Stat()
	if err != nil {
		return err
	}

	memory, err := process.ProcSMapsRollup()
	if err != nil {
		return err
	}

	name := programName(arguments[0])
	p := u.programs[name]
	p.memory += memory.Rss
	p.private += memory.PrivateClean + memory.PrivateDirty
	p.processor += time.Duration(stat.UTime+stat.STime) * tick
	u.programs[name] = p
	u.proportional += memory.Pss

	return nil
}

// programName is what a program is called in the table.
func programName(argument string) string {
	name, _, _ := strings.Cut(path.Base(argument), " ")

	switch name {
	case "init":
		return "machined"
	case "containerd-shim-runc-v2":
		return "containerd's shims"
	default:
		return name
	}
}
