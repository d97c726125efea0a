package oci

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/tree"
)

// dockerFile lists the images of an archive for tools that do not know OCI
// layouts.
const dockerFile = "manifest.json"

// dockerImage is an image in that list.
type dockerImage struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// WriteArchive writes an image as an archive that is an OCI layout, and that
// "docker load" takes, too. Work is an empty folder, for the layout.
func WriteArchive(w io.Writer, work string, image Image) error {
	digests, err := WriteLayout(work, []Image{image}, func(string) bool { return false })
	if err != nil {
		return err
	}

	list, err := dockerList(work, digests[0], image.Names)
	if err != nil {
		return fmt.Errorf("describing an image: %w", err)
	}

	return tree.New().Existing("", work).Text(dockerFile, 0o644, list).WriteTar(w)
}

func dockerList(dir string, manifest digest.Digest, names []string) (string, error) {
	blob := func(d digest.Digest) string { return path.Join(v1.ImageBlobsDir, "sha256", d.Encoded()) }

	data, err := os.ReadFile(filepath.Join(dir, blob(manifest)))
	if err != nil {
		return "", err
	}

	var m v1.Manifest

	err = json.Unmarshal(data, &m)
	image := dockerImage{Config: blob(m.Config.Digest), RepoTags: names}

	for _, layer := range m.Layers {
		image.Layers = append(image.Layers, blob(layer.Digest))
	}

	text, encodeErr := json.Marshal([]dockerImage{image})

	return string(text), errors.Join(err, encodeErr)
}
