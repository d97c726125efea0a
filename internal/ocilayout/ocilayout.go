// Package ocilayout reads container images out of OCI layouts, folders or
// archives of them. What it returns is what the digests say.
package ocilayout

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// ErrLayout says that something is no OCI layout, is damaged, or does not have
// the image that is wanted.
var ErrLayout = errors.New("bad OCI layout")

// Layout is a folder with images.
type Layout struct{ dir string }

// Open returns the layout in a folder.
func Open(dir string) Layout { return Layout{dir} }

// Image is an image in a layout.
type Image struct {
	Manifest v1.Manifest
	Digest   digest.Digest // of the manifest

	layout Layout
}

// Extract unpacks an archive of a layout, as tools that save images write it,
// into a folder. The archive is not compressed.
func Extract(tarball, dir string) (Layout, error) {
	file, err := os.Open(tarball)
	if err != nil {
		return Layout{}, err
	}
	defer file.Close()

	root, err := os.OpenRoot(dir)
	if err != nil {
		return Layout{}, err
	}
	defer root.Close()

	archive := tar.NewReader(bufio.NewReader(file))

	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return Open(dir), nil
		}

		if err != nil {
			return Layout{}, fmt.Errorf("%w: %w", ErrLayout, err)
		}

		if err := ExtractFile(root, header, archive); err != nil {
			return Layout{}, err
		}
	}
}

// ExtractFile unpacks an entry of an archive into a folder. It does nothing for
// what is no file, such as the folders that files are in.
func ExtractFile(root *os.Root, header *tar.Header, content io.Reader) error {
	name := strings.TrimPrefix(path.Clean("/"+header.Name), "/")
	if header.Typeflag != tar.TypeReg || name == "" {
		return nil
	}

	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}

	target, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}

	_, err = io.Copy(target, content)

	return errors.Join(err, target.Close())
}

// Names are the names of the layout's images, sorted. An image need not have one.
func (l Layout) Names() ([]string, error) {
	list, err := l.index()
	if err != nil {
		return nil, err
	}

	var names []string

	for _, d := range list.Manifests {
		if name := d.Annotations[v1.AnnotationRefName]; name != "" {
			names = append(names, name)
		}
	}

	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

// Image finds the image with a name for an architecture. With an empty name it
// is the layout's first.
func (l Layout) Image(name, arch string) (Image, error) {
	list, err := l.index()
	if err != nil {
		return Image{}, err
	}

	if name != "" {
		list.Manifests = slices.DeleteFunc(list.Manifests, func(d v1.Descriptor) bool {
			return d.Annotations[v1.AnnotationRefName] != name
		})
	}

	image, err := l.find(list, arch, 0)
	if err != nil && name != "" {
		return Image{}, fmt.Errorf("%s: %w", name, err)
	}

	return image, err
}

func (l Layout) index() (v1.Index, error) {
	data, err := os.ReadFile(filepath.Join(l.dir, v1.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return v1.Index{}, fmt.Errorf("%w: %s is none", ErrLayout, l.dir)
	}

	if err != nil {
		return v1.Index{}, err
	}

	return parseIndex(data)
}

func parseIndex(data []byte) (v1.Index, error) {
	var list v1.Index

	if err := json.Unmarshal(data, &list); err != nil {
		return v1.Index{}, fmt.Errorf("%w: the index cannot be read: %w", ErrLayout, err)
	}

	return list, nil
}

// deepest is how many indexes may be in each other.
const deepest = 4

// find goes down from an index to the manifest.
func (l Layout) find(list v1.Index, arch string, depth int) (Image, error) {
	if depth > deepest {
		return Image{}, fmt.Errorf("%w: more than %d indexes are in each other", ErrLayout, deepest)
	}

	for _, d := range list.Manifests {
		if d.Platform != nil && d.Platform.Architecture != arch && len(list.Manifests) > 1 {
			continue
		}

		data, err := l.document(d)
		if err != nil {
			return Image{}, err
		}

		var probe struct {
			Manifests []json.RawMessage `json:"manifests"`
		}

		if json.Unmarshal(data, &probe) == nil && probe.Manifests != nil {
			inner, err := parseIndex(data)
			if err != nil {
				return Image{}, err
			}

			return l.find(inner, arch, depth+1)
		}

		var manifest v1.Manifest

		if err := json.Unmarshal(data, &manifest); err != nil {
			return Image{}, fmt.Errorf("%w: the manifest cannot be read: %w", ErrLayout, err)
		}

		return Image{Manifest: manifest, Digest: d.Digest, layout: l}, nil
	}

	return Image{}, fmt.Errorf("%w: there is no image for %s", ErrLayout, arch)
}

// blob is the path of a blob. A digest of another form has no place.
func (l Layout) blob(d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil || d.Algorithm() != digest.SHA256 {
		return "", fmt.Errorf("%w: digest %q", ErrLayout, d)
	}

	return filepath.Join(l.dir, v1.ImageBlobsDir, "sha256", d.Encoded()), nil
}

// document reads a small document.
func (l Layout) document(d v1.Descriptor) ([]byte, error) {
	name, err := l.blob(d.Digest)
	if err != nil {
		return nil, err
	}

	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}

	if digest.FromBytes(data) != d.Digest {
		return nil, fmt.Errorf("%w: a document is not what its digest says", ErrLayout)
	}

	return data, nil
}

// Config reads what the image says about how it is run, and of what layers.
func (i Image) Config() (v1.Image, error) {
	data, err := i.layout.document(i.Manifest.Config)
	if err != nil {
		return v1.Image{}, err
	}

	var config v1.Image

	if err := json.Unmarshal(data, &config); err != nil {
		return v1.Image{}, fmt.Errorf("%w: the configuration cannot be read: %w", ErrLayout, err)
	}

	return config, nil
}

// LayerFile is the path of a layer, as it is compressed; the lowest is 0.
func (i Image) LayerFile(layer int) (string, error) {
	return i.layout.blob(i.Manifest.Layers[layer].Digest)
}

// OpenLayer opens a layer's archive, unpacked, after its digest has been
// checked; the lowest is 0.
func (i Image) OpenLayer(layer int) (io.ReadCloser, error) {
	name, err := i.LayerFile(layer)
	if err != nil {
		return nil, err
	}

	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}

	archive, err := checked(file, i.Manifest.Layers[layer].Digest)
	if err != nil {
		file.Close()

		return nil, err
	}

	return closing{archive, file}, nil
}

// closing closes the file below what is read.
type closing struct {
	io.Reader
	io.Closer
}

func checked(file *os.File, want digest.Digest) (io.Reader, error) {
	got, err := digest.FromReader(file)
	if err != nil {
		return nil, err
	}

	if got != want {
		return nil, fmt.Errorf("%w: a layer is not what its digest says", ErrLayout)
	}

	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}

	buffered := bufio.NewReader(file)

	head, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}

	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(buffered)
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		return zstd.NewReader(buffered, zstd.WithDecoderConcurrency(1))
	default:
		return buffered, nil
	}
}
