package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/prometheus/procfs"

	"github.com/basalt-os/basalt/api/machine"
)

// blockSize is the unit of a file's block count, whatever the filesystem.
const blockSize = 512

// DiskUsage streams the space that paths take, each directory after what is in
// it.
func (s machineService) DiskUsage(request *machine.DiskUsageRequest, stream grpc.ServerStreamingServer[machine.DiskUsageInfo]) error {
	for _, requested := range request.GetPaths() {
		root, err := s.resolve(requested)
		if err != nil {
			return err
		}
		u := usage{
			root:      root,
			depth:     int(request.GetRecursionDepth()),
			all:       request.GetAll(),
			threshold: request.GetThreshold(),
			seen:      map[[2]uint64]bool{},
			send: func(info *machine.DiskUsageInfo) error {
				info.Name = s.outside(info.GetName())
				if err := stream.Send(info); err != nil {
					return fmt.Errorf("sending disk usage: %w", err)
				}
				return nil
			},
		}
		if _, err := u.measure(stream.Context(), root, 0); err != nil {
			return fmt.Errorf("measuring %s: %w", requested, err)
		}
	}
	return nil
}

// usage measures one tree.
type usage struct {
	root      string
	depth     int   // how many levels below the root are reported
	all       bool  // files are reported too
	threshold int64 // bytes; positive leaves smaller entries out, negative larger ones
	seen      map[[2]uint64]bool
	send      func(*machine.DiskUsageInfo) error
}

// measure returns the bytes that path and all below it take. What cannot be
// read is reported and counts nothing.
func (u *usage) measure(ctx context.Context, path string, depth int) (int64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && depth > 0 {
			return 0, nil
		}
		return 0, u.report(path, depth, 0, err)
	}
	size := u.ownSize(info)
	var failure error
	if info.IsDir() {
		entries, err := os.ReadDir(path)
		failure = err
		for _, entry := range entries {
			below, err := u.measure(ctx, filepath.Join(path, entry.Name()), depth+1)
			if err != nil {
				return 0, err
			}
			size += below
		}
	}
	if !info.IsDir() && !u.all && depth > 0 {
		return size, nil
	}
	return size, u.report(path, depth, size, failure)
}

// ownSize counts a file with several names once.
func (u *usage) ownSize(info fs.FileInfo) int64 {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size()
	}
	if stat.Nlink > 1 && !info.IsDir() {
		id := [2]uint64{stat.Dev, stat.Ino}
		if u.seen[id] {
			return 0
		}
		u.seen[id] = true
	}
	return stat.Blocks * blockSize
}

func (u *usage) report(path string, depth int, size int64, failure error) error {
	if u.depth >= 0 && depth > u.depth {
		return nil
	}
	if failure == nil && (u.threshold > 0 && size < u.threshold || u.threshold < 0 && size > -u.threshold) {
		return nil
	}
	relative, err := filepath.Rel(u.root, path)
	if err != nil {
		return err
	}
	info := &machine.DiskUsageInfo{Name: path, RelativeName: relative, Size: size}
	if failure != nil {
		info.Error = failure.Error()
	}
	return u.send(info)
}

// Mounts lists the mounts of the node with their size. A mount that does not
// say its size is listed with zeroes.
func (s machineService) Mounts(context.Context, *emptypb.Empty) (*machine.MountsResponse, error) {
	proc, err := procfs.NewFS(s.Proc)
	if err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	self, err := proc.Self()
	if err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	infos, err := self.MountInfo()
	if err != nil {
		return nil, fmt.Errorf("reading mounts: %w", err)
	}
	mounts := &machine.Mounts{}
	for _, info := range infos {
		stat := &machine.MountStat{Filesystem: info.Source, MountedOn: info.MountPoint}
		if space, err := statfs(s.path(info.MountPoint)); err == nil {
			stat.Size, stat.Available = space.size(), space.available()
		}
		mounts.Stats = append(mounts.Stats, stat)
	}
	return &machine.MountsResponse{Messages: []*machine.Mounts{mounts}}, nil
}

// Statfs returns the size and the use of the filesystem that a path is on.
func (s statfsService) Statfs(_ context.Context, request *machine.StorageServiceStatfsRequest) (*machine.StorageServiceStatfsResponse, error) {
	path, err := s.resolve(request.GetPath())
	if err != nil {
		return nil, err
	}
	space, err := statfs(path)
	if err != nil {
		return nil, fmt.Errorf("measuring filesystem of %s: %w", request.GetPath(), err)
	}
	return &machine.StorageServiceStatfsResponse{
		Size:       space.size(),
		Used:       (space.Blocks - space.Bfree) * space.unit(),
		Available:  space.available(),
		Inodes:     space.Files,
		InodesUsed: space.Files - space.Ffree,
		InodesFree: space.Ffree,
	}, nil
}

// space is the kernel's answer about a filesystem.
type space struct{ unix.Statfs_t }

func statfs(path string) (space, error) {
	var answer space
	for {
		err := unix.Statfs(path, &answer.Statfs_t)
		if !errors.Is(err, unix.EINTR) {
			return answer, err
		}
	}
}

// unit is the number of bytes in which the blocks are counted.
func (s space) unit() uint64 {
	if s.Frsize > 0 {
		return uint64(s.Frsize)
	}
	return uint64(s.Bsize)
}

func (s space) size() uint64      { return s.Blocks * s.unit() }
func (s space) available() uint64 { return s.Bavail * s.unit() }
