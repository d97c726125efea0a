package main

import (
	"context"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

const mebibyte = 1 << 20

// part is a file or a folder below the repository.
type part struct{ name, path string }

// sizes measures what is built.
func sizes(_ context.Context, o options) ([]Figure, error) {
	return filesFigures(o, []part{
		{"size of root tree, unpacked", "_out/root"},
		{"size of node binary", "_out/root/usr/bin/basalt"},
		{"size of all images, compressed, layers once", "_out/oci/blobs"},
		{"size of basaltctl", "bin/basaltctl"},
	})
}

func filesFigures(o options, parts []part) ([]Figure, error) {
	var figures []Figure

	for _, part := range parts {
		size, err := sizeOf(filepath.Join(o.root, filepath.FromSlash(part.path)))
		if err != nil {
			return nil, err
		}

		figures = append(figures, Figure{Name: part.name, Unit: "MiB", Value: float64(size) / mebibyte})
	}

	return figures, nil
}

// sizeOf is the size of a file, or of all files below a folder, in bytes.
func sizeOf(path string) (size int64, err error) {
	return size, filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}

		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}

		return err
	})
}

// writtenTo is how much of a file is no hole, in bytes.
func writtenTo(path string) (int64, error) {
	const block = 512

	var info unix.Stat_t

	err := unix.Stat(path, &info)

	return info.Blocks * block, err
}
