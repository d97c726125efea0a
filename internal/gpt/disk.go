package gpt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"

	"github.com/google/uuid"
)

// Sizes on the disk, in bytes.
const (
	headerSize = 92
	entrySize  = 128
	minSlots   = 128
	maxSlots   = 1024 // the most that we read
	maxEntry   = 4096 // the largest entry that we read
)

var signature = [8]byte{'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'}

const revision = 0x00010000

// header is a copy's first sector, as it is on the disk.
type header struct {
	Signature   [8]byte
	Revision    uint32
	Size        uint32
	CRC         uint32
	_           uint32
	Here        uint64
	Alternate   uint64
	FirstUsable uint64
	LastUsable  uint64
	GUID        [16]byte
	Entries     uint64
	Count       uint32
	EntrySize   uint32
	EntriesCRC  uint32
}

// entry is a partition as it is on the disk.
type entry struct {
	Type, GUID  [16]byte
	First, Last uint64
	Attributes  uint64
	Label       [labelUnits]uint16
}

// Source says which copy of a table was read.
type Source int

// The copies.
const (
	Primary Source = iota // the copy at the beginning, which is whole
	Backup                // the copy at the end, because the first is damaged
)

// Read reads the table of a disk of size bytes. When only the copy at the end
// is whole, it is used, and Source says so; writing the table heals the other.
func Read(r io.ReaderAt, size int64, sectorSize int) (*Table, Source, error) {
	if sectorSize != 512 && sectorSize != 4096 {
		return nil, 0, fmt.Errorf("reading the partition table: %w: sectors of %d bytes", ErrInvalid, sectorSize)
	}

	sectors := size / int64(sectorSize)

	first, primaryErr := readCopy(r, 1, sectors, sectorSize)
	if primaryErr == nil {
		return first, Primary, nil
	}

	second, backupErr := readCopy(r, sectors-1, sectors, sectorSize)
	if backupErr == nil {
		return second, Backup, nil
	}

	err := primaryErr
	if errors.Is(primaryErr, ErrNoTable) {
		err = backupErr
	}

	return nil, 0, fmt.Errorf("reading the partition table: %w", err)
}

func readCopy(r io.ReaderAt, at, sectors int64, sectorSize int) (*Table, error) {
	if at < 1 || at >= sectors {
		return nil, ErrNoTable
	}

	sector := make([]byte, sectorSize)
	if _, err := r.ReadAt(sector, at*int64(sectorSize)); err != nil {
		return nil, err
	}

	h, err := decodeHeader(sector)
	if err != nil {
		return nil, err
	}

	length := uint64(h.Count) * uint64(h.EntrySize)
	entriesAt := h.Entries * uint64(sectorSize)

	switch {
	case h.Here != uint64(at), h.Count == 0, h.Count > maxSlots,
		h.EntrySize < entrySize, h.EntrySize > maxEntry, h.EntrySize%entrySize != 0,
		h.Entries < 2, h.Entries >= uint64(sectors), entriesAt+length > uint64(sectors)*uint64(sectorSize):
		return nil, fmt.Errorf("%w: its header makes no sense", ErrDamaged)
	}

	data := make([]byte, length)
	if _, err := r.ReadAt(data, int64(entriesAt)); err != nil {
		return nil, err
	}

	if crc32.ChecksumIEEE(data) != h.EntriesCRC {
		return nil, fmt.Errorf("%w: wrong checksum of the entries", ErrDamaged)
	}

	t := &Table{
		GUID: fromDisk(h.GUID), SectorSize: sectorSize, Sectors: uint64(sectors),
		slots: max(int(h.Count), minSlots),
	}

	if err := t.decodeEntries(data, int(h.EntrySize)); err != nil {
		return nil, err
	}

	if err := t.validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}

	return t, nil
}

func decodeHeader(sector []byte) (header, error) {
	var h header

	if _, err := binary.Decode(sector, binary.LittleEndian, &h); err != nil {
		return h, err
	}

	if h.Signature != signature {
		return h, ErrNoTable
	}

	if h.Size < headerSize || int64(h.Size) > int64(len(sector)) {
		return h, fmt.Errorf("%w: a header of %d bytes", ErrDamaged, h.Size)
	}

	checked := bytes.Clone(sector[:h.Size])
	clear(checked[16:20])

	if crc32.ChecksumIEEE(checked) != h.CRC {
		return h, fmt.Errorf("%w: wrong checksum of the header", ErrDamaged)
	}

	return h, nil
}

func (t *Table) decodeEntries(data []byte, size int) error {
	for i := 0; i*size < len(data); i++ {
		var e entry

		if _, err := binary.Decode(data[i*size:], binary.LittleEndian, &e); err != nil {
			return err
		}

		if e.Type == [16]byte{} {
			continue
		}

		t.Partitions = append(t.Partitions, Partition{
			Number: i + 1, Type: fromDisk(e.Type), GUID: fromDisk(e.GUID),
			First: e.First, Last: e.Last, Attributes: e.Attributes, Label: decodeLabel(e.Label),
		})
	}

	return nil
}

