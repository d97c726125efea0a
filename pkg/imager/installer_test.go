package imager

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/build/installer"
	"github.com/basalt-os/basalt/internal/build/oci"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/ocilayout"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/uki"
)

// packedLayer is a layer of an image, in a folder of its own.
func packedLayer(t *testing.T, content *tree.Tree) oci.Layer {
	t.Helper()

	dir := t.TempDir()
	if err := oci.WriteLayer(dir, content, oci.Fast); err != nil {
		t.Fatal(err)
	}

	l, err := oci.ReadLayer(dir)
	if err != nil {
		t.Fatal(err)
	}

	return l
}

// installerFixture is the layers of an installer whose files have their names
// for content.
func installerFixture(t *testing.T, arch string) (content, program *tree.Tree) {
	t.Helper()

	dir := t.TempDir()
	file := func(name string) string {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("base "+name), 0o644); err != nil {
			t.Fatal(err)
		}

		return filepath.Join(dir, name)
	}

	content, err := installer.Payload(payload.Manifest{Version: "0.0.9", Arch: arch, Profile: "metal", Kernel: "6.1"}, installer.Files{
		UKI: file("uki"), SystemdBoot: file("boot"), GRUBBoot: file("boot.img"), GRUBCore: file("core.img"),
	})
	if err != nil {
		t.Fatal(err)
	}

	return content, installer.Program(file("program"))
}

// layoutOf is an OCI layout of images, by their versions.
func layoutOf(t *testing.T, images ...oci.Image) string {
	t.Helper()

	dir := t.TempDir()
	if _, err := oci.WriteLayout(dir, images, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}

	return dir
}

func baseLayout(t *testing.T, versions ...string) string {
	t.Helper()

	content, program := installerFixture(t, "amd64")

	var images []oci.Image
	for _, version := range versions {
		images = append(images, installer.Image(version, "amd64", packedLayer(t, content), packedLayer(t, program)))
	}

	return layoutOf(t, images...)
}

