package extension

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/basalt-os/basalt/internal/squashfs"
)

// Extension is an extension that has been unpacked.
type Extension struct {
	Manifest Manifest

	files map[string]squashfs.Entry // by path in the root
}

// Entries are the extension's files, for an image of it. They are in the folder
// that it was unpacked to.
func (e *Extension) Entries() []squashfs.Entry {
	entries := make([]squashfs.Entry, 0, len(e.files))
	for _, entry := range e.files {
		entries = append(entries, entry)
	}

	return entries
}

// Has reports whether the extension has something below a folder of the root.
func (e *Extension) Has(folder string) bool {
	for name := range e.files {
		if strings.HasPrefix(name, folder+"/") {
			return true
		}
	}

	return false
}

const (
	manifestName   = "manifest.yaml"
	rootFolder     = "rootfs"
	whiteout       = ".wh."
	opaqueWhiteout = ".wh..wh..opq"
	maxFiles       = 200_000
)

// unpacker unpacks an extension.
type unpacker struct {
	dir      string
	count    int
	manifest []byte
	files    map[string]squashfs.Entry
}

// Unpack reads the layers of an extension's image, archives that are not
// compressed, the lowest first. The content of files goes into dir, under names
// of no meaning. What an extension must not have is ErrExtension.
func Unpack(dir string, layers ...io.Reader) (*Extension, error) {
	u := &unpacker{dir: dir, files: map[string]squashfs.Entry{}}

	for _, layer := range layers {
		if err := u.layer(layer); err != nil {
			return nil, fmt.Errorf("unpacking an extension: %w", err)
		}
	}

	if u.manifest == nil {
		return nil, fmt.Errorf("unpacking an extension: %w: the image has no %s", ErrExtension, manifestName)
	}

	manifest, err := ParseManifest(u.manifest)
	if err != nil {
		return nil, err
	}

	for name, e := range u.files {
		if err := checkPath(name, e.Mode.IsDir()); err != nil {
			return nil, fmt.Errorf("unpacking the extension %s: %w", manifest.Metadata.Name, err)
		}
	}

	return &Extension{Manifest: manifest, files: u.files}, nil
}

func (u *unpacker) layer(r io.Reader) error {
	archive := tar.NewReader(r)

	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return fmt.Errorf("%w: reading a layer: %w", ErrExtension, err)
		}

		if u.count++; u.count > maxFiles {
			return fmt.Errorf("%w: more than %d files", ErrExtension, maxFiles)
		}

		if err := u.entry(header, archive); err != nil {
			return err
		}
	}
}

func (u *unpacker) entry(header *tar.Header, content io.Reader) error {
	name := trimmed(header.Name)

	if name == manifestName {
		data, err := io.ReadAll(io.LimitReader(content, maxDocument+1))
		u.manifest = data

		return err
	}

	name, inRoot := strings.CutPrefix(name, rootFolder+"/")
	if !inRoot {
		return nil // documents, and the folder itself
	}

	if base := path.Base(name); strings.HasPrefix(base, whiteout) {
		u.remove(path.Dir(name), base)

		return nil
	}

	mode := header.FileInfo().Mode()
	if err := checkMode(name, mode, header.Uid, header.Gid); err != nil {
		return err
	}

	e := squashfs.Entry{Name: name, Mode: mode.Perm()}

	switch header.Typeflag {
	case tar.TypeDir:
		e.Mode |= fs.ModeDir
	case tar.TypeSymlink:
		e.Mode, e.Link = fs.ModeSymlink|0o777, header.Linkname
	case tar.TypeLink:
		target, ok := u.files[strings.TrimPrefix(trimmed(header.Linkname), rootFolder+"/")]
		if !ok || !target.Mode.IsRegular() {
			return fmt.Errorf("%w: /%s is a link to %s, which is not there", ErrExtension, name, header.Linkname)
		}

		target.Name = name
		e = target
	case tar.TypeReg:
		if err := u.store(&e, content); err != nil {
			return err
		}
	default:
		return fmt.Errorf("%w: /%s is no file, folder or link", ErrExtension, name)
	}

	if old, ok := u.files[name]; ok && old.Mode.IsDir() && !e.Mode.IsDir() {
		u.removeBelow(name)
	}

	u.files[name] = e

	return nil
}

// store keeps a file's content in a file of its own.
func (u *unpacker) store(e *squashfs.Entry, content io.Reader) error {
	name := filepath.Join(u.dir, fmt.Sprintf("%06d", u.count))

	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}

	e.Size, err = io.Copy(file, content)
	e.Open = func() (io.ReadCloser, error) { return os.Open(name) }

	return errors.Join(err, file.Close())
}

// remove does what a layer says with a file of a special name: one of the same
// name, or everything in the folder, is gone.
func (u *unpacker) remove(dir, base string) {
	if dir == "." {
		dir = ""
	}

	if base == opaqueWhiteout {
		u.removeBelow(dir)

		return
	}

	name := path.Join(dir, strings.TrimPrefix(base, whiteout))
	delete(u.files, name)
	u.removeBelow(name)
}

func (u *unpacker) removeBelow(dir string) {
	for name := range u.files {
		if dir == "" || strings.HasPrefix(name, dir+"/") {
			delete(u.files, name)
		}
	}
}
