package blockdev

import (
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/gpt"
)

// Errors of partitioning.
var (
	// ErrNotEmpty says that a disk without a partition table has something on
	// it all the same.
	ErrNotEmpty = errors.New("the disk has no partition table and is not empty; wipe it first")
	// ErrNoPartition says that a partition is not in the table.
	ErrNoPartition = errors.New("the partition is not in the disk's table")
)

// NewPartition is a partition to make.
type NewPartition struct {
	Label    string
	Type     uuid.UUID
	Min, Max uint64 // bytes; a Max of 0 is all that is free in one piece
}

// Partitioned is a partition of a disk.
type Partitioned struct {
	Range

	GUID uuid.UUID
	// Found says that the table had a partition with this label already, which
	// was not changed.
	Found bool
}

// CreatePartition makes a partition on a disk, which gets a partition table
// when it has nothing on it at all. What is left of earlier data in its place
// is made unrecognizable before it becomes a partition, so that a power cut at
// any moment leaves no partition that looks like something else.
//
// It fails with [gpt.ErrNoSpace] when there are not Min bytes in one piece,
// and with [ErrNotEmpty].
func CreatePartition(disk Handle, sectorSize int, want NewPartition) (Partitioned, error) {
	table, err := readTable(disk, sectorSize)
	if errors.Is(err, gpt.ErrNoTable) {
		table, err = newTable(disk, sectorSize)
	}

	if err != nil {
		return Partitioned{}, err
	}

	if existing, ok := table.Find(want.Label); ok && want.Label != "" {
		// A crash after the table was written leaves this behind, and the kernel
		// has read the table since; or it has not.
		p := partitioned(table, existing)
		p.Found = true

		return p, ensure(disk, p.Range)
	}

	part, err := add(table, want)
	if err != nil {
		return Partitioned{}, err
	}

	p := partitioned(table, part)

	if err := Forget(disk, p.Offset, p.Length); err != nil {
		return Partitioned{}, err
	}

	if err := disk.Sync(); err != nil {
		return Partitioned{}, fmt.Errorf("erasing the place of partition %s: %w", want.Label, err)
	}

	if err := table.Write(disk); err != nil {
		return Partitioned{}, err
	}

	return p, disk.AddPartition(p.Range)
}

// GrowPartition makes a partition as large as the free space behind it allows,
// up to limit bytes, where 0 is no limit. It returns the partition as it is
// then, and whether it has changed.
func GrowPartition(disk Handle, sectorSize, number int, limit uint64) (Partitioned, bool, error) {
	table, err := readTable(disk, sectorSize)
	if err != nil {
		return Partitioned{}, false, err
	}

	changed, err := table.Grow(number, int64(limit))
	if err != nil {
		return Partitioned{}, false, err
	}

	var p Partitioned

	for _, part := range table.Partitions {
		if part.Number == number {
			p = partitioned(table, part)
		}
	}

	if !changed {
		return p, false, nil
	}

	if err := table.Write(disk); err != nil {
		return Partitioned{}, false, err
	}

	return p, true, disk.ResizePartition(p.Range)
}

// DropPartition takes a partition out of the table. The kernel forgets it
// first, and refuses with [ErrInUse] while somebody uses it.
func DropPartition(disk Handle, sectorSize, number int) error {
	table, err := readTable(disk, sectorSize)
	if err != nil {
		return err
	}

	before := len(table.Partitions)
	table.Remove(number)

	if len(table.Partitions) == before {
		return fmt.Errorf("removing partition %d: %w", number, ErrNoPartition)
	}

	if err := disk.DeletePartition(number); err != nil {
		return err
	}

	return table.Write(disk)
}

func readTable(disk Handle, sectorSize int) (*gpt.Table, error) {
	size, err := disk.Size()
	if err != nil {
		return nil, err
	}

	table, _, err := gpt.Read(disk, int64(size), sectorSize)

	return table, err
}

// newTable gives a disk that has nothing on it an empty table. That is written
// before there are partitions in it because it is zeros but for single sectors:
// a power cut leaves either a disk that still has nothing on it or the table.
func newTable(disk Handle, sectorSize int) (*gpt.Table, error) {
	size, err := disk.Size()
	if err != nil {
		return nil, err
	}

	empty, err := IsEmpty(disk)

	switch {
	case err != nil:
		return nil, err
	case !empty:
		return nil, ErrNotEmpty
	}

	table, err := gpt.New(uuid.New(), int64(size), sectorSize)
	if err != nil {
		return nil, err
	}

	return table, table.Write(disk)
}

// IsEmpty says whether both ends of a device are zeros, as they are on a new
// disk and after [Forget]. Every file system has something there.
func IsEmpty(h Handle) (bool, error) {
	size, err := h.Size()
	if err != nil {
		return false, err
	}

	data := make([]byte, min(size, edge))

	for _, at := range []uint64{0, size - uint64(len(data))} {
		if _, err := h.ReadAt(data, int64(at)); err != nil {
			return false, fmt.Errorf("looking whether the device is empty: %w", err)
		}

		for _, b := range data {
			if b != 0 {
				return false, nil
			}
		}
	}

	return true, nil
}

// add puts the partition into the largest gap, or the first one that its
// largest size fits in.
func add(table *gpt.Table, want NewPartition) (gpt.Partition, error) {
	part, err := table.Add(want.Label, want.Type, uuid.New(), 0, 0)
	if err != nil {
		return part, err
	}

	size := uint64(table.Size(part))

	if size < want.Min {
		table.Remove(part.Number)

		return part, fmt.Errorf("adding partition %s of at least %d bytes where %d are free in one piece: %w",
			want.Label, want.Min, size, gpt.ErrNoSpace)
	}

	// Partitions begin and end at whole units, and stay below their limit if
	// that is more than one.
	limit := max(want.Max, want.Min, gpt.Alignment)
	if whole := limit / gpt.Alignment * gpt.Alignment; whole >= want.Min {
		limit = whole
	}

	if want.Max == 0 || size <= limit {
		return part, nil
	}

	table.Remove(part.Number)

	return table.Add(want.Label, want.Type, uuid.New(), int64(limit), 0)
}

// ensure tells the kernel of a partition that it may know already.
func ensure(disk Handle, r Range) error {
	err := disk.AddPartition(r)
	if errors.Is(err, ErrInUse) {
		return nil // it knows
	}

	return err
}

func partitioned(table *gpt.Table, p gpt.Partition) Partitioned {
	return Partitioned{
		Range: Range{Number: p.Number, Offset: uint64(table.Offset(p)), Length: uint64(table.Size(p))}, GUID: p.GUID,
	}
}