// Disk is what a table is written to. A Disk that is also an
// interface{ Sync() error } is synced between the two copies and at the end.
type Disk interface {
	io.WriterAt
}

// Write brings the table to the disk: the copy at the end, the copy at the
// beginning, and then the protective master boot record, without which neither
// firmware nor kernel looks at a table. So a disk that had none gets all of it
// with the last sector. The boot code in the first 440 bytes is left as it is.
func (t *Table) Write(disk Disk) error {
	if err := t.validate(); err != nil {
		return fmt.Errorf("writing the partition table: %w", err)
	}

	entries, err := t.encodeEntries()
	if err != nil {
		return fmt.Errorf("writing the partition table: %w", err)
	}

	last := t.Sectors - 1

	steps := []func() error{
		func() error { return t.writeCopy(disk, entries, last, 1, last-t.tableSectors()) },
		func() error { return sync(disk) },
		func() error { return t.writeCopy(disk, entries, 1, last, 2) },
		func() error { return sync(disk) },
		func() error { return writeAt(disk, t.protectiveMBR(), mbrOffset) },
		func() error { return sync(disk) },
	}

	for _, step := range steps {
		if err := step(); err != nil {
			return fmt.Errorf("writing the partition table: %w", err)
		}
	}

	return nil
}

func sync(disk Disk) error {
	if s, ok := disk.(interface{ Sync() error }); ok {
		return s.Sync()
	}

	return nil
}

func writeAt(disk Disk, data []byte, offset int64) error {
	_, err := disk.WriteAt(data, offset)

	return err
}

func (t *Table) writeCopy(disk Disk, entries []byte, here, alternate, entriesAt uint64) error {
	h := header{
		Signature: signature, Revision: revision, Size: headerSize,
		Here: here, Alternate: alternate, FirstUsable: t.firstUsable(), LastUsable: t.lastUsable(),
		GUID: toDisk(t.GUID), Entries: entriesAt, Count: uint32(t.slots), EntrySize: entrySize,
		EntriesCRC: crc32.ChecksumIEEE(entries),
	}

	sector := make([]byte, t.SectorSize)
	if _, err := binary.Encode(sector, binary.LittleEndian, h); err != nil {
		return err
	}

	binary.LittleEndian.PutUint32(sector[16:], crc32.ChecksumIEEE(sector[:headerSize]))

	if err := writeAt(disk, entries, int64(entriesAt)*int64(t.SectorSize)); err != nil {
		return err
	}

	return writeAt(disk, sector, int64(here)*int64(t.SectorSize))
}

func (t *Table) encodeEntries() ([]byte, error) {
	data := make([]byte, t.tableSectors()*uint64(t.SectorSize))

	for _, p := range t.Partitions {
		label, err := encodeLabel(p.Label)
		if err != nil {
			return nil, err
		}

		e := entry{
			Type: toDisk(p.Type), GUID: toDisk(p.GUID), First: p.First, Last: p.Last,
			Attributes: p.Attributes, Label: label,
		}
		if _, err := binary.Encode(data[(p.Number-1)*entrySize:], binary.LittleEndian, e); err != nil {
			return nil, err
		}
	}

	return data[:t.slots*entrySize], nil
}

// mbrOffset is where the disk signature and the partitions of the master boot
// record begin.
const mbrOffset = 440

// protectiveMBR is the master boot record from mbrOffset on: one partition of
// type EE over the whole disk, so that tools without GPT see it as full.
func (t *Table) protectiveMBR() []byte {
	mbr := make([]byte, 512-mbrOffset)
	part := mbr[446-mbrOffset:]

	copy(part, []byte{0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff})
	binary.LittleEndian.PutUint32(part[8:], 1)
	binary.LittleEndian.PutUint32(part[12:], uint32(min(t.Sectors-1, 0xffffffff)))
	copy(mbr[510-mbrOffset:], []byte{0x55, 0xaa})

	return mbr
}

func encodeLabel(label string) (units [labelUnits]uint16, err error) {
	encoded := utf16.Encode([]rune(label))
	if len(encoded) > labelUnits || decodeLabel([labelUnits]uint16(append(encoded, make([]uint16, labelUnits)...))) != label {
		return units, fmt.Errorf("%w: label %q is too long or not text", ErrInvalid, label)
	}

	copy(units[:], encoded)

	return units, nil
}

func decodeLabel(units [labelUnits]uint16) string {
	n := 0
	for n < labelUnits && units[n] != 0 {
		n++
	}

	return string(utf16.Decode(units[:n]))
}

// toDisk gives a GUID the byte order of the disk: the first three groups are
// little endian. It is its own inverse.
func toDisk(id uuid.UUID) [16]byte {
	return [16]byte{
		id[3], id[2], id[1], id[0], id[5], id[4], id[7], id[6],
		id[8], id[9], id[10], id[11], id[12], id[13], id[14], id[15],
	}
}

func fromDisk(id [16]byte) uuid.UUID { return toDisk(id) }
