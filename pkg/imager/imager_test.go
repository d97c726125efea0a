package imager

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/fat32"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/metapart"
	"github.com/basalt-os/basalt/internal/uki"
)

// program is the smallest PE file that can be a stub or a kernel; a kernel also
// says its release.
func program() []byte {
	data := make([]byte, 0x600)
	copy(data, "MZ")
	data[0x3c] = 0x80
	copy(data[0x80:], "PE\x00\x00\x64\x86\x01\x00")
	binary.LittleEndian.PutUint16(data[0x94:], 240)
	binary.LittleEndian.PutUint16(data[0x98:], 0x20b)
	binary.LittleEndian.PutUint32(data[0x98+32:], 0x1000)
	binary.LittleEndian.PutUint32(data[0x98+36:], 0x200)
	binary.LittleEndian.PutUint32(data[0x98+108:], 16)
	copy(data[0x188:], ".text")

	for i, value := range []uint32{0x200, 0x1000, 0x200, 0x400} {
		binary.LittleEndian.PutUint32(data[0x190+4*i:], value)
	}

	copy(data[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(data[0x20e:], 0x300)
	copy(data[0x500:], "6.12.0-test (builder) #1\x00")

	return data
}

func inputs(t *testing.T) Input {
	t.Helper()

	dir := t.TempDir()
	write := func(name string, data []byte) File {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, data, 0o644); err != nil {
			t.Fatal(err)
		}

		return File{Path: name}
	}

	return Input{
		Kernel: write("kernel", program()), SDStub: write("stub", program()), SDBoot: write("boot", []byte("boot loader")),
		Initramfs: write("initramfs", bytes.Repeat([]byte("initramfs"), 100_000)),
	}
}

func example(t *testing.T, kind Kind) Profile {
	p := Profile{Arch: "amd64", Platform: "metal", Version: "0.1.0", Input: inputs(t), Output: Output{Kind: kind}}
	p.Customization.MetaContents = []MetaContent{{Key: 0x0a, Value: "network"}}

	return p.withDefaults()
}

func build(t *testing.T, p Profile) string {
	t.Helper()

	name, err := Build(p, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}

	return name
}

// checkESP looks for what firmware and boot loader look for in a FAT file
// system.
func checkESP(t *testing.T, p Profile, disk *os.File, offset, size, sectorSize int64) {
	t.Helper()

	fat, err := fat32.Read(file.New(disk, true), size, offset, sectorSize)
	if err != nil {
		t.Fatal(err)
	}

	image, err := p.uki()
	if err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string]string{
		"EFI/BOOT/BOOTX64.EFI": "boot loader", "EFI/Linux/Basalt-0.1.0.efi": string(image),
	} {
		f, err := fat.OpenFile(name, os.O_RDONLY)
		if err != nil {
			t.Fatal(err)
		}

		got, err := io.ReadAll(f)
		if err != nil || string(got) != want {
			t.Errorf("%s has %d bytes, want %d, %v", name, len(got), len(want), err)
		}
	}
}

func TestDisk(t *testing.T) {
	for _, sectorSize := range []int{512, 4096} {
		p := example(t, KindImage)
		p.Output.ImageOptions.DiskSectorSize = sectorSize

		disk, err := os.Open(build(t, p))
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()

		info, err := disk.Stat()
		if err != nil {
			t.Fatal(err)
		}

		table, _, err := gpt.Read(disk, info.Size(), sectorSize)
		if err != nil {
			t.Fatal(err)
		}

		esp, _ := table.Find(gpt.LabelEFI)
		checkESP(t, p, disk, table.Offset(esp), table.Size(esp), int64(sectorSize))

		meta, _ := table.Find(gpt.LabelMeta)
		section := struct {
			io.ReaderAt
			io.WriterAt
		}{io.NewSectionReader(disk, table.Offset(meta), table.Size(meta)), nil}

		values, health, err := metapart.Open(section)
		if err != nil || health != metapart.Good || string(values[metapart.KeyMetalNetwork]) != "network" {
			t.Errorf("META: %v, %v, %v", values, health, err)
		}
	}
}

