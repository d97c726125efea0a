// Package smbios reads the tables in which a machine's firmware describes the
// machine: who made it, its processors and its memory, as the System Management
// BIOS specification (DMTF DSP0134) defines them.
package smbios

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// ErrMalformed says that a table is damaged.
var ErrMalformed = errors.New("malformed SMBIOS table")

// Table is what firmware tells about its machine.
type Table struct {
	BIOS       BIOS
	System     System
	Processors []Processor
	Memory     []MemoryDevice
}

// BIOS is the firmware itself.
type BIOS struct {
	Vendor, Version, ReleaseDate string
}

// System is the machine.
type System struct {
	Manufacturer, ProductName, Version, SerialNumber string
	UUID                                             string // "" when the machine has none
	WakeUpType                                       string
	SKUNumber, Family                                string
}

// Processor is a socket with a processor in it.
type Processor struct {
	Socket, Manufacturer, Version       string
	SerialNumber, AssetTag, PartNumber  string
	MaxSpeed, CurrentSpeed              uint32 // MHz
	Status                              uint32 // as the firmware writes it: bit 6 says that it is populated
	CoreCount, CoreEnabled, ThreadCount uint32
}

// MemoryDevice is a slot with a memory module in it.
type MemoryDevice struct {
	Size                   uint32 // MiB
	DeviceLocator          string
	BankLocator            string
	Speed                  uint32 // million transfers a second
	Manufacturer           string
	SerialNumber, AssetTag string
	PartNumber             string
}

// Types of structures.
const (
	typeBIOS      = 0
	typeSystem    = 1
	typeProcessor = 4
	typeMemory    = 17
	typeEnd       = 127
)

// headSize is the size of what every structure begins with: type, size of the
// fixed part, handle.
const headSize = 4

// structure is one structure of the table.
type structure struct {
	kind    byte
	fixed   []byte // with the head, so that offsets are those of the specification
	strings []string
}

// Parse reads the structures of a table, without its entry point: what Linux
// shows as /sys/firmware/dmi/tables/DMI.
func Parse(data []byte) (Table, error) {
	var table Table

	for len(data) > 0 {
		s, rest, err := next(data)
		if err != nil {
			return table, err
		}

		switch s.kind {
		case typeBIOS:
			table.BIOS = BIOS{Vendor: s.text(0x04), Version: s.text(0x05), ReleaseDate: s.text(0x08)}
		case typeSystem:
			table.System = s.system()
		case typeProcessor:
			if p := s.processor(); p.Status&populated != 0 {
				table.Processors = append(table.Processors, p)
			}
		case typeMemory:
			if m := s.memory(); m.Size > 0 {
				table.Memory = append(table.Memory, m)
			}
		case typeEnd:
			return table, nil
		}

		data = rest
	}

	return table, nil
}

// next cuts the first structure off: its fixed part, then strings, each ended by
// a zero byte, and one more zero byte; without strings, two of them.
func next(data []byte) (s structure, rest []byte, err error) {
	if len(data) < headSize {
		return s, nil, fmt.Errorf("%w: a structure of %d bytes", ErrMalformed, len(data))
	}

	size := int(data[1])
	if size < headSize || size > len(data) {
		return s, nil, fmt.Errorf("%w: a structure of %d bytes says that it has %d", ErrMalformed, len(data), size)
	}

	s = structure{kind: data[0], fixed: data[:size]}

	text, rest, ok := bytes.Cut(data[size:], []byte{0, 0})
	if !ok {
		return s, nil, fmt.Errorf("%w: the strings of a structure have no end", ErrMalformed)
	}

	if len(text) > 0 {
		s.strings = strings.Split(string(text), "\x00")
	}

	return s, rest, nil
}

// byte is the number at an offset; older tables have shorter structures, and
// then it is zero.
func (s structure) byte(offset int) uint32 {
	if offset >= len(s.fixed) {
		return 0
	}

	return uint32(s.fixed[offset])
}

func (s structure) word(offset int) uint32 {
	if offset+2 > len(s.fixed) {
		return 0
	}

	return uint32(binary.LittleEndian.Uint16(s.fixed[offset:]))
}

func (s structure) double(offset int) uint32 {
	if offset+4 > len(s.fixed) {
		return 0
	}

	return binary.LittleEndian.Uint32(s.fixed[offset:])
}

// text is the string whose number is at an offset, without what makers pad it
// with, and without characters that are none.
func (s structure) text(offset int) string {
	number := int(s.byte(offset))
	if number == 0 || number > len(s.strings) {
		return ""
	}

	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}

		return r
	}, s.strings[number-1])

	return strings.TrimSpace(clean)
}

func (s structure) system() System {
	wakeUps := []string{
		"Reserved", "Other", "Unknown", "APM Timer", "Modem Ring", "LAN Remote", "Power Switch", "PCI PME#",
		"AC Power Restored",
	}

	out := System{
		Manufacturer: s.text(0x04), ProductName: s.text(0x05), Version: s.text(0x06), SerialNumber: s.text(0x07),
		SKUNumber: s.text(0x19), Family: s.text(0x1a),
	}

	if len(s.fixed) >= 0x18 {
		out.UUID = formatUUID(s.fixed[0x08:0x18])
	}

	if wakeUp := int(s.byte(0x18)); len(s.fixed) > 0x18 && wakeUp < len(wakeUps) {
		out.WakeUpType = wakeUps[wakeUp]
	}

	return out
}

// formatUUID writes a UUID whose first three fields are little endian. All zeros
// and all ones say that there is none.
func formatUUID(b []byte) string {
	if text := string(b); text == strings.Repeat("\x00", 16) || text == strings.Repeat("\xff", 16) {
		return ""
	}

	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint16(b[4:]),
		binary.LittleEndian.Uint16(b[6:]), b[8:10], b[10:])
}

// populated is the bit of a processor's status that says that there is one.
const populated = 1 << 6

func (s structure) processor() Processor {
	// Counts above 254 are in fields of their own.
	count := func(short, long int) uint32 {
		if n := s.byte(short); n != 0xff {
			return n
		}

		return s.word(long)
	}

	return Processor{
		Socket: s.text(0x04), Manufacturer: s.text(0x07), Version: s.text(0x10), MaxSpeed: s.word(0x14),
		CurrentSpeed: s.word(0x16), Status: s.byte(0x18), SerialNumber: s.text(0x20), AssetTag: s.text(0x21),
		PartNumber: s.text(0x22), CoreCount: count(0x23, 0x2a), CoreEnabled: count(0x24, 0x2c), ThreadCount: count(0x25, 0x2e),
	}
}

func (s structure) memory() MemoryDevice {
	return MemoryDevice{
		Size: s.memorySize(), DeviceLocator: s.text(0x10), BankLocator: s.text(0x11), Speed: s.memorySpeed(),
		Manufacturer: s.text(0x17), SerialNumber: s.text(0x18), AssetTag: s.text(0x19), PartNumber: s.text(0x1a),
	}
}

// memorySize is the size in MiB; zero is an empty slot or an unknown size.
func (s structure) memorySize() uint32 {
	const (
		unknown  = 0xffff
		extended = 0x7fff // the size is in a field of its own
		inKiB    = 0x8000
	)

	switch size := s.word(0x0c); {
	case size == unknown:
		return 0
	case size == extended:
		return s.double(0x1c) &^ (1 << 31)
	case size&inKiB != 0:
		return (size &^ inKiB) >> 10
	default:
		return size
	}
}

func (s structure) memorySpeed() uint32 {
	if speed := s.word(0x15); speed != 0xffff {
		return speed
	}

	return s.double(0x54)
}
