package uki

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// program is a PE file with the given sections, as a linker makes it.
func program(t testing.TB, machine uint16, sections map[string]string) []byte {
	t.Helper()

	const at = 0x80

	head := make([]byte, at+4+fileHeaderSize+optionalDirAt+16*directorySize)
	copy(head, "MZ")
	binary.LittleEndian.PutUint32(head[dosNewHeader:], at)
	copy(head[at:], peSignature)
	binary.LittleEndian.PutUint16(head[at+4:], machine)
	binary.LittleEndian.PutUint16(head[at+4+fileOptional:], optionalDirAt+16*directorySize)

	optional := head[at+4+fileHeaderSize:]
	binary.LittleEndian.PutUint16(optional, optionalMagic)
	binary.LittleEndian.PutUint32(optional[optionalAlign:], 0x1000)
	binary.LittleEndian.PutUint32(optional[optionalFile:], 0x200)
	binary.LittleEndian.PutUint32(optional[optionalDirs:], 16)
	binary.LittleEndian.PutUint64(optional[optionalDirAt+certificates*directorySize:], 0x1234567800001000)

	img := &image{head: head, optional: at + 4 + fileHeaderSize, align: 0x1000, fileAlign: 0x200}
	if err := img.add(".text", bytes.Repeat([]byte{0xc3}, 700), sectionCode|sectionExecute|sectionRead); err != nil {
		t.Fatal(err)
	}

	img.sections[0].set(virtualAddress, 0x1000)

	for name, data := range sections {
		if err := img.add(name, []byte(data), sectionData|sectionRead); err != nil {
			t.Fatal(err)
		}
	}

	data, err := img.bytes()
	if err != nil {
		t.Fatal(err)
	}

	return data
}

const (
	stubSBAT = "sbat,1,SBAT Version,sbat,1,https://example.org\nsystemd-stub,1,systemd,systemd,257,https://example.org\n"
	ownSBAT  = "sbat,1,SBAT Version,sbat,1,https://example.org\nbasalt,1,Basalt,basalt,0.1.0,https://example.org\n"
)

func example(t testing.TB) Image {
	return Image{
		Stub: program(t, pe.IMAGE_FILE_MACHINE_AMD64, map[string]string{".sbat": stubSBAT}),
		Sections: map[Section][]byte{
			SBAT:      []byte(ownSBAT),
			OSRelease: []byte("ID=basalt\n"),
			Cmdline:   []byte("console=ttyS0"),
			Uname:     []byte("6.12.0"),
			Linux:     program(t, pe.IMAGE_FILE_MACHINE_AMD64, nil),
			Initrd:    bytes.Repeat([]byte("initrd"), 1000),
		},
		Profiles: []Profile{
			{ID: "main", Title: "Basalt"},
			{ID: "reset", Title: "Reset", Cmdline: "console=ttyS0 talos.experimental.wipe=system"},
		},
	}
}

// An independent reader finds what was put in, in places where it does not
// overlap.
func TestBuild(t *testing.T) {
	in := example(t)

	data, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}

	file, err := pe.NewFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}

	var names []string

	memory, disk := uint32(0), uint32(0)

	for _, s := range file.Sections {
		names = append(names, s.Name)

		if s.VirtualAddress < memory || s.VirtualAddress%0x1000 != 0 {
			t.Errorf("%s is at %#x in memory, the section before ends at %#x", s.Name, s.VirtualAddress, memory)
		}

		if s.Offset < disk || s.Offset%0x200 != 0 || s.Size%0x200 != 0 {
			t.Errorf("%s is at %#x with %#x bytes, the section before ends at %#x", s.Name, s.Offset, s.Size, disk)
		}

		memory, disk = s.VirtualAddress+s.VirtualSize, s.Offset+s.Size

		raw, err := s.Data()
		if err != nil {
			t.Fatal(err)
		}

		if want, ok := in.Sections[Section(s.Name)]; ok && s.Name != ".sbat" && len(names) <= 9 {
			if !bytes.Equal(raw[:s.VirtualSize], want) {
				t.Errorf("%s holds %d other bytes", s.Name, s.VirtualSize)
			}
		}
	}

	want := []string{
		".text", ".sbat", ".osrel", ".cmdline", ".uname", ".linux", ".initrd", ".profile", ".profile", ".cmdline",
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}

	header := file.OptionalHeader.(*pe.OptionalHeader64)
	if header.SizeOfImage < memory || header.SizeOfImage%0x1000 != 0 || int(disk) != len(data) {
		t.Errorf("size %#x in memory, sections end at %#x; file of %#x, sections end at %#x",
			header.SizeOfImage, memory, len(data), disk)
	}

	if header.DataDirectory[certificates] != (pe.DataDirectory{}) {
		t.Error("the stub's signature is still there")
	}

	again, err := Build(example(t))
	if err != nil || !bytes.Equal(data, again) {
		t.Error("two builds differ")
	}
}

