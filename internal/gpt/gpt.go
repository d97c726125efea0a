// Package gpt reads and writes GUID partition tables on anything that can be
// read and written at an offset: a disk, an image file, memory.
//
// A table on a disk has two copies, one at each end. Write brings the second
// copy to the disk before it touches the first, so a power cut at any moment
// leaves one whole copy: either the table as it was or the table as it is to be.
package gpt

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
)

// Labels of the partitions that the system knows. Everything finds partitions
// by label, so they are part of the contract with other tools.
const (
	LabelEFI        = "EFI"
	LabelBIOS       = "BIOS"
	LabelBoot       = "BOOT"
	LabelMeta       = "META"
	LabelState      = "STATE"
	LabelEphemeral  = "EPHEMERAL"
	LabelImageCache = "IMAGECACHE"
)

// Types of partitions.
var (
	TypeEFI       = uuid.MustParse("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
	TypeBIOSBoot  = uuid.MustParse("21686148-6449-6e6f-744e-656564454649")
	TypeLinuxData = uuid.MustParse("0fc63daf-8483-4772-8e79-3d69d8477de4")
	TypeLinuxSwap = uuid.MustParse("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f")
)

// AttributeLegacyBootable marks the partition that a BIOS boot loader starts
// from.
const AttributeLegacyBootable = 1 << 2

// Alignment is where partitions begin and end, in bytes.
const Alignment = 1 << 20

// labelUnits is the longest label in UTF-16 code units.
const labelUnits = 36

// Errors of this package.
var (
	// ErrNoTable says that a disk has no partition table, not even a damaged one.
	ErrNoTable = errors.New("no GUID partition table")
	// ErrDamaged says that a disk has a partition table and no copy of it is whole.
	ErrDamaged = errors.New("the partition table is damaged")
	// ErrNoSpace says that a partition does not fit.
	ErrNoSpace = errors.New("not enough free space on the disk")
	// ErrInvalid says that a table cannot be written as it is.
	ErrInvalid = errors.New("invalid partition table")
)

// Table is the partition table of one disk. It is not safe for concurrent use.
type Table struct {
	GUID       uuid.UUID
	SectorSize int    // bytes, 512 or 4096
	Sectors    uint64 // of the whole disk
	Partitions []Partition

	slots int // entries in the table on the disk
}

// Partition is one entry of a table.
type Partition struct {
	Number     int // from 1; the kernel's number of the partition
	Type       uuid.UUID
	GUID       uuid.UUID
	First      uint64 // sector
	Last       uint64 // sector, part of the partition
	Attributes uint64
	Label      string // at most 36 UTF-16 code units
}

// New is an empty table for a disk of size bytes.
func New(guid uuid.UUID, size int64, sectorSize int) (*Table, error) {
	t := &Table{GUID: guid, SectorSize: sectorSize, slots: minSlots}

	if err := t.Resize(size); err != nil {
		return nil, err
	}

	return t, nil
}

// GUIDOf is the GUID that a partition or disk of this name has in images, which
// are the same whenever and wherever they are made.
func GUIDOf(name string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/basalt-os/basalt/partitions/"+name))
}

// Resize tells the table the size in bytes of its disk, which may have grown
// since the table was written.
func (t *Table) Resize(size int64) error {
	if t.SectorSize != 512 && t.SectorSize != 4096 {
		return fmt.Errorf("%w: sectors of %d bytes", ErrInvalid, t.SectorSize)
	}

	sectors := uint64(max(size, 0)) / uint64(t.SectorSize)
	if sectors < t.firstUsable()+t.tableSectors()+2 {
		return fmt.Errorf("%w: a disk of %d bytes holds no partition table", ErrNoSpace, size)
	}

	old := t.Sectors
	t.Sectors = sectors

	if err := t.validate(); err != nil {
		t.Sectors = old

		return fmt.Errorf("resizing to %d bytes: %w", size, err)
	}

	return nil
}

// tableSectors is the size of one copy of the entries.
func (t *Table) tableSectors() uint64 {
	return roundUp(uint64(t.slots)*entrySize, uint64(t.SectorSize)) / uint64(t.SectorSize)
}

func (t *Table) firstUsable() uint64 { return 2 + t.tableSectors() }
func (t *Table) lastUsable() uint64  { return t.Sectors - 2 - t.tableSectors() }

func (t *Table) alignment() uint64 { return Alignment / uint64(t.SectorSize) }

// Find is the first partition with the label.
func (t *Table) Find(label string) (Partition, bool) {
	i := slices.IndexFunc(t.Partitions, func(p Partition) bool { return p.Label == label })
	if i < 0 {
		return Partition{}, false
	}

	return t.Partitions[i], true
}

// Offset is where a partition begins on the disk, in bytes.
func (t *Table) Offset(p Partition) int64 { return int64(p.First) * int64(t.SectorSize) }

// Size is the size of a partition in bytes.
func (t *Table) Size(p Partition) int64 { return int64(p.Last-p.First+1) * int64(t.SectorSize) }

// gap is a range of free sectors that begins and ends aligned.
type gap struct{ first, end uint64 }

// gaps are the free ranges in the order of the disk.
func (t *Table) gaps() []gap {
	used := slices.Clone(t.Partitions)
	slices.SortFunc(used, func(a, b Partition) int { return int(int64(a.First) - int64(b.First)) })
	used = append(used, Partition{First: t.lastUsable() + 1})

	var result []gap

	free := t.firstUsable()

	for _, p := range used {
		first := roundUp(free, t.alignment())
		if end := p.First / t.alignment() * t.alignment(); end > first {
			result = append(result, gap{first, end})
		}

		free = p.Last + 1
	}

	return result
}

// Add puts a partition of size bytes, rounded up to Alignment, into the first
// gap that it fits in. Size 0 is all of the largest gap. It returns the
// partition with its number.
func (t *Table) Add(label string, kind, guid uuid.UUID, size int64, attributes uint64) (Partition, error) {
	number := 1
	for slices.ContainsFunc(t.Partitions, func(p Partition) bool { return p.Number == number }) {
		number++
	}

	p := Partition{Number: number, Type: kind, GUID: guid, Attributes: attributes, Label: label}

	free := t.gaps()
	want := roundUp(uint64(max(size, 0)), Alignment) / uint64(t.SectorSize)

	for _, g := range free {
		if size == 0 && g.end-g.first > want {
			want = g.end - g.first
		}
	}

	i := slices.IndexFunc(free, func(g gap) bool { return want > 0 && g.end-g.first >= want })
	if i < 0 {
		return Partition{}, fmt.Errorf("adding partition %s of %d bytes: %w", label, size, ErrNoSpace)
	}

	p.First, p.Last = free[i].first, free[i].first+want-1
	t.Partitions = append(t.Partitions, p)

	if err := t.validate(); err != nil {
		t.Partitions = t.Partitions[:len(t.Partitions)-1]

		return Partition{}, fmt.Errorf("adding partition %s: %w", label, err)
	}

	return p, nil
}

// Remove takes a partition out of the table.
func (t *Table) Remove(number int) {
	t.Partitions = slices.DeleteFunc(t.Partitions, func(p Partition) bool { return p.Number == number })
}

// Grow makes a partition as large as the free space behind it allows, up to
// limit bytes; 0 is no limit. It says whether the partition changed; it never
// becomes smaller.
func (t *Table) Grow(number int, limit int64) (bool, error) {
	i := slices.IndexFunc(t.Partitions, func(p Partition) bool { return p.Number == number })
	if i < 0 {
		return false, fmt.Errorf("growing partition %d: %w: there is none with this number", number, ErrInvalid)
	}

	p := &t.Partitions[i]
	end := t.lastUsable() + 1

	for _, other := range t.Partitions {
		if other.First > p.First {
			end = min(end, other.First)
		}
	}

	end = end / t.alignment() * t.alignment()

	if limit > 0 {
		end = min(end, p.First+roundUp(uint64(limit), Alignment)/uint64(t.SectorSize))
	}

	if end <= p.Last+1 {
		return false, nil
	}

	p.Last = end - 1

	return true, nil
}

// validate checks what must hold for a table to be written or used.
func (t *Table) validate() error {
	byStart := slices.Clone(t.Partitions)
	slices.SortFunc(byStart, func(a, b Partition) int { return int(int64(a.First) - int64(b.First)) })

	numbers := map[int]bool{}

	for i, p := range byStart {
		_, err := encodeLabel(p.Label)

		switch {
		case err != nil:
			return err
		case p.Number < 1 || p.Number > t.slots || numbers[p.Number]:
			return fmt.Errorf("%w: partition number %d", ErrInvalid, p.Number)
		case p.Type == uuid.Nil:
			return fmt.Errorf("%w: partition %d has no type", ErrInvalid, p.Number)
		case p.First < t.firstUsable() || p.Last < p.First || p.Last > t.lastUsable():
			return fmt.Errorf("%w: partition %d lies in sectors %d to %d, usable are %d to %d",
				ErrInvalid, p.Number, p.First, p.Last, t.firstUsable(), t.lastUsable())
		case i > 0 && byStart[i-1].Last >= p.First:
			return fmt.Errorf("%w: partitions %d and %d overlap", ErrInvalid, byStart[i-1].Number, p.Number)
		}

		numbers[p.Number] = true
	}

	return nil
}

func roundUp(n, unit uint64) uint64 { return (n + unit - 1) / unit * unit }
