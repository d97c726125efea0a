package server

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
)

// unlimited is the depth of a walk that goes all the way down.
const unlimited = -1

// visit is one entry of a walk.
type visit struct {
	path     string // where it is
	relative string // below the walk's root; "." for the root itself
	depth    int    // 0 for the root
	info     fs.FileInfo
	err      error // why info or the entries of this directory are missing
}

// walk calls f for root, which may be a symbolic link, and for everything
// below it that is at most depth levels away, directories before their
// entries and entries in order. A directory that cannot be listed is visited a
// second time, with the error, and the walk goes on. It ends with the context
// or with the first error of f; fs.SkipDir skips a directory.
func walk(ctx context.Context, root string, depth int, f func(visit) error) error {
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, walkErr error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		step := visit{path: path, relative: relative, depth: depthOf(relative), err: walkErr}
		if entry != nil && walkErr == nil {
			step.info, step.err = entry.Info()
		} else if entry != nil {
			// A directory that was visited before and cannot be listed: the
			// error belongs to it and not to an entry of its own.
			step.info, _ = entry.Info()
		}
		if err := f(step); err != nil {
			return err
		}
		if depth != unlimited && step.depth >= depth && entry != nil && entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
	return err
}

func depthOf(relative string) int {
	if relative == "." {
		return 0
	}
	depth := 1
	for _, c := range relative {
		if c == os.PathSeparator {
			depth++
		}
	}
	return depth
}