func TestRead(t *testing.T) {
	in := example(t)

	data, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}

	got, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}

	want := in.Sections
	want[SBAT] = []byte(stubSBAT + "basalt,1,Basalt,basalt,0.1.0,https://example.org\n")

	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sections (-want +got):\n%s", diff)
	}

	for _, size := range []int{0, 10, 0x90, 0x200, len(data) / 2, len(data) - 1024} {
		if _, err := Read(data[:size]); !errors.Is(err, ErrNotPE) {
			t.Errorf("an image cut off at %d bytes: %v", size, err)
		}
	}

	if _, err := Read(in.Stub); !errors.Is(err, ErrNotUKI) {
		t.Errorf("a stub alone: %v", err)
	}
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Image)
		want   error
	}{
		"no stub":            {func(in *Image) { in.Stub = nil }, ErrNotPE},
		"no kernel":          {func(in *Image) { delete(in.Sections, Linux) }, ErrNotUKI},
		"no initramfs":       {func(in *Image) { delete(in.Sections, Initrd) }, ErrNotUKI},
		"no PE kernel":       {func(in *Image) { in.Sections[Linux] = []byte("kernel") }, ErrNotPE},
		"other architecture": {func(in *Image) { in.Sections[Linux] = program(t, pe.IMAGE_FILE_MACHINE_ARM64, nil) }, ErrArchitecture},
		"unknown section":    {func(in *Image) { in.Sections[".shell"] = []byte("x") }, nil},
		"large sbat":         {func(in *Image) { in.Sections[SBAT] = bytes.Repeat([]byte("x,1\n"), 2000) }, nil},
		"profile":            {func(in *Image) { in.Profiles = []Profile{{ID: "a\nb"}} }, nil},
		"many sections":      {func(in *Image) { in.Profiles = make([]Profile, 100); fill(in.Profiles) }, nil},
	} {
		in := example(t)
		c.change(&in)

		if _, err := Build(in); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

func fill(profiles []Profile) {
	for i := range profiles {
		profiles[i].ID = "x"
	}
}

func TestNames(t *testing.T) {
	for file, want := range map[string]Name{
		"Basalt-0.1.0.efi":             {Version: "0.1.0"},
		"Basalt-0.1.0+3.efi":           {Version: "0.1.0", Counted: true, Left: 3},
		"Basalt-0.1.0~2+0-3.efi":       {Version: "0.1.0", Revision: 2, Counted: true, Done: 3},
		"Basalt-0.2.0-alpha.1+2-1.efi": {Version: "0.2.0-alpha.1", Counted: true, Left: 2, Done: 1},
	} {
		got, err := ParseName(file)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", file, got, err)
		}

		if back, err := got.File(); err != nil || back != file {
			t.Errorf("%+v is %q, %v; want %q", got, back, err, file)
		}
	}

	for _, file := range []string{
		"", "Basalt-.efi", "Basalt-0.1.0", "Basalt-0.1.0+.efi", "Basalt-0.1.0+x.efi", "Basalt-0.1.0~0.efi", "other-0.1.0.efi",
		"Basalt-a/b.efi", "Basalt-0.1.0+1-.efi", "Basalt-0.1.0+99999999999999999999.efi",
	} {
		if _, err := ParseName(file); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", file, err)
		}
	}

	if _, err := (Name{Version: "1+1"}).File(); !errors.Is(err, ErrName) {
		t.Errorf("a version with a plus: %v", err)
	}
}

func TestFresh(t *testing.T) {
	old := []Name{{Version: "0.1.0"}, {Version: "0.1.0", Revision: 4, Counted: true}, {Version: "0.2.0"}}

	for version, want := range map[string]string{
		"0.1.0": "Basalt-0.1.0~5+3.efi", "0.2.0": "Basalt-0.2.0~1+3.efi", "0.3.0": "Basalt-0.3.0+3.efi",
	} {
		n := Fresh(version, old)
		if got, err := n.File(); err != nil || got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}

		if n.Bad() || n.Blessed().Counted || !n.Same(n.Blessed()) || n.Same(old[0]) {
			t.Errorf("%+v", n)
		}
	}

	if !old[1].Bad() || old[0].Bad() {
		t.Error("an image without tries is bad, one without a counter is good")
	}
}

func FuzzParseName(f *testing.F) {
	f.Add("Basalt-0.1.0~1+2-1.efi")
	f.Fuzz(func(t *testing.T, file string) {
		n, err := ParseName(file)
		if err != nil {
			return
		}

		back, err := n.File()
		if err != nil {
			t.Fatal(err)
		}

		if again, err := ParseName(back); err != nil || again != n {
			t.Errorf("%q is %+v is %q is %+v, %v", file, n, back, again, err)
		}
	})
}

func FuzzRead(f *testing.F) {
	data, err := Build(example(f))
	if err != nil {
		f.Fatal(err)
	}

	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		sections, err := Read(data)
		if err == nil && (len(sections[Linux]) == 0 || len(sections[Initrd]) == 0) {
			t.Error("an image without a kernel was accepted")
		}

		img, err := parsePE(data)
		if err != nil {
			return
		}

		if out, err := img.bytes(); err == nil {
			if _, err := parsePE(out); err != nil {
				t.Errorf("what was put together again is %v", err)
			}
		}
	})
}
