package build

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"

	"github.com/basalt-os/basalt/internal/build/debian"
	"github.com/basalt-os/basalt/internal/build/sbom"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/imager"
)

// bill is the bill of materials of something made of components and Debian
// packages.
func (b *builder) bill(name, version string, programs map[string]compiled, parts []string, packages []debian.Package) (string, error) {
	result := sbom.Bill{Name: name, Version: strings.TrimPrefix(version, "v"), Packages: packages}

	for _, part := range parts {
		c := programs[part]
		result.Modules = append(result.Modules, c.Modules...)

		for _, p := range c.Programs {
			result.Programs = append(result.Programs, sbom.Program{
				Name: p.Name, Version: strings.TrimPrefix(c.Origin.Version, "v"), SHA256: p.Sum,
			})
		}
	}

	return result.Encode()
}

// sorted are packages in the order of their names.
func (s *suite) sorted(names ...string) []debian.Package {
	var packages []debian.Package

	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		packages = append(packages, s.packages[name])
	}

	return packages
}

// rootBill is the bill of the root tree; it is in the tree.
func (b *builder) rootBill(programs map[string]compiled) (string, error) {
	return b.bill("basalt", version.Version, programs, rootParts(), b.host.sorted(append([]string{"ca-certificates"}, nftPackages...)...))
}

// writeBills puts the bills of all images and of the root tree beside the
// layout, and removes those of images that are gone.
func (b *builder) writeBills(programs map[string]compiled, images []image) error {
	bills := map[string]string{}

	var err error

	if bills["root.cdx.json"], err = b.rootBill(programs); err != nil {
		return err
	}

	for _, i := range images {
		packages := i.packages
		if !i.bare {
			packages = append([]string{"ca-certificates"}, packages...)
		}

		contents := b.host.sorted(packages...)
		if len(i.machine) > 0 {
			contents = append(contents, b.machine.sorted(i.machine...)...)
		}

		repository, _, _ := strings.Cut(i.names[0], ":")

		if bills[i.title+"-"+i.version+".cdx.json"], err = b.bill(repository, i.version, programs, i.parts, contents); err != nil {
			return err
		}
	}

	dir := filepath.Join(b.options.Output, "sbom")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("writing bills of materials: %w", err)
	}

	for name, text := range bills {
		if err := writeText(filepath.Join(dir, name), text); err != nil {
			return fmt.Errorf("writing bills of materials: %w", err)
		}
	}

	old, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("writing bills of materials: %w", err)
	}

	for _, file := range old {
		if _, ok := bills[file.Name()]; !ok {
			if err := os.Remove(filepath.Join(dir, file.Name())); err != nil {
				return fmt.Errorf("removing an old bill of materials: %w", err)
			}
		}
	}

	return nil
}

// contents is what something for machines is made of.
type contents struct {
	parts    []string // components
	packages []string // Debian packages of the host's suite
	machine  []string // Debian packages of the machines' suite
}

// contents are those of an image of a machine.
func (m machineParts) contents() contents {
	machine := []string{m.kernel.Package, devicesPackage, bootPackage, grubPackage}

	return contents{
		parts:    append(rootParts(), "stage1", "modprobe"),
		packages: slices.Concat([]string{"ca-certificates"}, nftPackages, mkfsPackages),
		machine:  append(machine, m.profile.firmware...),
	}
}

// mediumContents are those of a file in the folder of images, and false for text.
func (m machineParts) mediumContents(name string) (contents, bool) {
	all := m.contents()
	without := func(names ...string) contents {
		all.machine = slices.DeleteFunc(all.machine, func(name string) bool { return slices.Contains(names, name) })

		return all
	}

	switch {
	case strings.HasPrefix(name, "cmdline-"), strings.HasSuffix(name, ".ipxe"):
		return contents{}, false
	case name == kernelFile:
		return contents{machine: []string{m.kernel.Package}}, true
	case strings.HasPrefix(name, "systemd-"):
		return contents{machine: []string{bootPackage}}, true
	case strings.HasPrefix(name, "grub-"):
		return contents{machine: []string{grubPackage}}, true
	case name == initramfsFile:
		return without(bootPackage, grubPackage), true
	case strings.HasSuffix(name, ".efi"):
		return without(grubPackage), true
	default:
		return all, true
	}
}

// writeDocuments writes a medium's checksum and bill of materials beside it.
func (b *builder) writeDocuments(m machineParts, medium Medium, programs map[string]compiled) error {
	path := filepath.Join(b.options.Output, medium.File)
	if err := imager.WriteChecksum(path, medium.SHA256); err != nil {
		return err
	}

	in, ok := m.mediumContents(filepath.Base(medium.File))
	if !ok {
		return nil
	}

	packages := append(b.host.sorted(in.packages...), b.machine.sorted(in.machine...)...)

	text, err := b.bill("basalt", version.Version, programs, in.parts, packages)
	if err != nil {
		return err
	}

	return writeText(path+imager.BillSuffix, text)
}

// writeText replaces a file when its content is another.
func writeText(name, text string) error {
	if data, err := os.ReadFile(name); err == nil && string(data) == text {
		return nil
	}

	return renameio.WriteFile(name, []byte(text), 0o644)
}
