// Package oci writes container images into an OCI layout on disk.
package oci

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/tree"
)

// Compression names how layers are compressed, for cache keys: the same tree
// gives the same layer as long as it does not change.
const Compression = "zstd-best-1"

// Effort is how much time compression may take.
type Effort int

// Small is for what is worth it, Fast for files that are compressed already.
const (
	Small Effort = iota
	Fast
)

const (
	layerFile = "layer.tar.zst"
	metaFile  = "layer.json"
)

// Layer is a compressed layer on disk.
type Layer struct {
	Digest    digest.Digest // of the compressed bytes
	DiffID    digest.Digest // of the archive
	Size      int64         // compressed, bytes
	MediaType string        `json:",omitempty"` // that of an archive in zstd when empty

	path string
}

// WriteLayer packs the tree into dir, where ReadLayer finds it.
func WriteLayer(dir string, t *tree.Tree, effort Effort) error {
	level := zstd.SpeedBestCompression
	if effort == Fast {
		level = zstd.SpeedFastest
	}

	file, err := os.Create(filepath.Join(dir, layerFile))
	if err != nil {
		return err
	}

	layer, err := pack(file, t, level)
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}

	if err != nil {
		return fmt.Errorf("packing a layer: %w", err)
	}

	data, err := json.Marshal(layer)
	if err != nil {
		return err
	}

	return os.WriteFile(filepath.Join(dir, metaFile), data, 0o644)
}

// Measure returns the digest of the tree's archive and about how large it is
// compressed, in bytes; it is faster than a layer and keeps nothing.
func Measure(t *tree.Tree) (archive digest.Digest, size int64, err error) {
	layer, err := pack(io.Discard, t, zstd.SpeedBetterCompression)

	return layer.DiffID, layer.Size, err
}

func pack(w io.Writer, t *tree.Tree, level zstd.EncoderLevel) (Layer, error) {
	compressed := counter{hash: sha256.New(), w: w}
	archive := sha256.New()

	// One goroutine: how the stream is cut into blocks must not depend on timing.
	encoder, err := zstd.NewWriter(&compressed, zstd.WithEncoderLevel(level), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return Layer{}, err
	}

	if err := t.WriteTar(io.MultiWriter(encoder, archive)); err != nil {
		return Layer{}, err
	}

	if err := encoder.Close(); err != nil {
		return Layer{}, err
	}

	return Layer{
		Digest: digest.NewDigest(digest.SHA256, compressed.hash),
		DiffID: digest.NewDigest(digest.SHA256, archive),
		Size:   compressed.size,
	}, nil
}

type counter struct {
	hash hash.Hash
	w    io.Writer
	size int64
}

func (c *counter) Write(data []byte) (int, error) {
	n, err := c.w.Write(data)
	c.hash.Write(data[:n])
	c.size += int64(n)

	return n, err
}

// ReadLayer reads what WriteLayer left in dir.
func ReadLayer(dir string) (Layer, error) {
	data, err := os.ReadFile(filepath.Join(dir, metaFile))
	if err != nil {
		return Layer{}, fmt.Errorf("reading a layer: %w", err)
	}

	layer := Layer{path: filepath.Join(dir, layerFile)}

	if err := json.Unmarshal(data, &layer); err != nil {
		return Layer{}, fmt.Errorf("reading a layer: %w", err)
	}

	return layer, nil
}

// ForeignLayer is a layer that another tool has made, in a file.
func ForeignLayer(path string, d v1.Descriptor, diffID digest.Digest) Layer {
	return Layer{Digest: d.Digest, DiffID: diffID, Size: d.Size, MediaType: d.MediaType, path: path}
}
