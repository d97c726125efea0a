package build

import (
	"fmt"

	"github.com/basalt-os/basalt/internal/build/installer"
	"github.com/basalt-os/basalt/internal/build/oci"
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
	files, err := installer.Payload(
		payload.Manifest{Version: version.Version, Arch: arch, Profile: m.profile.name, Kernel: m.kernel.Release},
		installer.Files{
			UKI: m.uki, SystemdBoot: m.systemdBoot(), GRUBBoot: m.grubFile("boot"), GRUBCore: m.grubFile("core"),
		})
	if err != nil {
		return image{}, fmt.Errorf("putting the installer image together: %w", err)
	}

	program := installer.Program(programs[installerProgram].program(installerProgram).path)

	result := image{
		title:   installer.Title,
		names:   []string{payload.Repository + ":" + m.profile.installerTag()},
		version: m.profile.installerTag(),
		layers: []layer{
			{name: "payload-" + m.profile.name, tree: files, effort: oci.Fast},
			{name: installerProgram, tree: program},
		},
		entrypoint: installer.Entrypoint(),
	}

	all := m.contents()
	result.parts, result.machine, result.packages = append(all.parts, installerProgram), all.machine, all.packages

	return result, program.Err()
}
