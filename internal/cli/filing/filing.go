// Package filing writes the files that commands make.
package filing

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Write writes a file that others may read or, when private, only the user.
// The path "-" is the given output. A file that exists is an error unless force
// is set; it is replaced as a whole.
func Write(out io.Writer, path string, data []byte, private, force bool) error {
	if path == "-" {
		if _, err := out.Write(data); err != nil {
			return fmt.Errorf("writing output: %w", err)
		}

		return nil
	}

	if err := Free(path, force); err != nil {
		return err
	}

	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}

	mode := fs.FileMode(0o644)
	if private {
		mode = 0o600
	}

	if err := renameio.WriteFile(path, data, mode, renameio.WithStaticPermissions(mode)); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}

	return nil
}

// Free returns an error when something is at the path, unless force is set.
func Free(path string, force bool) error {
	if force || path == "-" {
		return nil
	}

	switch _, err := os.Lstat(path); {
	case err == nil:
		return fmt.Errorf("%s exists already; use --force to replace it", path)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("writing %s: %w", path, err)
	}

	return nil
}
