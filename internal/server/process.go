package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
)

// Processes lists the processes of the node. Those that end meanwhile are left
// out.
func (s machineService) Processes(ctx context.Context, _ *emptypb.Empty) (*machine.ProcessesResponse, error) {
	proc, err := s.proc()
	if err != nil {
		return nil, err
	}
	all, err := proc.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	reply := &machine.Process{}
	for _, process := range all {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		info, err := s.processInfo(process)
		if vanished(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("describing process %d: %w", process.PID, err)
		}
		reply.Processes = append(reply.Processes, info)
	}
	return &machine.ProcessesResponse{Messages: []*machine.Process{reply}}, nil
}

func vanished(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

func (s *Server) processInfo(process procfs.Proc) (*machine.ProcessInfo, error) {
	stat, err := process.Stat()
	if err != nil {
		return nil, err
	}
	arguments, err := process.CmdLine()
	if err != nil {
		return nil, err
	}
	info := &machine.ProcessInfo{
		Pid:            int32(stat.PID),
		Ppid:           int32(stat.PPID),
		State:          stat.State,
		Threads:        int32(stat.NumThreads),
		CpuTime:        stat.CPUTime(),
		VirtualMemory:  uint64(stat.VirtualMemory()),
		ResidentMemory: uint64(stat.ResidentMemory()),
		Command:        stat.Comm,
		Args:           strings.Join(arguments, " "),
		Label:          s.securityLabel(process.PID),
	}
	// Kernel threads have no executable, and a container's may be hidden.
	if executable, err := process.Executable(); err == nil {
		info.Executable = executable
	}
	return info, nil
}

// securityLabel is the label that the kernel's security module gave a process,
// or nothing where there is none.
func (s *Server) securityLabel(pid int) string {
	label, err := os.ReadFile(filepath.Join(s.Proc, strconv.Itoa(pid), "attr/current"))
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(label), "\x00\n")
}
