package build

import (
	"path/filepath"
	"slices"
	"testing"
)

// Each medium says what it is made of, and nothing else.
func TestMediumContents(t *testing.T) {
	m := machineParts{kernel: kernel{Package: "linux"}, profile: kernelProfile{firmware: []string{"firmware"}}}

	for name, want := range map[string]struct {
		node                       bool // the programs of a node
		kernel, boot, grub, nobody bool
	}{
		kernelFile:               {kernel: true},
		initramfsFile:            {node: true, kernel: true},
		"systemd-stub-amd64.efi": {boot: true},
		"systemd-boot-amd64.efi": {boot: true},
		"grub-core-amd64.img":    {grub: true},
		"metal-amd64-uki.efi":    {node: true, kernel: true, boot: true},
		"metal-amd64.iso":        {node: true, kernel: true, boot: true, grub: true},
		"metal-amd64.raw":        {node: true, kernel: true, boot: true, grub: true},
		"metal-amd64.ipxe":       {nobody: true},
		"cmdline-metal-amd64":    {nobody: true},
	} {
		got, ok := m.mediumContents(name)
		if ok == want.nobody || slices.Contains(got.parts, "basalt") != want.node {
			t.Errorf("%s: %+v, %t", name, got, ok)
		}

		for pkg, in := range map[string]bool{
			"linux": want.kernel, bootPackage: want.boot, grubPackage: want.grub, "firmware": want.node, devicesPackage: want.node,
		} {
			if slices.Contains(got.machine, pkg) != in {
				t.Errorf("%s: package %s is in it: %t", name, pkg, !in)
			}
		}
	}
}

// The script that is made names files that are made.
func TestScriptNamesMedia(t *testing.T) {
	for _, profile := range (machineParts{}).mediaProfiles() {
		options := profile.Output.IPXEOptions
		if filepath.Ext(profile.FileName()) != ".ipxe" {
			continue
		}

		if options.Kernel != kernelFile || options.Initramfs != initramfsFile {
			t.Errorf("%s names %+v", profile.FileName(), options)
		}

		return
	}

	t.Error("there is no script")
}
