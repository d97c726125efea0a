package imager

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/ulikunitz/xz"

	"github.com/basalt-os/basalt/internal/extension"
)

func TestBuiltins(t *testing.T) {
	for _, name := range Builtins() {
		p, err := builtin(name)
		if err != nil {
			t.Fatal(err)
		}

		p.Input = inputs(t)
		p.Input.BaseInstaller.OCIPath = t.TempDir()

		if err := p.withDefaults().check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBaseProfile(t *testing.T) {
	const text = `baseProfileName: aws
customization: {extraKernelArgs: [quiet]}
input: {kernel: {path: k}, initramfs: {path: i}, sdStub: {path: s}, sdBoot: {path: b}}
output: {outFormat: raw}
`

	p, err := ReadProfile(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}

	// What the profile says wins, what it does not say is the base's.
	if p.Platform != "aws" || p.Arch != "amd64" || p.Output.Kind != KindImage || p.Output.OutFormat != FormatRaw ||
		p.Output.ImageOptions.DiskSize != cloudDisk {
		t.Errorf("profile %+v", p)
	}

	if diff := cmp.Diff([]string{"quiet"}, p.Customization.ExtraKernelArgs); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}

	for base, want := range map[string]string{"toaster": "toaster", "secureboot-iso": "signed"} {
		_, err := ReadProfile(strings.NewReader("baseProfileName: " + base))
		if !errors.Is(err, ErrProfile) || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("base %s: %v", base, err)
		}
	}
}

func TestIPXE(t *testing.T) {
	p := example(t, KindIPXE)

	for _, test := range []struct {
		options                   IPXEOptions
		kernel, initramfs, initrd string
	}{
		{IPXEOptions{}, "kernel-amd64", "initramfs-metal-amd64", "initramfs-metal-amd64"},
		{IPXEOptions{Kernel: "vmlinuz", Initramfs: "http://10.0.0.1/boot/initrd"}, "vmlinuz", "http://10.0.0.1/boot/initrd", "initrd"},
	} {
		p.Output.IPXEOptions = test.options

		name := build(t, p)
		if filepath.Base(name) != "metal-amd64.ipxe" {
			t.Errorf("file %s", name)
		}

		got, err := os.ReadFile(name)
		want := "#!ipxe\nimgfree\nkernel " + test.kernel + " initrd=" + test.initrd + " " + p.Cmdline() +
			"\ninitrd " + test.initramfs + "\nboot\n"

		if diff := cmp.Diff(want, string(got)); diff != "" || err != nil {
			t.Errorf("script (-want +got):\n%s%v", diff, err)
		}
	}
}

func TestTarGzip(t *testing.T) {
	p := Profile{Output: Output{OutFormat: FormatTarGzip}}

	var packed bytes.Buffer
	if err := p.pack(&packed, strings.NewReader("a disk"), 6); err != nil {
		t.Fatal(err)
	}

	plain, err := gzip.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}

	archive := tar.NewReader(plain)

	header, err := archive.Next()
	if err != nil || header.Name != "disk.raw" || header.Format != tar.FormatGNU {
		t.Fatalf("%+v, %v", header, err)
	}

	if data, err := io.ReadAll(archive); string(data) != "a disk" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestXZ(t *testing.T) {
	p := Profile{Output: Output{OutFormat: FormatXZ}}

	var packed bytes.Buffer
	if err := p.pack(&packed, strings.NewReader("a disk"), 6); err != nil {
		t.Fatal(err)
	}

	plain, err := xz.NewReader(&packed)
	if err != nil {
		t.Fatal(err)
	}

	if data, err := io.ReadAll(plain); string(data) != "a disk" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
}