// Independent readers find the boot image on the disc and on the stick.
func TestISO(t *testing.T) {
	p := example(t, KindISO)

	disc, err := os.Open(build(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer disc.Close()

	info, err := disc.Stat()
	if err != nil {
		t.Fatal(err)
	}

	volume, err := iso9660.Read(file.New(disc, true), info.Size(), 0, isoSector)
	if err != nil {
		t.Fatal(err)
	}

	if label := strings.TrimSpace(volume.Label()); label != isoLabel {
		t.Errorf("label %q", label)
	}

	entries, err := volume.ReadDir(".")
	if err != nil || len(entries) != 1 || !strings.HasPrefix(entries[0].Name(), "EFI.IMG") {
		t.Fatalf("files %v, %v", entries, err)
	}

	entry, err := entries[0].Info()
	if err != nil {
		t.Fatal(err)
	}

	table, _, err := gpt.Read(disc, info.Size(), 512)
	if err != nil {
		t.Fatal(err)
	}

	esp, _ := table.Find(gpt.LabelEFI)
	if table.Size(esp) != entry.Size() {
		t.Errorf("the file has %d bytes, the partition %d", entry.Size(), table.Size(esp))
	}

	sector := make([]byte, isoSector)
	if _, err := disc.ReadAt(sector, 17*isoSector); err != nil || string(sector[7:30]) != "EL TORITO SPECIFICATION" {
		t.Fatalf("boot record %q, %v", sector[:32], err)
	}

	if _, err := disc.ReadAt(sector, int64(binary.LittleEndian.Uint32(sector[0x47:]))*isoSector); err != nil {
		t.Fatal(err)
	}

	if at := int64(binary.LittleEndian.Uint32(sector[40:])) * isoSector; at != table.Offset(esp) {
		t.Errorf("the boot catalog names %d, the partition table %d", at, table.Offset(esp))
	}

	checkESP(t, p, disc, table.Offset(esp), table.Size(esp), 512)
}

func TestUKI(t *testing.T) {
	data, err := os.ReadFile(build(t, example(t, KindUKI)))
	if err != nil {
		t.Fatal(err)
	}

	sections, err := uki.Read(data)
	if err != nil {
		t.Fatal(err)
	}

	if got := string(sections[uki.Uname]); got != "6.12.0-test" {
		t.Errorf("kernel release %q", got)
	}

	if got := string(sections[uki.OSRelease]); !strings.Contains(got, "VERSION_ID=0.1.0\n") {
		t.Errorf("os-release %q", got)
	}
}

// What the build makes depends on nothing but its input.
func TestSameBytes(t *testing.T) {
	for _, kind := range []Kind{KindUKI, KindISO, KindKernel, KindInitramfs, KindCmdline} {
		p := example(t, kind)

		first, err := os.ReadFile(build(t, p))
		if err != nil {
			t.Fatal(err)
		}

		p.Input = inputs(t)

		second, err := os.ReadFile(build(t, p))
		if err != nil || !bytes.Equal(first, second) || len(first) == 0 {
			t.Errorf("two builds of %s differ: %v", kind, err)
		}
	}
}

func TestPack(t *testing.T) {
	want := make([]byte, 20<<20) // mostly zeros, as a disk is
	copy(want[5<<20:], strings.Repeat("some data ", 10_000))

	for format, open := range map[Format]func(io.Reader) (io.Reader, error){
		FormatGzip: func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		FormatZstd: func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	} {
		p := Profile{Output: Output{OutFormat: format}}

		var packed, again bytes.Buffer
		if err := errors.Join(p.pack(&packed, bytes.NewReader(want), int64(len(want))), p.pack(&again, bytes.NewReader(want), int64(len(want)))); err != nil {
			t.Fatal(err)
		}

		if !bytes.Equal(packed.Bytes(), again.Bytes()) {
			t.Errorf("%s: two archives differ", format)
		}

		r, err := open(&packed)
		if err != nil {
			t.Fatal(err)
		}

		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, %v", format, len(got), err)
		}
	}
}

func TestCmdline(t *testing.T) {
	const hardened = "slab_nomerge= pti=on consoleblank=0 printk.devkmsg=on module.sig_enforce=1 proc_mem.force_override=never lsm=lockdown,yama,landlock,bpf "

	for _, c := range []struct {
		arch  string
		extra []string
		want  string
	}{
		{"amd64", nil, hardened + "talos.platform=metal panic=10 console=ttyS0 console=tty0"},
		{"arm64", nil, hardened + "talos.platform=metal panic=10 console=tty0"},
		{"amd64", []string{"-console", "-panic=10", "-pti=off", "console=ttyS1", "quiet"},
			hardened + "talos.platform=metal console=ttyS1 quiet"},
	} {
		p := Profile{Arch: c.arch, Platform: "metal", Customization: Customization{ExtraKernelArgs: c.extra}}
		if diff := cmp.Diff(c.want, p.Cmdline()); diff != "" {
			t.Errorf("%s %v (-want +got):\n%s", c.arch, c.extra, diff)
		}
	}
}

func TestReadProfile(t *testing.T) {
	const good = `arch: amd64
platform: metal
customization:
  extraKernelArgs: [quiet]
  metaContents: [{key: 10, value: x}]
input:
  kernel: {path: k}
  initramfs: {path: i}
  sdStub: {path: s}
  sdBoot: {path: b}
output:
  kind: image
  outFormat: .zst
  imageOptions: {diskSize: 4294967296}
`

	p, err := ReadProfile(strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}

	if p.FileName() != "metal-amd64.raw.zst" || p.Version == "" || p.Output.ImageOptions.DiskSectorSize != 512 {
		t.Errorf("%+v", p)
	}

	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key": {"quiet]", "quiet]\n  kernelArgs: []", "kernelArgs"},
		"arch":        {"amd64", "riscv", "arch"},
		"platform":    {"metal", "../x", "platform"},
		"kind":        {"kind: image", "kind: cake", "cake"},
		"input":       {"  sdBoot: {path: b}\n", "", "sdBoot"},
		"format":      {".zst", ".rar", ".rar"},
		"argument":    {"[quiet]", `["a\nb"]`, "extraKernelArgs"},
		"meta":        {"key: 10", "key: 0", "metaContents"},
		"key range":   {"key: 10", "key: 256", ""},
		"disk format": {"{diskSize: 4294967296}", "{diskFormat: vmdk}", "vmdk"},
		"sector":      {"diskSize: 4294967296", "diskSectorSize: 1000", "1000"},
		"no YAML":     {good, "{", ""},
		"URL":         {"outFormat", "ipxeOptions: {kernel: a b}\n  outFormat", "ipxeOptions"},
	} {
		_, err := ReadProfile(strings.NewReader(strings.Replace(good, c.old, c.new, 1)))
		if !errors.Is(err, ErrProfile) || !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What the reference's profiles may ask for acts, asks for nothing, or is refused
// with the reason and not as an unknown key.
func TestReferenceKeys(t *testing.T) {
	const head = "arch: amd64\nplatform: metal\n"

	for text, want := range map[string]string{
		"name: mine":                                                         "",
		"secureboot: false":                                                  "",
		"secureboot: true":                                                   "secureboot cannot be used: images are not signed",
		"overlay: {name: rpi, options: {a: 1}}":                              "overlay cannot be used: overlays are for single-board",
		"input: {overlayInstaller: {imageRef: a:1}}":                         "input.overlayInstaller cannot be used",
		"input: {imageCache: {ociPath: a}}":                                  "input.imageCache cannot be used",
		"input: {secureboot: {includeWellKnownCerts: true}}":                 "input.secureboot cannot be used",
		"input: {secureboot: {}}":                                            "",
		"input: {baseInstaller: {imageRef: a:1}}":                            "input.baseInstaller: a:1 would have to be pulled",
		"input: {baseInstaller: {ociPath: a}}":                               "",
		"input: {systemExtensions: [{imageRef: a:1}]}":                       "input.systemExtensions[0]: a:1 would have to be pulled",
		"input: {systemExtensions: [{ociPath: a, imageRef: a:1}]}":           "",
		"input: {systemExtensions: [{tarballPath: a, forceInsecure: true}]}": "forceInsecure",
		"output: {kind: iso, isoOptions: {sdBootEnrollKeys: force}}":         "output.isoOptions.sdBootEnrollKeys cannot",
		"output: {kind: cmdline, isoOptions: {sdBootEnrollKeys: off}}":       "",
		"output: {kind: image, imageOptions: {sdBootEnrollKeys: manual}}":    "output.imageOptions.sdBootEnrollKeys cannot",
		"output: {kind: image, imageOptions: {diskFormatOptions: a=b}}":      "output.imageOptions.diskFormatOptions cannot",
		"output: {kind: installer}":                                          "input.baseInstaller: one of",
	} {
		if !strings.Contains(text, "output:") {
			text += "\noutput: {kind: cmdline}"
		}

		_, err := ReadProfile(strings.NewReader(head + text))
		if want == "" && err != nil || want != "" && (!errors.Is(err, ErrProfile) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// An error leaves what was there.
func TestErrorLeavesOldFile(t *testing.T) {
	p := example(t, KindISO)
	name := build(t, p)
	p.Input.Initramfs.Path += ".gone"

	if _, err := Build(p, filepath.Dir(name)); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("error %v", err)
	}

	files, err := filepath.Glob(filepath.Join(filepath.Dir(name), "*"))
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, %v", files, err)
	}
}

func FuzzReadProfile(f *testing.F) {
	f.Add("arch: amd64\nplatform: metal\noutput: {kind: cmdline}\n")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := ReadProfile(strings.NewReader(text))
		if err == nil && (strings.ContainsAny(p.Cmdline(), "\n\x00") || strings.Contains(p.FileName(), "/")) {
			t.Errorf("%q gives %q in %q", text, p.Cmdline(), p.FileName())
		}
	})
}
