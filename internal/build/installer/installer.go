// Package installer makes installer images: what puts the system on the disk of
// a machine. Package payload says what is in them, and reads it.
package installer

import (
	"encoding/json"
	"fmt"
	"io/fs"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/payload"
)

// Title is the name of installer images among others.
const Title = "installer"

// program is the path of the program in an image.
const program = "bin/installer"

// Files are the files for a machine's disk, on this machine.
type Files struct {
	UKI         string
	SystemdBoot string

	// GRUB, for machines without UEFI. Both or none.
	GRUBBoot, GRUBCore string
}

// Payload is the layer with the files for a disk. The manifest is what is known
// about them, and is completed.
func Payload(manifest payload.Manifest, files Files) (*tree.Tree, error) {
	t := tree.New()

	for name, source := range map[string]string{
		payload.UKI: files.UKI, payload.SystemdBoot: files.SystemdBoot,
		payload.GRUBBoot: files.GRUBBoot, payload.GRUBCore: files.GRUBCore,
	} {
		if source != "" {
			t.Existing(payload.Path(manifest.Arch, name), source)
		}
	}

	for name, e := range t.All() {
		if e.Mode.IsRegular() {
			manifest.Files = append(manifest.Files, payload.File{Path: name, Size: e.Size, SHA256: e.Sum})
		}
	}

	data, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("describing an installer image: %w", err)
	}

	return t.Text(payload.ManifestFile, 0o644, string(data)+"\n"), t.Err()
}

// Program is the layer with the program, whose path on this machine is given.
func Program(source string) *tree.Tree {
	return tree.New().Dir("bin", 0o755).Dir("tmp", fs.ModeSticky|0o777).Program(program, source)
}

// Entrypoint is the command that the image runs.
func Entrypoint() []string { return []string{"/" + program} }

// Image is the image of a version of the system, with its layers.
func Image(systemVersion, arch string, layers ...oci.Layer) oci.Image {
	return oci.Image{
		Names: []string{payload.Image(systemVersion)}, Arch: arch, Layers: layers,
		Config: v1.ImageConfig{Env: []string{oci.SearchPath}, Entrypoint: Entrypoint()},

		Annotations: oci.Annotations(Title, systemVersion),
	}
}
