package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// streamFile writes a log file: its last lines (all when tail is negative),
// and with follow whatever is added until the context ends, which is then not
// an error. When the file is replaced, as a log that is rotated, it goes on
// with the new one.
func streamFile(ctx context.Context, output io.Writer, path string, tail int, follow bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { file.Close() }()
	if err := seekLines(file, tail); err != nil {
		return fmt.Errorf("finding the last lines: %w", err)
	}
	if !follow {
		return copyChunks(ctx, output, file)
	}
	// Pod logs are reached by a symbolic link; the writer works in the real
	// folder.
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watching log: %w", err)
	}
	defer func() { _ = watcher.Close() }()
	if err := watcher.Add(filepath.Dir(real)); err != nil {
		return fmt.Errorf("watching log: %w", err)
	}
	for {
		if err := copyChunks(ctx, output, file); err != nil {
			return endOf(ctx, err)
		}
		replaced, err := replacement(file, real)
		if err != nil {
			return err
		}
		if replaced != nil {
			// What was written between the last read and the replacement.
			if err := copyChunks(ctx, output, file); err != nil {
				return errors.Join(endOf(ctx, err), replaced.Close())
			}
			file.Close()
			file = replaced
			continue
		}
		if done, err := nextChange(ctx, watcher, real); done {
			return err
		}
	}
}

// endOf is nothing when the error is the end of the context.
func endOf(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return nil
}

// nextChange waits for a change of the file. It is done when the context ends
// or the watch fails.
func nextChange(ctx context.Context, watcher *fsnotify.Watcher, path string) (done bool, err error) {
	for {
		select {
		case <-ctx.Done():
			return true, nil
		case err := <-watcher.Errors:
			return true, fmt.Errorf("watching log: %w", err)
		case event := <-watcher.Events:
			if event.Name == path {
				return false, nil
			}
		}
	}
}

// replacement opens the file that has taken the path of file; nil when there
// is none.
func replacement(file *os.File, path string) (*os.File, error) {
	current, err := file.Stat()
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && os.SameFile(current, info) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	next, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return next, err
}

// seekLines moves to where the last lines begin; a negative number means all.
// A last line without an end counts as a line.
func seekLines(file io.ReadSeeker, lines int) error {
	if lines < 0 {
		return nil
	}
	position, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	end := position
	buffer := make([]byte, chunkSize)
	found := 0
	for position > 0 && lines > 0 {
		size := min(position, int64(len(buffer)))
		position -= size
		if _, err := file.Seek(position, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.ReadFull(file, buffer[:size]); err != nil {
			return err
		}
		for i := size - 1; i >= 0; i-- {
			if buffer[i] != '\n' || position+i == end-1 {
				continue
			}
			if found++; found == lines {
				_, err := file.Seek(position+i+1, io.SeekStart)
				return err
			}
		}
	}
	if lines == 0 {
		_, err = file.Seek(end, io.SeekStart)
	} else {
		_, err = file.Seek(0, io.SeekStart)
	}
	return err
}
