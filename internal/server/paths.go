package server

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	securejoin "github.com/cyphar/filepath-securejoin"
)

// path places a fixed path of the node below the root.
func (s *Server) path(path string) string {
	return filepath.Join(s.Root, path)
}

// resolve finds the file that a path of a request means: symbolic links are
// followed and lead nowhere outside the root, whatever they say.
func (s *Server) resolve(path string) (string, error) {
	if !filepath.IsAbs(path) {
		return "", fmt.Errorf("path %q is not absolute: %w", path, ErrInvalid)
	}
	resolved, err := securejoin.SecureJoin(s.Root, path)
	if err != nil {
		return "", fmt.Errorf("resolving %s: %w", path, err)
	}
	return resolved, nil
}

// regularFile fails unless the path is a regular file.
func regularFile(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is a %s and not a regular file: %w", path, kindOf(info.Mode()), ErrInvalid)
	}
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeDevice != 0:
		return "device"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	default:
		return "regular file"
	}
}