// unpacked is the root of the image in an installer's archive.
func unpacked(t *testing.T, name string) (ocilayout.Image, fs.FS) {
	t.Helper()

	layout, err := ocilayout.Extract(name, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	image, err := layout.Image(payload.Image("0.1.0"), "amd64")
	if err != nil {
		t.Fatal(err)
	}

	dir := t.TempDir()

	for i := range image.Manifest.Layers {
		content, err := image.OpenLayer(i)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()

		unpackLayer(t, dir, content)
	}

	return image, os.DirFS(dir)
}

// An installer of an image with a system extension has it, too, and what the
// base installer has beside.
func TestInstaller(t *testing.T) {
	base := baseLayout(t, "0.1.0", "0.0.9")

	p := example(t, KindInstaller)
	p.Input.SDBoot = File{}
	p.Input.BaseInstaller.OCIPath = base
	p.Input.SystemExtensions = []Container{{OCIPath: anExtension(t, "one")}}
	p.Customization.ExtraKernelArgs = []string{"mine"}

	name := build(t, p)
	if filepath.Base(name) != "installer-amd64.tar" {
		t.Errorf("file %s", name)
	}

	image, root := unpacked(t, name)

	config, err := image.Config()
	if diff := cmp.Diff([]string{"/bin/installer"}, config.Config.Entrypoint); diff != "" || err != nil || config.Architecture != "amd64" {
		t.Errorf("entry point (-want +got):\n%s%v for %s", diff, err, config.Architecture)
	}

	manifest, err := payload.Read(root)
	if err != nil || manifest.Version != "0.1.0" || manifest.Profile != "metal" || manifest.Kernel != "6.12.0-test" {
		t.Errorf("manifest %+v, %v", manifest, err)
	}

	for file, want := range map[string]string{
		payload.SystemdBoot: "base boot", payload.GRUBBoot: "base boot.img", payload.GRUBCore: "base core.img",
	} {
		if got, err := manifest.Load(root, file); string(got) != want || err != nil {
			t.Errorf("%s is %q, %v", file, got, err)
		}
	}

	if got, err := fs.ReadFile(root, "bin/installer"); string(got) != "base program" || err != nil {
		t.Errorf("program %q, %v", got, err)
	}

	data, err := manifest.Load(root, payload.UKI)
	if err != nil {
		t.Fatal(err)
	}

	sections, err := uki.Read(data)
	if err != nil || !strings.HasSuffix(string(sections[uki.Cmdline]), " mine") || !strings.Contains(string(sections[uki.Initrd]), "000.one.sqsh") {
		t.Errorf("command line %q, %v", sections[uki.Cmdline], err)
	}

	// What is not changed stays the same layer, for registries to share.
	old, err := ocilayout.Open(base).Image(payload.Image("0.1.0"), "amd64")
	if err != nil || old.Manifest.Layers[1].Digest != image.Manifest.Layers[1].Digest {
		t.Errorf("the program's layer is another, %v", err)
	}
}

// An installer can be the base of the next, as an archive, too; its own files
// win; and two builds are the same.
func TestInstallerOfInstaller(t *testing.T) {
	p := example(t, KindInstaller)
	p.Input.BaseInstaller.OCIPath = baseLayout(t, "9")
	first := build(t, p)

	p.Input.BaseInstaller = Container{TarballPath: first}
	second := build(t, p)

	_, root := unpacked(t, second)

	manifest, err := payload.Read(root)
	if err != nil {
		t.Fatal(err)
	}

	if got, err := manifest.Load(root, payload.SystemdBoot); string(got) != "boot loader" || err != nil {
		t.Errorf("boot loader %q, %v", got, err)
	}

	one, firstErr := Profile{}.sum(first)
	two, secondErr := Profile{}.sum(second)

	if one.SHA256 != two.SHA256 || firstErr != nil || secondErr != nil {
		t.Errorf("%v, %v differ: %v, %v", one, two, firstErr, secondErr)
	}
}

func TestBadBaseInstaller(t *testing.T) {
	content, program := installerFixture(t, "amd64")
	foreign, _ := installerFixture(t, "arm64")
	image := func(layers ...*tree.Tree) string {
		packed := make([]oci.Layer, 0, len(layers))
		for _, l := range layers {
			packed = append(packed, packedLayer(t, l))
		}

		return layoutOf(t, installer.Image("0.1.0", "amd64", packed...))
	}

	for name, test := range map[string]struct {
		base Container
		want error
	}{
		"no layout":     {Container{OCIPath: t.TempDir()}, ocilayout.ErrLayout},
		"no archive":    {Container{TarballPath: filepath.Join(t.TempDir(), "none")}, os.ErrNotExist},
		"several":       {Container{OCIPath: baseLayout(t, "1", "2")}, ErrProfile},
		"another name":  {Container{OCIPath: baseLayout(t, "1"), ImageRef: "x"}, ocilayout.ErrLayout},
		"no payload":    {Container{OCIPath: image(program)}, payload.ErrPayload},
		"another arch":  {Container{OCIPath: image(foreign, program)}, payload.ErrPayload},
		"mixed layer":   {Container{OCIPath: image(tree.New().Merge(content).Merge(program))}, payload.ErrPayload},
		"no boot files": {Container{OCIPath: image(withoutBoot(t), program)}, payload.ErrPayload},
	} {
		p := example(t, KindInstaller)
		p.Input.SDBoot, p.Input.BaseInstaller = File{}, test.base

		if _, err := Build(p, t.TempDir()); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// withoutBoot is a payload without boot loaders.
func withoutBoot(t *testing.T) *tree.Tree {
	t.Helper()

	content, err := installer.Payload(payload.Manifest{Version: "1", Arch: "amd64"}, installer.Files{UKI: os.Args[0]})
	if err != nil {
		t.Fatal(err)
	}

	return content
}

// The archive is also one that "docker load" takes.
func TestInstallerForDocker(t *testing.T) {
	p := example(t, KindInstaller)
	p.Platform = "nocloud"
	p.Input.BaseInstaller.OCIPath = baseLayout(t, "9")

	name := build(t, p)
	if filepath.Base(name) != "nocloud-installer-amd64.tar" {
		t.Errorf("file %s", name)
	}

	dir := t.TempDir()
	if _, err := ocilayout.Extract(name, dir); err != nil {
		t.Fatal(err)
	}

	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}

	readJSON(t, filepath.Join(dir, "manifest.json"), &list)

	if len(list) != 1 || len(list[0].Layers) != 2 {
		t.Fatalf("images %+v", list)
	}

	if diff := cmp.Diff([]string{payload.Image("0.1.0")}, list[0].RepoTags); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}

	var config v1.Image

	readJSON(t, filepath.Join(dir, list[0].Config), &config)

	if len(config.RootFS.DiffIDs) != 2 {
		t.Errorf("configuration %+v", config)
	}
}
