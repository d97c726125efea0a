package extension

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
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// UnpackLayout is Unpack for an image in an OCI layout, a folder. The layout has
// one image, or one for each of several architectures.
func UnpackLayout(dir, layout, arch string) (*Extension, error) {
	manifest, err := findManifest(layout, arch)
	if err != nil {
		return nil, fmt.Errorf("reading the image of an extension: %w", err)
	}

	var layers []io.Reader

	for _, layer := range manifest.Layers {
		blob, err := openLayer(layout, layer)
		if err != nil {
			return nil, fmt.Errorf("reading the image of an extension: %w", err)
		}
		defer blob.Close()

		layers = append(layers, blob)
	}

	return Unpack(dir, layers...)
}

// UnpackTarball is UnpackLayout for a layout in an archive, as tools that save
// images write it. Work is a folder for what is in the archive.
func UnpackTarball(dir, work, tarball, arch string) (*Extension, error) {
	if err := extract(tarball, work); err != nil {
		return nil, fmt.Errorf("reading the image of an extension: %w", err)
	}

	return UnpackLayout(dir, work, arch)
}

// extract unpacks the files of a layout; there is nothing else in one.
func extract(tarball, dir string) error {
	file, err := os.Open(tarball)
	if err != nil {
		return err
	}
	defer file.Close()

	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()

	archive := tar.NewReader(bufio.NewReader(file))

	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}

		if err != nil {
			return fmt.Errorf("%w: %w", ErrExtension, err)
		}

		name := trimmed(header.Name)
		if header.Typeflag != tar.TypeReg || name == "" {
			continue
		}

		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}

		target, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}

		_, err = io.Copy(target, archive)
		if err := errors.Join(err, target.Close()); err != nil {
			return err
		}
	}
}

// findManifest is the manifest of the image for an architecture.
func findManifest(layout, arch string) (v1.Manifest, error) {
	data, err := os.ReadFile(filepath.Join(layout, v1.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return v1.Manifest{}, fmt.Errorf("%w: %s is no OCI layout", ErrExtension, layout)
	}

	if err != nil {
		return v1.Manifest{}, err
	}

	return manifestOf(layout, data, arch, 0)
}

// deepest is how many indexes may be in each other.
const deepest = 4

// manifestOf goes down from an index to the manifest.
func manifestOf(layout string, index []byte, arch string, depth int) (v1.Manifest, error) {
	var list v1.Index

	if err := json.Unmarshal(index, &list); err != nil || depth > deepest {
		return v1.Manifest{}, fmt.Errorf("%w: the index cannot be read: %w", ErrExtension, err)
	}

	for _, d := range list.Manifests {
		if d.Platform != nil && d.Platform.Architecture != arch && len(list.Manifests) > 1 {
			continue
		}

		data, err := readBlob(layout, d)
		if err != nil {
			return v1.Manifest{}, err
		}

		var probe struct {
			Manifests []json.RawMessage `json:"manifests"`
		}

		if json.Unmarshal(data, &probe) == nil && probe.Manifests != nil {
			return manifestOf(layout, data, arch, depth+1)
		}

		var manifest v1.Manifest

		if err := json.Unmarshal(data, &manifest); err != nil {
			return v1.Manifest{}, fmt.Errorf("%w: the manifest cannot be read: %w", ErrExtension, err)
		}

		return manifest, nil
	}

	return v1.Manifest{}, fmt.Errorf("%w: there is no image for %s", ErrExtension, arch)
}

// blobPath is where a blob is. A digest of another form has no place.
func blobPath(layout string, d digest.Digest) (string, error) {
	if err := d.Validate(); err != nil || d.Algorithm() != digest.SHA256 {
		return "", fmt.Errorf("%w: digest %q", ErrExtension, d)
	}

	return filepath.Join(layout, v1.ImageBlobsDir, "sha256", d.Encoded()), nil
}

// readBlob reads a small document.
func readBlob(layout string, d v1.Descriptor) ([]byte, error) {
	name, err := blobPath(layout, d.Digest)
	if err != nil {
		return nil, err
	}

	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}

	if digest.FromBytes(data) != d.Digest {
		return nil, fmt.Errorf("%w: a document is not what its digest says", ErrExtension)
	}

	return data, nil
}

// openLayer opens a layer's archive, after its digest has been checked.
func openLayer(layout string, d v1.Descriptor) (io.ReadCloser, error) {
	name, err := blobPath(layout, d.Digest)
	if err != nil {
		return nil, err
	}

	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}

	archive, err := checked(file, d.Digest)
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
		return nil, fmt.Errorf("%w: a layer is not what its digest says", ErrExtension)
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
