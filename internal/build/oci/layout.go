package oci

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/tree"
)

// Image is an image to be written.
type Image struct {
	Names       []string // full public references, the first is the main one
	Arch        string   // that of this machine when empty
	Layers      []Layer
	Config      v1.ImageConfig
	Annotations map[string]string
}

// SearchPath is PATH in every container.
const SearchPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// Annotations are what all our images say about themselves.
func Annotations(title, version string) map[string]string {
	return map[string]string{
		v1.AnnotationTitle:    title,
		v1.AnnotationVersion:  strings.TrimPrefix(version, "v"),
		v1.AnnotationVendor:   "Basalt",
		v1.AnnotationLicenses: "Apache-2.0",
	}
}

// Size is the sum of the compressed layers in bytes.
func (i Image) Size() int64 {
	var size int64

	for _, layer := range i.Layers {
		size += layer.Size
	}

	return size
}

// WriteLayout makes dir an OCI layout of the given images, and of those that are
// there already under a name that keep says to keep, and returns the digests of
// the given images' manifests in the same order. A reader sees the old index or
// the new one; blobs are there before the index names them and are removed after
// it stopped doing so.
func WriteLayout(dir string, images []Image, keep func(name string) bool) ([]digest.Digest, error) {
	w := writer{dir: dir, kept: map[digest.Digest]bool{}}

	if err := os.MkdirAll(w.blobs(), 0o755); err != nil {
		return nil, fmt.Errorf("writing the OCI layout: %w", err)
	}

	index := v1.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: v1.MediaTypeImageIndex}
	digests := make([]digest.Digest, 0, len(images))

	for _, image := range images {
		manifest, err := w.image(image)
		if err != nil {
			return nil, fmt.Errorf("writing the image %s: %w", image.Names[0], err)
		}

		digests = append(digests, manifest.Digest)

		for _, name := range image.Names {
			named := manifest
			named.Annotations = map[string]string{v1.AnnotationRefName: name}
			index.Manifests = append(index.Manifests, named)
		}
	}

	kept, err := w.keep(keep)
	if err != nil {
		return nil, fmt.Errorf("keeping images of the OCI layout: %w", err)
	}

	index.Manifests = append(index.Manifests, kept...)

	if err := w.index(index); err != nil {
		return nil, fmt.Errorf("writing the OCI layout: %w", err)
	}

	return digests, nil
}

type writer struct {
	dir  string
	kept map[digest.Digest]bool
}

func (w *writer) blobs() string { return filepath.Join(w.dir, v1.ImageBlobsDir, "sha256") }

// keep returns the descriptors of images that stay.
func (w *writer) keep(wanted func(name string) bool) ([]v1.Descriptor, error) {
	var index v1.Index

	data, err := os.ReadFile(filepath.Join(w.dir, v1.ImageIndexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	if err := json.Unmarshal(data, &index); err != nil {
		return nil, err
	}

	var kept []v1.Descriptor

	for _, d := range index.Manifests {
		if !wanted(d.Annotations[v1.AnnotationRefName]) {
			continue
		}

		data, err := os.ReadFile(filepath.Join(w.blobs(), d.Digest.Encoded()))
		if err != nil {
			return nil, err
		}

		var manifest v1.Manifest
		if err := json.Unmarshal(data, &manifest); err != nil {
			return nil, err
		}

		w.kept[d.Digest], w.kept[manifest.Config.Digest] = true, true
		for _, layer := range manifest.Layers {
			w.kept[layer.Digest] = true
		}

		kept = append(kept, d)
	}

	return kept, nil
}

func (w *writer) image(image Image) (v1.Descriptor, error) {
	platform := v1.Platform{OS: "linux", Architecture: cmp.Or(image.Arch, runtime.GOARCH)}
	config := v1.Image{
		Created:  &tree.Epoch,
		Platform: platform,
		Config:   image.Config,
		RootFS:   v1.RootFS{Type: "layers"},
	}
	manifest := v1.Manifest{
		Versioned:   specs.Versioned{SchemaVersion: 2},
		MediaType:   v1.MediaTypeImageManifest,
		Annotations: image.Annotations,
	}

	for _, layer := range image.Layers {
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, layer.DiffID)
		manifest.Layers = append(manifest.Layers, v1.Descriptor{
			MediaType: cmp.Or(layer.MediaType, v1.MediaTypeImageLayerZstd),
			Digest:    layer.Digest,
			Size:      layer.Size,
		})

		if err := w.copyLayer(layer); err != nil {
			return v1.Descriptor{}, err
		}
	}

	var err error

	if manifest.Config, err = w.document(v1.MediaTypeImageConfig, config); err != nil {
		return v1.Descriptor{}, err
	}

	descriptor, err := w.document(v1.MediaTypeImageManifest, manifest)
	descriptor.Platform = &platform

	return descriptor, err
}

// document stores a JSON document as a blob.
func (w *writer) document(mediaType string, value any) (v1.Descriptor, error) {
	data, err := json.Marshal(value)
	if err != nil {
		return v1.Descriptor{}, err
	}

	descriptor := v1.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(data), Size: int64(len(data))}

	return descriptor, w.store(descriptor.Digest, descriptor.Size, func(to io.Writer) error {
		_, err := to.Write(data)

		return err
	})
}

// copyLayer copies, for the reason that tree.WriteFolder gives.
func (w *writer) copyLayer(layer Layer) error {
	return w.store(layer.Digest, layer.Size, func(to io.Writer) error {
		source, err := os.Open(layer.path)
		if err != nil {
			return err
		}
		defer source.Close()

		_, err = io.Copy(to, source)

		return err
	})
}

func (w *writer) store(d digest.Digest, size int64, write func(io.Writer) error) error {
	w.kept[d] = true
	name := filepath.Join(w.blobs(), d.Encoded())

	if info, err := os.Stat(name); err == nil && info.Size() == size {
		return nil
	}

	file, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o444))
	if err != nil {
		return err
	}
	defer file.Cleanup()

	if err := write(file.File); err != nil {
		return err
	}

	return file.CloseAtomicallyReplace()
}

// index puts the index in place and removes what it does not name.
func (w *writer) index(index v1.Index) error {
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}

	layout, err := json.Marshal(v1.ImageLayout{Version: v1.ImageLayoutVersion})
	if err != nil {
		return err
	}

	if err := renameio.WriteFile(filepath.Join(w.dir, v1.ImageLayoutFile), layout, 0o644); err != nil {
		return err
	}

	if err := renameio.WriteFile(filepath.Join(w.dir, v1.ImageIndexFile), data, 0o644); err != nil {
		return err
	}

	blobs, err := os.ReadDir(w.blobs())
	if err != nil {
		return err
	}

	for _, blob := range blobs {
		if !w.kept[digest.NewDigestFromEncoded(digest.SHA256, blob.Name())] {
			if err := os.Remove(filepath.Join(w.blobs(), blob.Name())); err != nil {
				return err
			}
		}
	}

	return nil
}
