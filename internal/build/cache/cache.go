// Package cache keeps the results of build steps by the digest of everything
// that went into them. A result is a folder that is complete or absent: it is
// made under another name and renamed. Any number of processes may use one
// cache at once, and it may be deleted at any time between builds.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A result stays for a month after a build asked for it; of results of the same
// step only so many, or whoever changes a program often fills the disk. What was
// asked for within the hour may be in use.
const (
	unusedFor  = 30 * 24 * time.Hour
	sameStep   = 4
	maybeInUse = time.Hour
)

// Cache is a folder of results. It is safe for concurrent use.
type Cache struct {
	dir string
}

// Open makes the folder when it is not there.
func Open(dir string) (*Cache, error) {
	for _, sub := range []string{"results", "locks"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("opening the build cache: %w", err)
		}
	}

	return &Cache{dir: dir}, nil
}

// Dir is the cache's folder.
func (c *Cache) Dir() string { return c.dir }

// Key is the digest of a step's inputs. Inputs are kept apart: moving a byte
// from one to the next gives another key.
func Key(inputs ...string) string {
	hash := sha256.New()

	for _, input := range inputs {
		fmt.Fprintf(hash, "%d:%s\n", len(input), input)
	}

	return hex.EncodeToString(hash.Sum(nil))
}

// Lookup returns the folder of a result, or false when it has to be made.
func (c *Cache) Lookup(name, key string) (string, bool) {
	dir := c.result(name, key)

	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return "", false
	}

	now := time.Now()
	_ = os.Chtimes(dir, now, now) // only Prune reads it

	return dir, true
}

// Get returns the folder of a result and makes it with build when it is not
// there. build gets an empty folder; when it fails, nothing is kept. While one
// process builds a result, others that want it wait.
func (c *Cache) Get(ctx context.Context, name, key string, build func(ctx context.Context, dir string) error) (string, error) {
	if dir, ok := c.Lookup(name, key); ok {
		return dir, nil
	}

	unlock, err := Lock(ctx, filepath.Join(c.dir, "locks", filepath.Base(c.result(name, key))))
	if err != nil {
		return "", err
	}
	defer unlock()

	if dir, ok := c.Lookup(name, key); ok {
		return dir, nil
	}

	final := c.result(name, key)
	partial := final + ".partial"

	// The lock is ours, so a partial result is of a process that was killed.
	if err := os.RemoveAll(partial); err != nil {
		return "", fmt.Errorf("removing what an interrupted build left: %w", err)
	}

	defer os.RemoveAll(partial)

	if err := os.Mkdir(partial, 0o755); err != nil {
		return "", fmt.Errorf("writing to the build cache: %w", err)
	}

	if err := build(ctx, partial); err != nil {
		return "", err
	}

	if err := seal(partial); err != nil {
		return "", fmt.Errorf("writing to the build cache: %w", err)
	}

	// An archive that was unpacked has given the folder a time of its own.
	now := time.Now()
	if err := os.Chtimes(partial, now, now); err != nil {
		return "", fmt.Errorf("writing to the build cache: %w", err)
	}

	if err := os.Rename(partial, final); err != nil {
		return "", fmt.Errorf("writing to the build cache: %w", err)
	}

	return final, nil
}

func (c *Cache) result(name, key string) string {
	return filepath.Join(c.dir, "results", name+"-"+key[:32])
}

// seal takes the write permission from all files and brings them to the disk,
// so that a result that is there after a power failure is whole.
func seal(dir string) error {
	return filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}

		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()

		info, err := file.Stat()
		if err != nil {
			return err
		}

		if err := file.Chmod(info.Mode().Perm() &^ 0o222); err != nil {
			return err
		}

		return file.Sync()
	})
}

// Prune removes results that no build has asked for in a month, and old results
// of steps that have newer ones.
func (c *Cache) Prune() error {
	results, err := os.ReadDir(filepath.Join(c.dir, "results"))
	if err != nil {
		return fmt.Errorf("reading the build cache: %w", err)
	}

	steps := map[string][]fs.FileInfo{}

	for _, result := range results {
		// A result that is gone was removed by another build.
		if info, err := result.Info(); err == nil {
			name := result.Name()[:strings.LastIndexByte(result.Name(), '-')+1]
			steps[name] = append(steps[name], info)
		}
	}

	for _, infos := range steps {
		slices.SortFunc(infos, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })

		for i, info := range infos {
			age := time.Since(info.ModTime())
			if age < maybeInUse || age < unusedFor && i < sameStep {
				continue
			}

			// The lock's file stays: somebody may be waiting on it.
			if err := os.RemoveAll(filepath.Join(c.dir, "results", info.Name())); err != nil {
				return fmt.Errorf("removing an unused result: %w", err)
			}
		}
	}

	return nil
}

// retry is how often a lock that another process holds is tried again: flock
// cannot be interrupted by a context.
const retry = 100 * time.Millisecond

// Lock takes an exclusive lock on a file, which it makes when it is not there,
// and waits until ctx ends while another process holds it. The lock goes with
// the process.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}

	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { file.Close() }, nil
		}

		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			file.Close()

			return nil, fmt.Errorf("locking %s: %w", path, err)
		}

		select {
		case <-ctx.Done():
			file.Close()

			return nil, ctx.Err()
		case <-time.After(retry):
		}
	}
}
