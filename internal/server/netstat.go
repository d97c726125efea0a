package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/api/machine"
)

// Netstat lists sockets of the host's network namespace and of the network
// namespaces of pods.
func (s machineService) Netstat(ctx context.Context, request *machine.NetstatRequest) (*machine.NetstatResponse, error) {
	namespaces, err := s.netNamespaces(request.GetNetns())
	if err != nil {
		return nil, fmt.Errorf("listing sockets: %w", err)
	}
	var owners map[uint64]*machine.ConnectRecord_Process
	if request.GetFeature().GetPid() {
		owners, err = s.socketOwners(ctx)
		if err != nil {
			return nil, fmt.Errorf("finding the processes of sockets: %w", err)
		}
	}
	reply := &machine.Netstat{}
	for _, namespace := range namespaces {
		records, err := s.sockets(ctx, namespace, request.GetL4Proto())
		if err != nil {
			return nil, fmt.Errorf("listing sockets of network namespace %q: %w", namespace.name, err)
		}
		for _, record := range records {
			if !matches(record, request.GetFilter()) {
				continue
			}
			record.Netns = namespace.name
			record.Process = owners[record.GetInode()]
			reply.Connectrecord = append(reply.Connectrecord, record)
		}
	}
	return &machine.NetstatResponse{Messages: []*machine.Netstat{reply}}, nil
}

// matches says whether a socket passes the filter. UDP and raw sockets do not
// listen; the kernel shows unconnected ones in state CLOSE, and those are what
// receives datagrams from anybody.
func matches(record *machine.ConnectRecord, filter machine.NetstatRequest_Filter) bool {
	tcp := strings.HasPrefix(record.GetL4Proto(), "tcp")
	listening := record.GetState() == machine.ConnectRecord_LISTEN || !tcp && record.GetState() == machine.ConnectRecord_CLOSE
	switch filter {
	case machine.NetstatRequest_LISTENING:
		return listening
	case machine.NetstatRequest_CONNECTED:
		return !listening
	default:
		return true
	}
}

// netNamespace is a network namespace and a process that lives in it.
type netNamespace struct {
	name string // empty for the host's
	pid  string // as a folder of the process filesystem
}

// netNamespaces finds the namespaces that a request asks for; nothing asked
// for means the host's. Named ones are those that are mounted below /run/netns.
func (s *Server) netNamespaces(request *machine.NetstatRequest_NetNS) ([]netNamespace, error) {
	var found []netNamespace
	if request.GetHostnetwork() || request.GetAllnetns() || len(request.GetNetns()) == 0 {
		found = append(found, netNamespace{pid: "self"})
	}
	folder := s.path("/run/netns")
	names := request.GetNetns()
	if request.GetAllnetns() {
		entries, err := os.ReadDir(folder)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("listing network namespaces: %w", err)
		}
		names = nil
		for _, entry := range entries {
			names = append(names, entry.Name())
		}
	}
	if len(names) == 0 {
		return found, nil
	}
	inhabitants, err := s.inhabitants()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if name != filepath.Base(name) {
			return nil, fmt.Errorf("network namespace %q is not a name: %w", name, ErrInvalid)
		}
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			if request.GetAllnetns() && errors.Is(err, fs.ErrNotExist) {
				continue
			}
			return nil, fmt.Errorf("finding network namespace %q: %w", name, err)
		}
		// A namespace without a process has no sockets.
		if pid, ok := inhabitants[inode(info)]; ok {
			found = append(found, netNamespace{name: name, pid: pid})
		}
	}
	return found, nil
}

// inhabitants maps network namespaces to a process in each.
func (s *Server) inhabitants() (map[uint64]string, error) {
	pids, err := s.pids()
	if err != nil {
		return nil, err
	}
	found := map[uint64]string{}
	for _, pid := range pids {
		info, err := os.Stat(filepath.Join(s.Proc, pid, "ns/net"))
		if err != nil {
			continue
		}
		if _, known := found[inode(info)]; !known {
			found[inode(info)] = pid
		}
	}
	return found, nil
}

// pids lists the folders of processes.
func (s *Server) pids() ([]string, error) {
	entries, err := os.ReadDir(s.Proc)
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	var pids []string
	for _, entry := range entries {
		if _, err := strconv.ParseUint(entry.Name(), 10, 32); err == nil {
			pids = append(pids, entry.Name())
		}
	}
	return pids, nil
}

// socketOwners maps inodes of sockets to processes that hold them.
func (s *Server) socketOwners(ctx context.Context) (map[uint64]*machine.ConnectRecord_Process, error) {
	pids, err := s.pids()
	if err != nil {
		return nil, err
	}
	owners := map[uint64]*machine.ConnectRecord_Process{}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		sockets := s.socketsOf(pid)
		if len(sockets) == 0 {
			continue
		}
		number, err := strconv.ParseUint(pid, 10, 32)
		if err != nil {
			return nil, err
		}
		name, err := os.ReadFile(filepath.Join(s.Proc, pid, "comm"))
		if err != nil {
			continue
		}
		process := &machine.ConnectRecord_Process{Pid: uint32(number), Name: strings.TrimSpace(string(name))}
		for _, socket := range sockets {
			owners[socket] = process
		}
	}
	return owners, nil
}

// socketsOf lists the inodes of the sockets that a process holds; none when
// the process is gone.
func (s *Server) socketsOf(pid string) []uint64 {
	folder := filepath.Join(s.Proc, pid, "fd")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var sockets []uint64
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(folder, entry.Name()))
		if err != nil {
			continue
		}
		text, ok := strings.CutPrefix(target, "socket:[")
		if !ok {
			continue
		}
		if socket, err := strconv.ParseUint(strings.TrimSuffix(text, "]"), 10, 64); err == nil {
			sockets = append(sockets, socket)
		}
	}
	return sockets
}

// sockets reads the kernel's socket tables of a namespace.
func (s *Server) sockets(ctx context.Context, namespace netNamespace, protocols *machine.NetstatRequest_L4Proto) ([]*machine.ConnectRecord, error) {
	var records []*machine.ConnectRecord
	for _, protocol := range socketTables(protocols) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		file, err := os.Open(filepath.Join(s.Proc, namespace.pid, "net", protocol))
		if errors.Is(err, fs.ErrNotExist) {
			// The process has ended, or the kernel lacks the protocol.
			continue
		}
		if err != nil {
			return nil, err
		}
		table, err := parseSockets(file, protocol)
		if err := errors.Join(err, file.Close()); err != nil {
			return nil, err
		}
		records = append(records, table...)
	}
	return records, nil
}

// socketTables are the tables of the protocols that a request asks for;
// nothing asked for means all.
func socketTables(protocols *machine.NetstatRequest_L4Proto) []string {
	tables := []struct {
		name   string
		wanted bool
	}{
		{"tcp", protocols.GetTcp()},
		{"tcp6", protocols.GetTcp6()},
		{"udp", protocols.GetUdp()},
		{"udp6", protocols.GetUdp6()},
		{"udplite", protocols.GetUdplite()},
		{"udplite6", protocols.GetUdplite6()},
		{"raw", protocols.GetRaw()},
		{"raw6", protocols.GetRaw6()},
	}
	var all, wanted []string
	for _, table := range tables {
		all = append(all, table.name)
		if table.wanted {
			wanted = append(wanted, table.name)
		}
	}
	if len(wanted) == 0 {
		return all
	}
	return slices.Clip(wanted)
}
