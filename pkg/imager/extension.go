package imager

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/build/sbom"
	"github.com/basalt-os/basalt/internal/extension"
	"github.com/basalt-os/basalt/internal/initramfs"
	"github.com/basalt-os/basalt/internal/kmod"
	"github.com/basalt-os/basalt/internal/squashfs"
	"github.com/basalt-os/basalt/internal/version"
)

// embeddedConfig is where the node looks for the configuration that comes with
// its image.
const embeddedConfig = "usr/local/etc/talos/config.yaml"

// embeddedName is the name of the layer that carries the configuration.
const embeddedName = "embedded-config"

// layered says whether the image has layers beside the root file system.
func (p Profile) layered() bool {
	return len(p.Input.SystemExtensions) > 0 || p.Customization.EmbeddedMachineConfiguration != ""
}

// withLayers is the profile with an initramfs that has the system extensions and
// the configuration: the given one with a second archive behind it, which the
// kernel unpacks as well. Files go into the folder work.
func (p Profile) withLayers(work string) (Profile, error) {
	if _, ok := p.requirements()["initramfs"]; !p.layered() || !ok {
		return p, nil
	}

	p.making.step("system extensions and configuration")

	name := filepath.Join(work, "initramfs")

	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return p, err
	}
	defer file.Close()

	if err := copyInto(file, p.Input.Initramfs.Path); err != nil {
		return p, err
	}

	if err := p.appendLayers(file, work); err != nil {
		return p, err
	}

	p.Input.Initramfs.Path = name

	return p, file.Close()
}

// layer is what becomes an image beside the root file system.
type layer struct {
	metadata extension.Metadata
	entries  []squashfs.Entry
}

// appendLayers writes the second archive.
func (p Profile) appendLayers(file *os.File, work string) error {
	layers, err := p.layers(work)
	if err != nil {
		return err
	}

	size, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}

	// Archives begin at a multiple of four bytes.
	if _, err := file.Write(make([]byte, roundUp(size, 4)-size)); err != nil {
		return err
	}

	archive := initramfs.NewWriter(file)

	var list extension.Layers

	for i, l := range layers {
		name := extension.ImageName(i, l.metadata.Name)
		if err := appendLayer(archive, filepath.Join(work, name), path.Join(extension.Folder, name), l.entries); err != nil {
			return fmt.Errorf("adding the system extension %s: %w", l.metadata.Name, err)
		}

		list.Layers = append(list.Layers, extension.Layer{Image: name, Metadata: l.metadata})
	}

	data, err := list.Encode()
	if err != nil {
		return err
	}

	if err := archive.File(extension.LayersFile, 0o644, int64(len(data)), bytes.NewReader(data)); err != nil {
		return err
	}

	return archive.Close()
}

func appendLayer(archive *initramfs.Writer, temporary, name string, entries []squashfs.Entry) error {
	image, err := os.OpenFile(temporary, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	defer image.Close()

	if err := squashfs.Write(image, entries); err != nil {
		return err
	}

	info, err := image.Stat()
	if err != nil {
		return err
	}

	return archive.File(name, 0o644, info.Size(), image)
}

// layers reads the extensions, and makes one of the configuration.
func (p Profile) layers(work string) ([]layer, error) {
	kernel, err := os.ReadFile(p.Input.Kernel.Path)
	if err != nil {
		return nil, err
	}

	var layers []layer

	for i, container := range p.Input.SystemExtensions {
		dir := filepath.Join(work, fmt.Sprintf("extension-%d", i))
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, err
		}

		e, err := container.unpack(dir, work, p.Arch)
		if err != nil {
			return nil, err
		}

		metadata := e.Manifest.Metadata

		if err := e.Manifest.Fits(version.Contract); err != nil {
			return nil, err
		}

		if slices.ContainsFunc(layers, func(l layer) bool { return l.metadata.Name == metadata.Name }) {
			return nil, fmt.Errorf("%w: system extension %s is there twice", ErrProfile, metadata.Name)
		}

		entries, err := withModules(e, kernelRelease(kernel))
		if err != nil {
			return nil, fmt.Errorf("adding the system extension %s: %w", metadata.Name, err)
		}

		layers = append(layers, layer{metadata, entries})
		p.making.add(sbom.Program{Name: metadata.Name, Version: metadata.Version})
	}

	if text := p.Customization.EmbeddedMachineConfiguration; text != "" {
		config := memoryFile(embeddedConfig, []byte(text))
		config.Mode = 0o600 // it has keys

		layers = append(layers, layer{
			metadata: extension.Metadata{
				Name: embeddedName, Version: p.Version, Author: version.Name, Description: "machine configuration in the image",
			},
			entries: []squashfs.Entry{config},
		})
	}

	return layers, nil
}

