package vm

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build"
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

	files := tree.New().Dir("bin", 0o755).Dir("tmp", 0o1777).
		Existing("bin/installer", program).
		Existing(payload.Path(runtime.GOARCH, payload.UKI), file).
		Existing(payload.Path(runtime.GOARCH, payload.SystemdBoot), Image("systemd-boot-"+runtime.GOARCH+".efi")).
		Existing(payload.Path(runtime.GOARCH, payload.GRUBBoot), Image("grub-boot-"+runtime.GOARCH+".img")).
		Existing(payload.Path(runtime.GOARCH, payload.GRUBCore), Image("grub-core-"+runtime.GOARCH+".img"))

	manifest, err := build.Manifest(files, payload.Manifest{
		Version: version, Arch: runtime.GOARCH, Profile: build.DefaultKernel, Kernel: "test",
	})
	files.Text(payload.ManifestFile, 0o644, manifest)

	layers := filepath.Join(dir, "layer")
	if err := errors.Join(err, files.Err(), os.Mkdir(layers, 0o755), oci.WriteLayer(layers, files, oci.Fast)); err != nil {
		return oci.Image{}, err
	}

	layer, err := oci.ReadLayer(layers)

	return oci.Image{
		Names: []string{payload.Image(version)}, Layers: []oci.Layer{layer},
		Config: v1.ImageConfig{Entrypoint: []string{"/bin/installer"}},
	}, err
}
