// Package source goes over the repository's own files, without what is built.
package source

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Walk calls f with the path of every regular file below root, relative to it.
// Results of builds and the version control's data are left out.
func Walk(root string, f func(relative string) error) error {
	return filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		relative, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}

		if d.IsDir() {
			switch relative {
			case ".git", "_out", "bin":
				return fs.SkipDir
			}

			return nil
		}

		if !d.Type().IsRegular() {
			return nil
		}

		return f(relative)
	})
}

// Copy copies the files that Walk finds.
func Copy(from, to string) error {
	err := Walk(from, func(relative string) error {
		data, err := os.ReadFile(filepath.Join(from, relative))
		if err != nil {
			return err
		}

		target := filepath.Join(to, relative)

		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}

		return os.WriteFile(target, data, 0o644)
	})
	if err != nil {
		return fmt.Errorf("copying the sources: %w", err)
	}

	return nil
}