func memoryFile(name string, data []byte) squashfs.Entry {
	return squashfs.Entry{Name: name, Mode: 0o644, Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

// withModules is an extension's files, with kernel modules as the node loads
// them: not compressed, and with an index.
func withModules(e *extension.Extension, release string) ([]squashfs.Entry, error) {
	const modules = "usr/lib/modules"

	if !e.Has(modules) {
		return e.Entries(), nil
	}

	folder := path.Join(modules, release)
	if release == "" || !e.Has(folder) {
		return nil, fmt.Errorf("%w: it has kernel modules, but none for the kernel %s", extension.ErrExtension, release)
	}

	found := entryFS{}

	var entries []squashfs.Entry

	for _, entry := range e.Entries() {
		relative, inFolder := strings.CutPrefix(entry.Name, folder+"/")

		switch ext := path.Ext(relative); {
		case inFolder && (ext == ".ko" || strings.HasSuffix(relative, ".ko.xz")):
			found[relative] = entry
		case inFolder && strings.HasPrefix(path.Base(relative), "modules."):
			// An index of the extension's own would hide the kernel's.
		case inFolder && strings.Contains(path.Base(relative), ".ko."):
			return nil, fmt.Errorf("%w: the kernel module %s is compressed in a way that is not known", extension.ErrExtension, relative)
		default:
			entries = append(entries, entry)
		}
	}

	more, err := indexed(found, folder, e.Manifest.Metadata.Name)

	return append(entries, more...), err
}

// indexed reads modules and returns them with their index.
func indexed(found entryFS, folder, name string) ([]squashfs.Entry, error) {
	var (
		modules []kmod.Module
		entries []squashfs.Entry
	)

	for _, file := range found.sorted() {
		m, err := kmod.ReadFile(found, file)
		if err != nil {
			return nil, err
		}

		modules = append(modules, m)
		entries = append(entries, memoryFile(path.Join(folder, strings.TrimSuffix(file, ".xz")), m.Data))
	}

	index, err := kmod.NewAddedIndex(modules)
	if err != nil {
		return nil, err
	}

	for file, data := range index.AddedFiles(name) {
		entries = append(entries, memoryFile(path.Join(folder, file), data))
	}

	return entries, nil
}

// entryFS opens entries by their names in a folder.
type entryFS map[string]squashfs.Entry

// Open implements [fs.FS] for files.
func (f entryFS) Open(name string) (fs.File, error) {
	entry, ok := f[name]
	if !ok {
		return nil, fs.ErrNotExist
	}

	content, err := entry.Open()
	if err != nil {
		return nil, err
	}

	return entryFile{content}, nil
}

func (f entryFS) sorted() []string {
	var names []string
	for name := range f {
		names = append(names, name)
	}

	slices.Sort(names)

	return names
}

// entryFile is a file of which only the content is asked for.
type entryFile struct{ io.ReadCloser }

// Stat implements [fs.File].
func (entryFile) Stat() (fs.FileInfo, error) { return nil, errors.ErrUnsupported }
