package imager

import (
	"archive/tar"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/installer"
	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/sbom"
	"github.com/basalt-os/basalt/internal/ocilayout"
	"github.com/basalt-os/basalt/internal/payload"
)

// baseInstaller is an installer image that another is made from.
type baseInstaller struct {
	layers   []oci.Layer // those without a payload
	config   v1.ImageConfig
	manifest payload.Manifest
	dir      string // the payload, but for its unified kernel image
}

// writeInstaller makes an installer image: the layers of the base installer as
// they are, and another payload in the place of its own.
func (p Profile) writeInstaller(file *os.File, work string) error {
	base, err := p.readBase(work)
	if err != nil {
		return fmt.Errorf("reading the base installer: %w", err)
	}

	files, err := p.installerFiles(base, work)
	if err != nil {
		return err
	}

	kernel, err := os.ReadFile(p.Input.Kernel.Path)
	if err != nil {
		return err
	}

	content, err := installer.Payload(payload.Manifest{
		Version: p.Version, Arch: p.Arch, Profile: base.manifest.Profile,
		Kernel: cmp.Or(kernelRelease(kernel), base.manifest.Kernel),
	}, files)
	if err != nil {
		return err
	}

	p.making.step("packing")

	packed := filepath.Join(work, "payload")
	if err := errors.Join(os.Mkdir(packed, 0o700), oci.WriteLayer(packed, content, oci.Fast)); err != nil {
		return err
	}

	layer, err := oci.ReadLayer(packed)
	if err != nil {
		return err
	}

	image := installer.Image(p.Version, p.Arch, slices.Insert(base.layers, 0, layer)...)
	image.Config = base.config

	return oci.WriteArchive(file, filepath.Join(work, "layout"), image)
}

// installerFiles are the files for the disk: the profile's and, of boot loaders
// that it does not name, the base installer's.
func (p Profile) installerFiles(base baseInstaller, work string) (installer.Files, error) {
	image, err := p.uki()
	if err != nil {
		return installer.Files{}, err
	}

	files := installer.Files{
		UKI: filepath.Join(work, payload.UKI), SystemdBoot: p.Input.SDBoot.Path,
		GRUBBoot: p.Input.GRUBBoot.Path, GRUBCore: p.Input.GRUBCore.Path,
	}

	err = os.WriteFile(files.UKI, image, 0o600)
	if err == nil && files.SystemdBoot == "" {
		files.SystemdBoot, err = base.file(payload.SystemdBoot)
	}

	if err != nil || files.GRUBBoot != "" && files.GRUBCore != "" {
		return files, err
	}

	files.GRUBBoot, files.GRUBCore = "", ""

	if _, ok := base.manifest.File(payload.GRUBBoot); ok {
		var bootErr, coreErr error

		files.GRUBBoot, bootErr = base.file(payload.GRUBBoot)
		files.GRUBCore, coreErr = base.file(payload.GRUBCore)
		err = errors.Join(bootErr, coreErr)
	}

	return files, err
}

// readBase reads the base installer.
func (p Profile) readBase(work string) (baseInstaller, error) {
	p.making.step("reading the base installer")

	image, err := p.baseImage(work)
	if err != nil {
		return baseInstaller{}, err
	}

	config, err := image.Config()
	if err != nil {
		return baseInstaller{}, err
	}

	base := baseInstaller{config: config.Config, dir: filepath.Join(work, "base")}

	if len(config.RootFS.DiffIDs) != len(image.Manifest.Layers) {
		return base, fmt.Errorf("%w: its configuration does not name its layers", ocilayout.ErrLayout)
	}

	if err := os.Mkdir(base.dir, 0o700); err != nil {
		return base, err
	}

	for i, descriptor := range image.Manifest.Layers {
		isPayload, err := base.readLayer(image, i)
		if err != nil {
			return base, fmt.Errorf("layer %d: %w", i, err)
		}

		if isPayload {
			continue
		}

		path, err := image.LayerFile(i)
		if err != nil {
			return base, err
		}

		base.layers = append(base.layers, oci.ForeignLayer(path, descriptor, config.RootFS.DiffIDs[i]))
	}

	if base.manifest, err = payload.Read(os.DirFS(base.dir)); err != nil {
		return base, err
	}

	if base.manifest.Arch != p.Arch {
		return base, fmt.Errorf("%w: it is for %s and not for %s", payload.ErrPayload, base.manifest.Arch, p.Arch)
	}

	p.making.add(sbom.Program{
		Name: payload.Image(base.manifest.Version), Version: base.manifest.Version, SHA256: image.Digest.Encoded(),
	})

	return base, nil
}

// baseImage finds the base installer in its layout: under the name that the
// profile gives or else, if there is one, that of this version's installer.
func (p Profile) baseImage(work string) (ocilayout.Image, error) {
	layout, err := p.Input.BaseInstaller.open(work)
	if err != nil {
		return ocilayout.Image{}, err
	}

	names, err := layout.Names()
	if err != nil {
		return ocilayout.Image{}, err
	}

	name := p.Input.BaseInstaller.ImageRef

	switch usual := payload.Image(p.Version); {
	case name != "":
	case slices.Contains(names, usual):
		name = usual
	case len(names) > 1:
		return ocilayout.Image{}, fmt.Errorf("%w: input.baseInstaller.imageRef has to name one of %s", ErrProfile, strings.Join(names, ", "))
	}

	return layout.Image(name, p.Arch)
}

// readLayer says whether a layer is the payload, and keeps that.
func (b baseInstaller) readLayer(image ocilayout.Image, layer int) (isPayload bool, err error) {
	content, err := image.OpenLayer(layer)
	if err != nil {
		return false, err
	}
	defer content.Close()

	root, err := os.OpenRoot(b.dir)
	if err != nil {
		return false, err
	}
	defer root.Close()

	other := false

	for archive := tar.NewReader(content); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return false, err
		}

		switch name := strings.TrimPrefix(header.Name, "./"); {
		case header.Typeflag == tar.TypeDir:
		case !strings.HasPrefix(name, payload.Folder+"/"):
			other = true
		default:
			isPayload = true

			if filepath.Base(name) == payload.UKI {
				continue // the largest by far, and not used
			}

			if err := ocilayout.ExtractFile(root, header, archive); err != nil {
				return false, err
			}
		}
	}

	if isPayload && other {
		return false, fmt.Errorf("%w: it has the payload and other files", payload.ErrPayload)
	}

	return isPayload, nil
}

// file is the path of a file of the base installer's payload, which is what its
// manifest says.
func (b baseInstaller) file(name string) (string, error) {
	content, err := b.manifest.Open(os.DirFS(b.dir), name)
	if err != nil {
		return "", fmt.Errorf("reading the base installer: %w", err)
	}

	return filepath.Join(b.dir, filepath.FromSlash(content.Path)), content.Close()
}
