package build

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/version"
)

// named adds the kernel's name to that of what is made with it, unless it is the
// usual kernel.
func (k kernelProfile) named(name string) string {
	if k.name == DefaultKernel {
		return name
	}

	return name + "-" + k.name
}

// installerTag is the tag of the image that installs this kernel.
func (k kernelProfile) installerTag() string { return k.named("v" + version.Version) }

// installerProgram is the component that is the installer's program.
const installerProgram = "installer"

// installer is the image that puts the system on a machine's disk: the files
// for the disk, their manifest, and the program that does it.
func (b *builder) installer(m machineParts, programs map[string]compiled) (image, error) {
	files := tree.New().
		Existing(payload.Path(arch, payload.UKI), m.uki).
		Existing(payload.Path(arch, payload.SystemdBoot), m.systemdBoot()).
		Existing(payload.Path(arch, payload.GRUBBoot), m.grubFile("boot")).
		Existing(payload.Path(arch, payload.GRUBCore), m.grubFile("core"))

	manifest, err := Manifest(files, payload.Manifest{
		Version: version.Version, Arch: arch, Profile: m.profile.name, Kernel: m.kernel.Release,
	})
	if err != nil {
		return image{}, fmt.Errorf("describing the installer image: %w", err)
	}

	files.Text(payload.ManifestFile, 0o644, manifest)

	program := tree.New().Dir("bin", 0o755).Dir("tmp", sticky|0o777)

	result := image{
		title:   "installer",
		names:   []string{payload.Repository + ":" + m.profile.installerTag()},
		version: m.profile.installerTag(),
		layers: []layer{
			{name: "payload-" + m.profile.name, tree: files, effort: oci.Fast},
			{name: installerProgram, tree: one(program, "bin/installer", programs[installerProgram].program(installerProgram))},
		},
		entrypoint: []string{"/bin/installer"},
		parts:      append(append([]string{"stage1"}, rootParts()...), installerProgram),
		machine:    []string{m.kernel.Package, "systemd-boot-efi", "grub-pc-bin"},
	}

	result.machine = append(result.machine, m.profile.firmware...)
	result.packages = slices.Concat(nftPackages, mkfsPackages)

	return result, files.Err()
}

// Manifest is the text of the manifest of an installer image: what is known
// about it, and its files.
func Manifest(files *tree.Tree, manifest payload.Manifest) (string, error) {
	for name, e := range files.All() {
		if strings.HasPrefix(name, payload.Folder+"/") && e.Mode.IsRegular() {
			manifest.Files = append(manifest.Files, payload.File{Path: name, Size: e.Size, SHA256: e.Sum})
		}
	}

	data, err := json.MarshalIndent(manifest, "", "  ")

	return string(data) + "\n", err
}
