package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
)

// Read streams the content of a regular file. Files of the kernel's
// filesystems are regular files too; their size says nothing, so it is not
// relied on.
func (s machineService) Read(request *machine.ReadRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	path, err := s.resolve(request.GetPath())
	if err != nil {
		return err
	}
	if err := regularFile(path); err != nil {
		return fmt.Errorf("reading %s: %w", request.GetPath(), err)
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", request.GetPath(), err)
	}
	defer file.Close()
	if err := copyChunks(stream.Context(), chunkWriter{stream: stream}, file); err != nil {
		return fmt.Errorf("reading %s: %w", request.GetPath(), err)
	}
	return nil
}

// copyChunks copies until the end of the source or of the context.
func copyChunks(ctx context.Context, output io.Writer, input io.Reader) error {
	buffer := make([]byte, chunkSize)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := input.Read(buffer)
		if n > 0 {
			if _, err := output.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// Copy streams a gzipped tar archive of a file or a directory tree.
func (s machineService) Copy(request *machine.CopyRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	path, err := s.resolve(request.GetRootPath())
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err != nil {
		return fmt.Errorf("copying %s: %w", request.GetRootPath(), err)
	}
	if err := writeArchive(stream.Context(), chunkWriter{stream: stream}, path); err != nil {
		return fmt.Errorf("copying %s: %w", request.GetRootPath(), err)
	}
	return nil
}

// List streams the entries of a directory tree, the root first.
func (s machineService) List(request *machine.ListRequest, stream grpc.ServerStreamingServer[machine.FileInfo]) error {
	root := request.GetRoot()
	if root == "" {
		root = "/"
	}
	path, err := s.resolve(root)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err != nil {
		return fmt.Errorf("listing %s: %w", root, err)
	}
	depth := 1
	if request.GetRecurse() {
		depth = int(request.GetRecursionDepth())
		if depth <= 0 {
			depth = unlimited
		}
	}
	return walk(stream.Context(), path, depth, func(v visit) error {
		if v.info != nil && !wanted(v.info.Mode(), request.GetTypes()) && v.err == nil {
			return nil
		}
		if err := stream.Send(s.fileInfo(v, request.GetReportXattrs())); err != nil {
			return fmt.Errorf("sending file info: %w", err)
		}
		return nil
	})
}

// wanted says whether a file is of one of the types; no types mean all.
func wanted(mode fs.FileMode, types []machine.ListRequest_Type) bool {
	if len(types) == 0 {
		return true
	}
	switch {
	case mode.IsRegular():
		return slices.Contains(types, machine.ListRequest_REGULAR)
	case mode.IsDir():
		return slices.Contains(types, machine.ListRequest_DIRECTORY)
	case mode&fs.ModeSymlink != 0:
		return slices.Contains(types, machine.ListRequest_SYMLINK)
	default:
		return false
	}
}

func (s *Server) fileInfo(v visit, xattrs bool) *machine.FileInfo {
	info := &machine.FileInfo{Name: s.outside(v.path), RelativeName: v.relative}
	if v.err != nil {
		info.Error = v.err.Error()
	}
	if v.info == nil {
		return info
	}
	info.Size = v.info.Size()
	info.Mode = uint32(v.info.Mode())
	info.Modified = v.info.ModTime().Unix()
	info.IsDir = v.info.IsDir()
	if owner, ok := v.info.Sys().(*syscall.Stat_t); ok {
		info.Uid, info.Gid = owner.Uid, owner.Gid
	}
	var errs []error
	if v.info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(v.path)
		info.Link = target
		errs = append(errs, err)
	}
	if xattrs {
		attributes, err := readXattrs(v.path)
		info.Xattrs = attributes
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil && info.GetError() == "" {
		info.Error = err.Error()
	}
	return info
}

// outside is the path as callers know it, without the root.
func (s *Server) outside(path string) string {
	if s.Root == "/" {
		return path
	}
	if path == s.Root {
		return "/"
	}
	return path[len(s.Root):]
}

func readXattrs(path string) ([]*machine.Xattr, error) {
	names, err := growing(func(buffer []byte) (int, error) { return unix.Llistxattr(path, buffer) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing extended attributes: %w", err)
	}
	var attributes []*machine.Xattr
	for _, name := range zeroTerminated(names) {
		data, err := growing(func(buffer []byte) (int, error) { return unix.Lgetxattr(path, name, buffer) })
		if err != nil {
			return attributes, fmt.Errorf("reading extended attribute %s: %w", name, err)
		}
		attributes = append(attributes, &machine.Xattr{Name: name, Data: data})
	}
	return attributes, nil
}

// growing calls a system call that fills a buffer until the buffer is large
// enough.
func growing(call func([]byte) (int, error)) ([]byte, error) {
	for {
		size, err := call(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		buffer := make([]byte, size)
		size, err = call(buffer)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return buffer[:size], nil
	}
}

// zeroTerminated splits strings that end in a zero byte each.
func zeroTerminated(data []byte) []string {
	var list []string
	start := 0
	for i, b := range data {
		if b == 0 {
			list = append(list, string(data[start:i]))
			start = i + 1
		}
	}
	return list
}
