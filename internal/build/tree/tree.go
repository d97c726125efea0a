// Package tree describes a file tree before it exists: a root file system or
// the layer of an image. One description gives a folder, a tar archive and a
// digest, and all three depend on nothing but the description and the bytes of
// the files: no owner, time or order of the machine that builds is in them.
package tree

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Epoch is the modification time of everything in a tree.
var Epoch = time.Unix(0, 0).UTC()

// Entry is one file, folder or symbolic link.
type Entry struct {
	Mode fs.FileMode // type and permission bits; ModeSticky is kept, setuid and setgid are refused
	UID  int
	GID  int
	Link string // target of a symbolic link

	// A regular file's content: Data, or the file Source whose hexadecimal
	// SHA-256 is Sum.
	Data   []byte
	Source string
	Sum    string
	Size   int64
}

// Tree is a set of entries by their path without a leading slash. The zero
// value is not usable; see New. It is not safe for concurrent use.
type Tree struct {
	entries map[string]Entry
	err     error
}

// New returns a tree with nothing but its root folder.
func New() *Tree {
	return &Tree{entries: map[string]Entry{}}
}

// Dir adds a folder and the folders above it.
func (t *Tree) Dir(name string, mode fs.FileMode) *Tree {
	return t.add(name, Entry{Mode: fs.ModeDir | mode})
}

// Text adds a file with the given content.
func (t *Tree) Text(name string, mode fs.FileMode, data string) *Tree {
	sum := sha256.Sum256([]byte(data))

	return t.add(name, Entry{Mode: mode, Data: []byte(data), Sum: hex.EncodeToString(sum[:]), Size: int64(len(data))})
}

// File adds a file with the content of source, whose hexadecimal SHA-256 and
// size the caller knows. It must not change until the tree has been written.
func (t *Tree) File(name string, mode fs.FileMode, source, sum string, size int64) *Tree {
	return t.add(name, Entry{Mode: mode, Source: source, Sum: sum, Size: size})
}

// Program adds the file source, which must not change until the tree has been
// written, as a program.
func (t *Tree) Program(name, source string) *Tree {
	info, err := os.Stat(source)
	if err == nil {
		var sum string
		if sum, err = sumOf(source); err == nil {
			return t.File(name, 0o755, source, sum, info.Size())
		}
	}

	if t.err == nil {
		t.err = fmt.Errorf("adding /%s: %w", name, err)
	}

	return t
}

// Symlink adds a symbolic link.
func (t *Tree) Symlink(name, target string) *Tree {
	return t.add(name, Entry{Mode: fs.ModeSymlink | 0o777, Link: target})
}

// Existing adds the file source, or what is in the folder source, as name. Files
// must not change until the tree has been written. Of modes only the right to
// execute is kept.
func (t *Tree) Existing(name, source string) *Tree {
	err := filepath.WalkDir(source, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}

		relative, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}

		return t.addExisting(path.Join(name, filepath.ToSlash(relative)), file, d)
	})
	if err != nil && t.err == nil {
		t.err = fmt.Errorf("adding /%s: %w", name, err)
	}

	return t
}

func (t *Tree) addExisting(name, source string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		t.Dir(name, 0o755)
	case d.Type() == fs.ModeSymlink:
		target, err := os.Readlink(source)
		if err != nil {
			return err
		}

		t.Symlink(name, target)
	case d.Type().IsRegular():
		info, err := d.Info()
		if err != nil {
			return err
		}

		sum, err := sumOf(source)
		if err != nil {
			return err
		}

		t.File(name, 0o644|info.Mode()&0o111, source, sum, info.Size())
	default:
		return fmt.Errorf("%s is no file, folder or link", name)
	}

	return nil
}

func sumOf(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer file.Close()

	hash := sha256.New()

	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}

	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Merge adds every entry of other.
func (t *Tree) Merge(other *Tree) *Tree {
	if other.err != nil && t.err == nil {
		t.err = other.err
	}

	for name, entry := range other.All() {
		t.add(name, entry)
	}

	return t
}

