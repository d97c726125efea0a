// Package sbom writes bills of materials: what an image or a root tree is made
// of, from the module information that Go puts into programs and from the data
// of Debian packages. The same parts give the same bytes.
package sbom

import (
	"bytes"
	"cmp"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"github.com/basalt-os/basalt/internal/build/debian"
)

// Module is a Go module that is linked into a program.
type Module struct {
	Path    string
	Version string
	Sum     string // go.sum's "h1:...", empty for our own modules
}

// Program is a compiled program, or an image with some.
type Program struct {
	Name    string
	Version string
	SHA256  string // hexadecimal; empty when not known
}

// File is a file that went into something as it is.
type File struct {
	Name   string
	SHA256 string // hexadecimal
}

// Bill is what something is made of.
type Bill struct {
	Name     string
	Version  string
	Programs []Program
	Modules  []Module
	Packages []debian.Package
	Files    []File

	included []cyclonedx.Component
}

// Include adds what another bill, which was encoded, has.
func (b *Bill) Include(data []byte) error {
	var bom cyclonedx.BOM

	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return fmt.Errorf("reading a bill of materials: %w", err)
	}

	if bom.Components != nil {
		b.included = append(b.included, *bom.Components...)
	}

	return nil
}

// Modules reads the modules of a compiled Go program, the Go standard library
// among them.
func Modules(program string) ([]Module, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return nil, fmt.Errorf("reading the modules of a program: %w", err)
	}

	modules := []Module{{Path: "std", Version: strings.TrimPrefix(info.GoVersion, "go")}}

	for _, dependency := range append(info.Deps, &info.Main) {
		for dependency.Replace != nil {
			dependency = dependency.Replace
		}

		if known(dependency) {
			modules = append(modules, Module{dependency.Path, dependency.Version, dependency.Sum})
		}
	}

	return modules, nil
}

// known leaves out a main module without a version: it is our own.
func known(m *debug.Module) bool { return m.Path != "" && m.Version != "" && m.Version != "(devel)" }

// Unique sorts modules and removes those that are there twice.
func Unique(modules []Module) []Module {
	slices.SortFunc(modules, func(a, b Module) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	})

	return slices.Compact(modules)
}

// Encode returns the bill as CycloneDX JSON.
func (b Bill) Encode() (string, error) {
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		Type: cyclonedx.ComponentTypeOS, Name: b.Name, Version: b.Version,
	}}

	if strings.Contains(b.Name, "/") {
		bom.Metadata.Component.Type = cyclonedx.ComponentTypeContainer
	}

	var components []cyclonedx.Component

	for _, f := range b.Files {
		components = append(components, cyclonedx.Component{Type: cyclonedx.ComponentTypeFile, Name: f.Name, Hashes: hashes(f.SHA256)})
	}

	for _, p := range b.Programs {
		components = append(components, cyclonedx.Component{
			Type: cyclonedx.ComponentTypeApplication, Name: p.Name, Version: p.Version, Hashes: hashes(p.SHA256),
		})
	}

	for _, m := range Unique(slices.Clone(b.Modules)) {
		components = append(components, moduleComponent(m))
	}

	for _, p := range b.Packages {
		purl := "pkg:deb/debian/" + url.PathEscape(p.Name) + "@" + url.PathEscape(p.Version) + "?arch=" + p.Architecture
		components = append(components, cyclonedx.Component{
			BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: purl,
			Hashes:     hashes(p.SHA256),
			Properties: &[]cyclonedx.Property{{Name: "debian:source", Value: p.Source}},
		})
	}

	components = distinct(append(components, b.included...))
	bom.Components = &components

	var out bytes.Buffer

	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom); err != nil {
		return "", fmt.Errorf("writing the bill of materials of %s: %w", b.Name, err)
	}

	return out.String(), nil
}

// hashes are the digests of a component, none if its SHA-256 is not known.
func hashes(sum string) *[]cyclonedx.Hash {
	if sum == "" {
		return nil
	}

	return &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: sum}}
}

// distinct leaves out components that are there before.
func distinct(components []cyclonedx.Component) []cyclonedx.Component {
	type identity struct {
		kind                cyclonedx.ComponentType
		name, version, purl string
		hashes              string
	}

	seen := map[identity]bool{}

	return slices.DeleteFunc(components, func(c cyclonedx.Component) bool {
		id := identity{c.Type, c.Name, c.Version, c.PackageURL, ""}
		if c.Hashes != nil {
			id.hashes = fmt.Sprint(*c.Hashes)
		}

		known := seen[id]
		seen[id] = true

		return known
	})
}

func moduleComponent(m Module) cyclonedx.Component {
	purl := "pkg:golang/" + m.Path + "@" + url.PathEscape(m.Version)
	component := cyclonedx.Component{
		BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: purl,
	}

	// go.sum's checksum is a SHA-256 over the module's files.
	if sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:")); err == nil && len(sum) > 0 {
		component.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	}

	return component
}
