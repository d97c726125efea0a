// Package initramfs writes the archives that a kernel unpacks as its first root
// file system: cpio in the form that is called newc. What is written depends on
// nothing but what was added: owners are root, times are zero, numbers count up.
package initramfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Errors of this package.
var (
	// ErrName says that a file cannot have this name, or has it already.
	ErrName = errors.New("bad name")
	// ErrSize says that a file is larger than the format allows or does not have
	// the size that was announced.
	ErrSize = errors.New("bad size")
)

// Types of files in cpio's mode.
const (
	typeDir     = 0o040000
	typeRegular = 0o100000
)

const (
	trailer = "TRAILER!!!"
	align   = 4
	maxSize = 1<<32 - 1
)

// Writer writes one archive. The kernel takes several archives one after the
// other; a Writer may be used on a file that has some already if they end at a
// multiple of four bytes. It is not safe for concurrent use.
type Writer struct {
	w       io.Writer
	written int64
	inode   uint32
	known   map[string]bool // folder: true
}

// NewWriter writes to w. Call Close at the end; it does not close w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, known: map[string]bool{".": true}}
}

// Dir adds a folder, and those above it with mode 0755. A folder that is there
// is left as it is.
func (w *Writer) Dir(name string, mode fs.FileMode) error {
	name, err := clean(name)
	if err != nil {
		return err
	}

	if isDir, ok := w.known[name]; ok && isDir {
		return nil
	}

	return w.entry(name, typeDir|uint32(mode.Perm()), 0, nil)
}

// File adds a regular file with the size bytes that r gives.
func (w *Writer) File(name string, mode fs.FileMode, size int64, r io.Reader) error {
	name, err := clean(name)
	if err != nil {
		return err
	}

	return w.entry(name, typeRegular|uint32(mode.Perm()), size, r)
}

// Close ends the archive.
func (w *Writer) Close() error {
	if err := w.header(trailer, 0, 0, 0); err != nil {
		return fmt.Errorf("ending the initramfs: %w", err)
	}

	return nil
}

func clean(name string) (string, error) {
	cleaned := strings.TrimPrefix(path.Clean("/"+name), "/")
	if cleaned == "" || cleaned == trailer || strings.Contains(name, "\x00") {
		return "", fmt.Errorf("adding %q to the initramfs: %w", name, ErrName)
	}

	return cleaned, nil
}

func (w *Writer) entry(name string, mode uint32, size int64, r io.Reader) error {
	if _, ok := w.known[name]; ok {
		return fmt.Errorf("adding %s to the initramfs: %w: it is there already", name, ErrName)
	}

	if size < 0 || size > maxSize {
		return fmt.Errorf("adding %s to the initramfs: %w: %d bytes", name, ErrSize, size)
	}

	if err := w.parent(name); err != nil {
		return err
	}

	w.known[name] = mode&typeDir != 0
	w.inode++

	if err := w.header(name, w.inode, mode, size); err != nil {
		return fmt.Errorf("adding %s to the initramfs: %w", name, err)
	}

	if r == nil {
		return nil
	}

	if err := w.content(size, r); err != nil {
		return fmt.Errorf("adding %s to the initramfs: %w", name, err)
	}

	return nil
}

func (w *Writer) parent(name string) error {
	dir := path.Dir(name)

	switch isDir, ok := w.known[dir]; {
	case !ok:
		return w.Dir(dir, 0o755)
	case !isDir:
		return fmt.Errorf("adding %s to the initramfs: %w: %s is no folder", name, ErrName, dir)
	}

	return nil
}

// header writes an entry's head: the magic number and thirteen numbers of eight
// hexadecimal digits, then the name, which ends with a zero byte.
func (w *Writer) header(name string, inode, mode uint32, size int64) error {
	links := 1
	if mode&typeDir != 0 {
		links = 2
	}

	head := fmt.Sprintf("070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%s\x00",
		inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, len(name)+1, 0, name)

	if err := w.write([]byte(head)); err != nil {
		return err
	}

	return w.pad()
}

func (w *Writer) content(size int64, r io.Reader) error {
	n, err := io.Copy(w.w, io.LimitReader(r, size))
	w.written += n

	if err != nil {
		return err
	}

	more, err := io.CopyN(io.Discard, r, 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}

	if n != size || more > 0 {
		return fmt.Errorf("%w: got %d bytes or more, announced were %d", ErrSize, n+more, size)
	}

	return w.pad()
}

func (w *Writer) pad() error {
	return w.write(make([]byte, (align-w.written%align)%align))
}

func (w *Writer) write(data []byte) error {
	n, err := w.w.Write(data)
	w.written += int64(n)

	return err
}
