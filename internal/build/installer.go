package build

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/version"
)

// installerRepository is the public name of installer images.
const installerRepository = "ghcr.io/basalt-os/installer"

// installerTag is the tag of the image that installs this kernel.
func (k kernelProfile) installerTag() string {
	if k.name == DefaultKernel {
		return "v" + version.Version
	}

	return "v" + version.Version + "-" + k.name
}

// installerProgram is a component, once its sources are there.
const installerProgram = "installer"

// hasInstaller says whether the installer's program can be compiled.
func hasInstaller(root string) bool {
	_, err := os.Stat(filepath.Join(root, "cmd", installerProgram))

	return err == nil
}

// installer is the image that puts the system on a machine's disk: the files
// for the disk, their manifest, and the program that does it.
func (b *builder) installer(m machineParts, programs map[string]compiled) (image, error) {
	files := tree.New().
		Existing(payload.Path(arch, payload.UKI), m.uki).
		Existing(payload.Path(arch, payload.SystemdBoot), m.systemdBoot()).
		Existing(payload.Path(arch, payload.GRUBBoot), filepath.Join(m.grub, "boot.img")).
		Existing(payload.Path(arch, payload.GRUBCore), filepath.Join(m.grub, "core.img"))

	manifest, err := manifestOf(files, m)
	if err != nil {
		return image{}, fmt.Errorf("describing the installer image: %w", err)
	}

	files.Text(payload.ManifestFile, 0o644, manifest)

	result := image{
		title:   "installer",
		names:   []string{installerRepository + ":" + m.profile.installerTag()},
		version: m.profile.installerTag(),
		layers:  []layer{{name: "payload-" + m.profile.name, tree: files, effort: oci.Fast}},
		parts:   append([]string{"stage1"}, rootParts()...),
		machine: []string{m.kernel.Package, "systemd-boot-efi", "grub-pc-bin"},
	}

	result.machine = append(result.machine, m.profile.firmware...)
	result.packages = slices.Concat(nftPackages, mkfsPackages)

	if c, ok := programs[installerProgram]; ok {
		program := tree.New().Dir("bin", 0o755).Dir("tmp", sticky|0o777)
		result.layers = append(result.layers, layer{
			name: installerProgram, tree: one(program, "bin/installer", c.program(installerProgram)),
		})
		result.entrypoint = []string{"/bin/installer"}
		result.parts = append(result.parts, installerProgram)
	}

	return result, files.Err()
}

// manifestOf describes the files of an installer image.
func manifestOf(files *tree.Tree, m machineParts) (string, error) {
	manifest := payload.Manifest{
		Version: version.Version, Arch: arch, Profile: m.profile.name, Kernel: m.kernel.Release,
	}

	for name, e := range files.All() {
		if strings.HasPrefix(name, payload.Folder+"/") && e.Mode.IsRegular() {
			manifest.Files = append(manifest.Files, payload.File{Path: name, Size: e.Size, SHA256: e.Sum})
		}
	}

	data, err := json.MarshalIndent(manifest, "", "  ")

	return string(data) + "\n", err
}
