package vm

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build"
	"github.com/basalt-os/basalt/internal/build/installer"
	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/payload"
)

// Images makes a folder for Options.Images: what the build made, and installers
// of further versions of the system, each broken in its way. It lives as long
// as the test.
func Images(t *testing.T, versions map[string]Poison) string {
	t.Helper()
	Require(t)

	dir := filepath.Join(t.TempDir(), "oci")
	if err := linkLayout(Output("_out", "oci"), dir); err != nil {
		t.Fatalf("preparing images: %v", err)
	}

	program := filepath.Join(t.TempDir(), "installer")
	command := exec.Command("go", "build", "-trimpath", "-o", program, "./cmd/installer")
	command.Dir, command.Env = Output(), append(os.Environ(), "CGO_ENABLED=0")

	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("compiling the installer: %v\n%s", err, out)
	}

	var images []oci.Image

	for version, poison := range versions {
		image, err := installerImage(t.TempDir(), program, version, poison.UKI(t, version))
		if err != nil {
			t.Fatalf("making the installer of version %s: %v", version, err)
		}

		images = append(images, image)
	}

	if _, err := oci.WriteLayout(dir, images, func(string) bool { return true }); err != nil {
		t.Fatalf("making images: %v", err)
	}

	return dir
}

// linkLayout makes a second folder of the same images.
func linkLayout(from, to string) error {
	if err := os.MkdirAll(filepath.Join(to, v1.ImageBlobsDir, "sha256"), 0o755); err != nil {
		return err
	}

	blobs, err := filepath.Glob(filepath.Join(from, v1.ImageBlobsDir, "sha256", "*"))
	if err != nil {
		return err
	}

	for _, blob := range blobs {
		target := filepath.Join(to, v1.ImageBlobsDir, "sha256", filepath.Base(blob))
		if err := os.Link(blob, target); err == nil {
			continue
		}

		// It is another file system.
		if err := os.Symlink(blob, target); err != nil {
			return err
		}
	}

	for _, name := range []string{v1.ImageIndexFile, v1.ImageLayoutFile} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o644)
		}

		if err != nil {
			return err
		}
	}

	return nil
}

// installerImage is an installer as the build makes it, with this unified kernel
// image.
func installerImage(dir, program, version string, uki []byte) (oci.Image, error) {
	file := filepath.Join(dir, "uki.efi")
	if err := os.WriteFile(file, uki, 0o644); err != nil {
		return oci.Image{}, err
	}

	files, err := installer.Payload(
		payload.Manifest{Version: version, Arch: runtime.GOARCH, Profile: build.DefaultKernel, Kernel: "test"},
		installer.Files{
			UKI: file, SystemdBoot: Image("systemd-boot-" + runtime.GOARCH + ".efi"),
			GRUBBoot: Image("grub-boot-" + runtime.GOARCH + ".img"), GRUBCore: Image("grub-core-" + runtime.GOARCH + ".img"),
		})
	if err != nil {
		return oci.Image{}, err
	}

	var layers []oci.Layer

	for i, t := range []*tree.Tree{files, installer.Program(program)} {
		folder := filepath.Join(dir, fmt.Sprintf("layer-%d", i))
		if err := errors.Join(os.Mkdir(folder, 0o755), oci.WriteLayer(folder, t, oci.Fast)); err != nil {
			return oci.Image{}, err
		}

		layer, err := oci.ReadLayer(folder)
		if err != nil {
			return oci.Image{}, err
		}

		layers = append(layers, layer)
	}

	return installer.Image(version, runtime.GOARCH, layers...), nil
}