func TestVHD(t *testing.T) {
	p := example(t, KindImage)
	p.Output.ImageOptions.DiskFormat = DiskVHD

	file, err := os.Open(build(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()

	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}

	size := info.Size() - vhdFooter
	footer := make([]byte, vhdFooter)

	if _, err := file.ReadAt(footer, size); err != nil {
		t.Fatal(err)
	}

	sum := binary.BigEndian.Uint32(footer[64:])
	binary.BigEndian.PutUint32(footer[64:], 0)

	for _, c := range footer {
		sum += uint32(c)
	}

	if string(footer[:8]) != "conectix" || binary.BigEndian.Uint64(footer[48:]) != uint64(size) || size%vhdUnit != 0 || ^sum != 0 {
		t.Errorf("a disk of %d bytes with the footer % x", size, footer[:88])
	}
}

// The geometries that the format's description gives for these sizes.
func TestVHDGeometry(t *testing.T) {
	for total, want := range map[int64][3]int{
		65536:      {963, 4, 17},   // 32 MiB
		2097152:    {2080, 16, 63}, // 1 GiB
		67108864:   {16448, 16, 255},
		1073741824: {65535, 16, 255},
	} {
		c, h, s := vhdGeometry(total)
		if got := [3]int{int(c), int(h), int(s)}; got != want {
			t.Errorf("%d sectors: %v, want %v", total, got, want)
		}
	}
}

// anExtension writes an OCI layout of an extension.
func anExtension(t *testing.T, name string) string {
	t.Helper()

	dir := t.TempDir()
	blob := func(data []byte) v1.Descriptor {
		d := digest.FromBytes(data)
		if err := os.WriteFile(filepath.Join(dir, "blobs/sha256", d.Encoded()), data, 0o644); err != nil {
			t.Fatal(err)
		}

		return v1.Descriptor{Digest: d, Size: int64(len(data))}
	}

	if err := os.MkdirAll(filepath.Join(dir, "blobs/sha256"), 0o755); err != nil {
		t.Fatal(err)
	}

	var layer bytes.Buffer

	w := tar.NewWriter(&layer)

	for file, text := range map[string]string{
		"manifest.yaml":            "version: v1alpha1\nmetadata: {name: " + name + ", version: v1, author: a}\n",
		"rootfs/usr/local/" + name: "hello",
	} {
		if err := w.WriteHeader(&tar.Header{Name: file, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(text))}); err != nil {
			t.Fatal(err)
		}

		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	manifest, err := json.Marshal(v1.Manifest{Layers: []v1.Descriptor{blob(layer.Bytes())}})
	if err != nil {
		t.Fatal(err)
	}

	index, err := json.Marshal(v1.Index{Manifests: []v1.Descriptor{blob(manifest)}})
	if err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "index.json"), index, 0o644); err != nil {
		t.Fatal(err)
	}

	return dir
}

// archived are the names and contents of the files in an archive for a kernel.
func archived(t *testing.T, data []byte) map[string]string {
	t.Helper()

	files := map[string]string{}

	for at := 0; at+110 <= len(data); {
		field := func(i int) int {
			n, err := strconv.ParseUint(string(data[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil || string(data[at:at+6]) != "070701" {
				t.Fatalf("no entry at %d", at)
			}

			return int(n)
		}

		size, length := field(6), field(11)
		name := string(data[at+110 : at+110+length-1])
		start := int(roundUp(int64(at+110+length), 4))
		files[name] = string(data[start : start+size])
		at = int(roundUp(int64(start+size), 4))
	}

	return files
}

func TestLayers(t *testing.T) {
	p := example(t, KindInitramfs)
	p.Input.SystemExtensions = []Container{{OCIPath: anExtension(t, "one")}, {OCIPath: anExtension(t, "two")}}
	p.Customization.EmbeddedMachineConfiguration = "version: v1alpha1\n"

	base, err := os.ReadFile(p.Input.Initramfs.Path)
	if err != nil {
		t.Fatal(err)
	}

	data, err := os.ReadFile(build(t, p))
	if err != nil || !bytes.HasPrefix(data, base) {
		t.Fatalf("the initramfs does not begin with the given one: %v", err)
	}

	files := archived(t, data[roundUp(int64(len(base)), 4):])

	list, err := extension.ParseLayers([]byte(files["extensions.yaml"]))
	if err != nil {
		t.Fatal(err)
	}

	var names []string

	for _, layer := range list.Layers {
		names = append(names, layer.Image)

		if !strings.HasPrefix(files["extensions/"+layer.Image], "hsqs") {
			t.Errorf("%s is no squashfs image", layer.Image)
		}
	}

	if diff := cmp.Diff([]string{"000.one.sqsh", "001.two.sqsh", "002.embedded-config.sqsh"}, names); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}

	again, err := os.ReadFile(build(t, p))
	if err != nil || !bytes.Equal(data, again) {
		t.Errorf("two builds differ: %v", err)
	}
}

func TestBadExtensions(t *testing.T) {
	p := example(t, KindInitramfs)
	same := anExtension(t, "one")

	for name, containers := range map[string][]Container{
		"nothing": {{}}, "both": {{OCIPath: same, TarballPath: same}}, "twice": {{OCIPath: same}, {OCIPath: same}},
	} {
		p.Input.SystemExtensions = containers
		if _, err := Build(p, t.TempDir()); !errors.Is(err, ErrProfile) {
			t.Errorf("%s: %v", name, err)
		}
	}

	p.Input.SystemExtensions = []Container{{OCIPath: t.TempDir()}}
	if _, err := Build(p, t.TempDir()); !errors.Is(err, extension.ErrExtension) {
		t.Errorf("no extension: %v", err)
	}
}

// The guide shows profiles that are good.
func TestGuide(t *testing.T) {
	text, err := os.ReadFile("../../docs/imager.md")
	if err != nil {
		t.Fatal(err)
	}

	blocks := strings.Split(string(text), "```yaml\n")[1:]
	if len(blocks) < 3 {
		t.Fatalf("%d profiles", len(blocks))
	}

	for _, block := range blocks {
		profile, _, _ := strings.Cut(block, "```")
		if _, err := ReadProfile(strings.NewReader(profile)); err != nil {
			t.Errorf("%s: %v", profile, err)
		}
	}
}
