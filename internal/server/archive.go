package server

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// writeArchive writes a gzipped tar archive of a file or a directory tree.
// Names are relative to root; a single file has its own name. Sockets and
// files that vanish on the way are left out. A file that grows while it is
// read is cut at the size it began with, one that shrinks is filled up.
func writeArchive(ctx context.Context, output io.Writer, root string) error {
	compressed := gzip.NewWriter(output)
	archive := tar.NewWriter(compressed)
	err := walk(ctx, root, unlimited, func(v visit) error {
		if v.err != nil {
			if errors.Is(v.err, fs.ErrNotExist) && v.depth > 0 {
				return nil
			}
			return v.err
		}
		return addToArchive(ctx, archive, v)
	})
	if err != nil {
		return err
	}
	if err := archive.Close(); err != nil {
		return fmt.Errorf("closing archive: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return fmt.Errorf("closing archive: %w", err)
	}
	return nil
}

func addToArchive(ctx context.Context, archive *tar.Writer, v visit) error {
	if v.info.Mode()&fs.ModeSocket != 0 {
		return nil
	}
	if v.relative == "." && v.info.IsDir() {
		return nil
	}
	link := ""
	if v.info.Mode()&fs.ModeSymlink != 0 {
		target, err := os.Readlink(v.path)
		if err != nil {
			return ignoreVanished(err)
		}
		link = target
	}
	header, err := tar.FileInfoHeader(v.info, link)
	if err != nil {
		return fmt.Errorf("describing %s: %w", v.relative, err)
	}
	if v.relative != "." {
		header.Name = v.relative
		if v.info.IsDir() {
			header.Name += "/"
		}
	}
	if !v.info.Mode().IsRegular() {
		return archive.WriteHeader(header)
	}
	file, err := os.Open(v.path)
	if err != nil {
		return ignoreVanished(err)
	}
	defer file.Close()
	if header.Size == 0 {
		return addUnsized(ctx, archive, header, file)
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if err := copyChunks(ctx, archive, io.LimitReader(file, header.Size)); err != nil {
		return err
	}
	// tar says here how many bytes are missing.
	return fill(archive)
}

// maxUnsized bounds the content that is read of a file that claims to be
// empty.
const maxUnsized = 1 << 20

// addUnsized adds a file that claims to be empty, as those of the kernel's
// filesystems do: it is read first to know its size. What cannot be read
// counts as empty.
func addUnsized(ctx context.Context, archive *tar.Writer, header *tar.Header, file *os.File) error {
	content, err := io.ReadAll(io.LimitReader(file, maxUnsized))
	if err != nil {
		content = nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	header.Size = int64(len(content))
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = archive.Write(content)
	return err
}

// fill completes an entry whose file turned out shorter than announced.
func fill(archive *tar.Writer) error {
	zeroes := make([]byte, chunkSize)
	for {
		_, err := archive.Write(zeroes)
		if errors.Is(err, tar.ErrWriteTooLong) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func ignoreVanished(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
