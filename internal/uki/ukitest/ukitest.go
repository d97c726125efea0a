// Package ukitest makes small unified kernel images for tests. They are complete
// as far as programs can tell, and nothing can start them.
package ukitest

import (
	"debug/pe"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/basalt-os/basalt/internal/uki"
)

// Program is an empty program for firmware, for "amd64" or "arm64".
func Program(arch string) []byte {
	const (
		header   = 0x80 // where the PE header is
		optional = header + 4 + 20
		size     = 0x200 // of the file, and of each unit of it
		page     = 0x1000
		dirs     = 16
	)

	machine := uint16(pe.IMAGE_FILE_MACHINE_AMD64)
	if arch == "arm64" {
		machine = pe.IMAGE_FILE_MACHINE_ARM64
	}

	data := make([]byte, size)
	put16 := func(at int, value uint16) { binary.LittleEndian.PutUint16(data[at:], value) }
	put32 := func(at int, value uint32) { binary.LittleEndian.PutUint32(data[at:], value) }

	copy(data, "MZ")
	put32(0x3c, header)
	copy(data[header:], "PE\x00\x00")
	put16(header+4, machine)
	put16(header+6, 1)             // sections
	put16(header+4+16, 112+dirs*8) // size of the optional header
	put16(optional, 0x20b)         // 64 bits
	put32(optional+32, page)       // alignment in memory
	put32(optional+36, size)       // alignment in the file
	put32(optional+56, 2*page)     // size in memory
	put32(optional+60, size)       // size of the headers
	put32(optional+108, dirs)      // data directories
	copy(data[optional+112+dirs*8:], ".text\x00\x00\x00")
	put32(optional+112+dirs*8+8, 16) // size in memory
	put32(optional+112+dirs*8+12, page)

	return data
}

// made holds the images that were made, by their description: tests of power cuts
// ask for the same ones thousands of times.
var made sync.Map

// Image is an image of a version of the system, with size bytes of initramfs. It
// is shared: do not change it. Safe to call concurrently.
func Image(t testing.TB, arch, version string, size int) []byte {
	t.Helper()

	description := fmt.Sprint(arch, version, size)
	if data, ok := made.Load(description); ok {
		return data.([]byte) //nolint:forcetypeassert // nothing else is stored
	}

	data := build(t, arch, version, size)
	made.Store(description, data)

	return data
}

func build(t testing.TB, arch, version string, size int) []byte {
	t.Helper()

	initrd := make([]byte, size)
	for i := range initrd {
		initrd[i] = byte(i*7 + i>>8 + len(version)) // no two sectors alike
	}

	data, err := uki.Build(uki.Image{
		Stub: Program(arch),
		Sections: map[uki.Section][]byte{
			uki.OSRelease: fmt.Appendf(nil, "ID=basalt\nNAME=\"Basalt\"\nVERSION_ID=%s\n", version),
			uki.Cmdline:   []byte("talos.platform=metal console=tty0"),
			uki.Linux:     Program(arch),
			uki.Initrd:    initrd,
		},
		Profiles: []uki.Profile{{ID: "main"}},
	})
	if err != nil {
		t.Fatal(err)
	}

	return data
}
