package smbios_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/smbios"
)

// structure makes a structure of a size, with bytes at offsets and strings.
func structure(kind byte, size int, fields map[int][]byte, text ...string) string {
	fixed := make([]byte, size)
	fixed[0], fixed[1] = kind, byte(size)

	for offset, data := range fields {
		copy(fixed[offset:], data)
	}

	if len(text) == 0 {
		text = []string{""}
	}

	return string(fixed) + strings.Join(text, "\x00") + "\x00\x00"
}

func b(data ...byte) []byte { return data }

func word(n uint16) []byte   { return binary.LittleEndian.AppendUint16(nil, n) }
func double(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// table is that of a machine with two memory slots, one of them empty, and two
// sockets, one of them empty.
func table() string {
	return structure(0, 0x18, map[int][]byte{4: b(1, 2), 8: b(3)}, "EDK II", "1.2", "02/02/2022") +
		structure(1, 0x1b, map[int][]byte{
			4: b(1, 2, 3, 4),
			8: b(0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff),
			// Woken by the power switch.
			0x18: b(6, 0, 5),
		}, "QEMU", "Standard PC ", "pc-q35\x01", "S1", "Virtual") +
		structure(4, 0x30, map[int][]byte{
			4: b(1), 7: b(2), 0x10: b(3), 0x14: word(2000), 0x16: word(1900), 0x18: b(0x41), 0x20: b(4, 0, 0, 2, 2, 4),
		}, "CPU 0", "QEMU", "x86", "C1") +
		structure(4, 0x30, map[int][]byte{4: b(1), 0x18: b(0x41), 0x23: b(0xff, 0xff, 0xff), 0x2a: word(300), 0x2c: word(299), 0x2e: word(600)}, "CPU 1") +
		structure(4, 0x30, map[int][]byte{4: b(1), 0x18: b(0)}, "CPU 2") +
		structure(17, 0x5c, map[int][]byte{0x0c: word(2048), 0x10: b(1, 2), 0x15: word(3200), 0x17: b(3, 4, 0, 5)},
			"DIMM 0", "BANK 0", "Maker", "M1", "P1") +
		structure(17, 0x5c, map[int][]byte{0x0c: word(0x7fff), 0x1c: double(65536), 0x15: word(0xffff), 0x54: double(70000), 0x10: b(1)}, "DIMM 1") +
		structure(17, 0x5c, map[int][]byte{0x0c: word(0x8000 | 4096)}) +
		structure(17, 0x28, map[int][]byte{0x10: b(1)}, "DIMM 3") +
		structure(127, 4, nil) + "what follows does not count"
}

func TestParse(t *testing.T) {
	t.Parallel()

	got, err := smbios.Parse([]byte(table()))
	if err != nil {
		t.Fatal(err)
	}

	want := smbios.Table{
		BIOS: smbios.BIOS{Vendor: "EDK II", Version: "1.2", ReleaseDate: "02/02/2022"},
		System: smbios.System{
			Manufacturer: "QEMU", ProductName: "Standard PC", Version: "pc-q35", SerialNumber: "S1",
			UUID: "00112233-4455-6677-8899-aabbccddeeff", WakeUpType: "Power Switch", Family: "Virtual",
		},
		Processors: []smbios.Processor{
			{
				Socket: "CPU 0", Manufacturer: "QEMU", Version: "x86", MaxSpeed: 2000, CurrentSpeed: 1900, Status: 0x41,
				SerialNumber: "C1", CoreCount: 2, CoreEnabled: 2, ThreadCount: 4,
			},
			{Socket: "CPU 1", Status: 0x41, CoreCount: 300, CoreEnabled: 299, ThreadCount: 600},
		},
		Memory: []smbios.MemoryDevice{
			{
				Size: 2048, DeviceLocator: "DIMM 0", BankLocator: "BANK 0", Speed: 3200, Manufacturer: "Maker", SerialNumber: "M1",
				PartNumber: "P1",
			},
			{Size: 65536, DeviceLocator: "DIMM 1", Speed: 70000},
			{Size: 4},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()

	for about, data := range map[string]string{
		"half a head":     "\x01\x10",
		"too small":       "\x01\x02\x00\x00\x00\x00",
		"too large":       "\x01\x20\x00\x00\x00\x00",
		"without an end":  "\x01\x04\x00\x00abc\x00",
		"without strings": "\x01\x04\x00\x00",
	} {
		if _, err := smbios.Parse([]byte(data)); !errors.Is(err, smbios.ErrMalformed) {
			t.Errorf("%s: %v", about, err)
		}
	}

	// Older tables have shorter structures; numbers of strings may be wrong.
	got, err := smbios.Parse([]byte(structure(1, 8, map[int][]byte{4: b(9, 1)}, "Old")))
	if err != nil || got.System != (smbios.System{ProductName: "Old"}) {
		t.Errorf("an old table: %+v, %v", got, err)
	}

	none := structure(1, 0x1b, map[int][]byte{8: []byte(strings.Repeat("\xff", 16))})
	if got, err := smbios.Parse([]byte(none)); err != nil || got.System.UUID != "" {
		t.Errorf("no UUID: %q, %v", got.System.UUID, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(table()))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := smbios.Parse(data)
		if err == nil && len(got.Processors)+len(got.Memory) > len(data) {
			t.Errorf("%d bytes have %d processors", len(data), len(got.Processors))
		}
	})
}