// add keeps the first error, so that a tree can be written down as a chain of
// calls; Err gives it.
func (t *Tree) add(name string, entry Entry) *Tree {
	name = strings.TrimPrefix(path.Clean("/"+name), "/")

	switch old, exists := t.entries[name]; {
	case t.err != nil, name == "":
	case entry.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		t.err = fmt.Errorf("adding /%s: the file is setuid or setgid", name)
	case exists && (!old.Mode.IsDir() || !entry.Mode.IsDir()) && !same(old, entry):
		t.err = fmt.Errorf("adding /%s: another file is there already", name)
	default:
		t.entries[name] = entry
		t.parents(name)
	}

	return t
}

func (t *Tree) parents(name string) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if _, ok := t.entries[dir]; !ok {
			t.entries[dir] = Entry{Mode: fs.ModeDir | 0o755}
		}
	}
}

func same(a, b Entry) bool {
	return a.Mode == b.Mode && a.UID == b.UID && a.GID == b.GID && a.Link == b.Link && a.Sum == b.Sum
}

// Err is the first error of building the tree.
func (t *Tree) Err() error { return t.err }

// All goes over the entries in the order of their paths, folders before what is
// in them.
func (t *Tree) All() func(yield func(string, Entry) bool) {
	names := slices.Sorted(maps.Keys(t.entries))

	return func(yield func(string, Entry) bool) {
		for _, name := range names {
			if !yield(name, t.entries[name]) {
				return
			}
		}
	}
}

// Size is the sum of the sizes of all files, in bytes.
func (t *Tree) Size() int64 {
	var size int64

	for _, entry := range t.entries {
		size += entry.Size
	}

	return size
}

// Digest is the hexadecimal SHA-256 over the description: paths, modes, owners,
// link targets and the digests of the contents.
func (t *Tree) Digest() string {
	hash := sha256.New()

	for name, e := range t.All() {
		fmt.Fprintf(hash, "%q %o %d:%d %q %s\n", name, e.Mode, e.UID, e.GID, e.Link, e.Sum)
	}

	return hex.EncodeToString(hash.Sum(nil))
}

// WriteTar writes the tree as a tar archive. A source whose content is not what
// its digest says is an error.
func (t *Tree) WriteTar(w io.Writer) error {
	if t.err != nil {
		return t.err
	}

	archive := tar.NewWriter(w)

	for name, e := range t.All() {
		if err := writeEntry(archive, name, e); err != nil {
			return fmt.Errorf("writing /%s: %w", name, err)
		}
	}

	if err := archive.Close(); err != nil {
		return fmt.Errorf("writing the archive's end: %w", err)
	}

	return nil
}

func writeEntry(archive *tar.Writer, name string, e Entry) error {
	header := &tar.Header{
		Name:    name,
		Mode:    int64(e.Mode.Perm()),
		Uid:     e.UID,
		Gid:     e.GID,
		ModTime: Epoch,
		Format:  tar.FormatPAX,
	}

	if e.Mode&fs.ModeSticky != 0 {
		header.Mode |= 0o1000
	}

	switch {
	case e.Mode.IsDir():
		header.Typeflag = tar.TypeDir
		header.Name += "/"
	case e.Mode&fs.ModeSymlink != 0:
		header.Typeflag = tar.TypeSymlink
		header.Linkname = e.Link
	default:
		header.Typeflag = tar.TypeReg
		header.Size = e.Size
	}

	if err := archive.WriteHeader(header); err != nil {
		return err
	}

	if header.Typeflag != tar.TypeReg {
		return nil
	}

	return e.copyTo(archive)
}

// Open opens the content of a regular file.
func (e Entry) Open() (io.ReadCloser, error) {
	if e.Source == "" {
		return io.NopCloser(bytes.NewReader(e.Data)), nil
	}

	return os.Open(e.Source)
}

// copyTo writes the content of a regular file and checks it on the way.
func (e Entry) copyTo(w io.Writer) error {
	if e.Source == "" {
		_, err := w.Write(e.Data)

		return err
	}

	source, err := os.Open(e.Source)
	if err != nil {
		return err
	}
	defer source.Close()

	hash := sha256.New()

	if _, err := io.Copy(w, io.TeeReader(source, hash)); err != nil {
		return err
	}

	if sum := hex.EncodeToString(hash.Sum(nil)); sum != e.Sum {
		return fmt.Errorf("%w: %s has digest %s, not %s", ErrChanged, e.Source, sum, e.Sum)
	}

	return nil
}

// ErrChanged says that a file is not what it was when the tree was described.
var ErrChanged = errors.New("content changed")
