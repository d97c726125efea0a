// Package metapart reads and writes the META partition: a few small values,
// each under a number, that a machine needs before it can read anything else.
//
// The partition has two copies of all values, each with a checksum. A change is
// written to one copy and synced before the other is touched, and to the damaged
// one first if one is, so a power cut at any moment leaves all old values or all
// new ones. Opening heals a damaged copy from the good one.
package metapart

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Key is the number of a value.
type Key uint32

// Keys with a meaning. Others are kept as they are.
const (
	KeyUpgrade              Key = 0x06 // boot entry to go back to when the boot fails
	KeyStagedUpgradeImage   Key = 0x07
	KeyStagedUpgradeOptions Key = 0x08 // JSON
	KeyStateEncryption      Key = 0x09 // JSON
	KeyMetalNetwork         Key = 0x0a // YAML
	KeyDownloadURLCode      Key = 0x0b
	KeyUserReserved1        Key = 0x0c
	KeyUserReserved2        Key = 0x0d
	KeyUserReserved3        Key = 0x0e
	KeyUUIDOverride         Key = 0x0f
	KeyUniqueMachineToken   Key = 0x10
	KeyDiskImageBootloader  Key = 0x11

	// KeyTrial is ours: what became of the last upgrade, as JSON. The wire's own
	// keys are far below.
	KeyTrial Key = 0x1001
)

// Layout of a copy. All numbers are big endian.
const (
	copySize = 256 << 10
	copies   = 2

	magicBegin     = 0x5a4b3c2d // at 0
	magicEnd       = 0xa5b4c3d2 // at -4
	trailer        = 4 + sha256.Size
	checksumOffset = copySize - trailer

	keyEnd    = 0 // ends the values
	valueHead = 8 // key and length
)

// Size is how many bytes of the partition are used.
const Size = copies * copySize

// Errors of this package.
var (
	// ErrDamaged says that no copy is whole and the partition is not blank.
	ErrDamaged = errors.New("both copies in META are damaged")
	// ErrNoSpace says that the values do not fit.
	ErrNoSpace = errors.New("the values do not fit in META")
	// ErrKey says that a key cannot be used.
	ErrKey = errors.New("META has no such key")
)

// Disk is the partition. If it is also an interface{ Sync() error }, it is
// synced after each copy.
type Disk interface {
	io.ReaderAt
	io.WriterAt
}

// Health is what Open found.
type Health int

// Kinds of health.
const (
	Good   Health = iota // both copies are whole and the same
	Healed               // one copy was damaged or older and has been written anew
	Blank                // the partition was all zeros and is now an empty META
)

// Open reads the values and brings both copies to the same state. It does not
// write when both are good.
func Open(disk Disk) (map[Key][]byte, Health, error) {
	found, err := read(disk)
	if err != nil {
		return nil, 0, err
	}

	values, health, err := found.choose()

	switch {
	case err != nil:
		return nil, 0, err
	case health == Good:
		return values, Good, nil
	}

	if err := write(disk, values, found.order()); err != nil {
		return nil, 0, fmt.Errorf("healing META: %w", err)
	}

	return values, health, nil
}

// Write replaces all values, safely at any moment of a power cut.
func Write(disk Disk, values map[Key][]byte) error {
	found, err := read(disk)
	if err != nil {
		return err
	}

	return write(disk, values, found.order())
}

// Format makes an empty META, whatever is on the disk.
func Format(disk io.WriterAt) error {
	return write(disk, nil, [copies]int{0, 1})
}

// Encode is the content of a new partition with these values, Size bytes.
func Encode(values map[Key][]byte) ([]byte, error) {
	one, err := encode(values)
	if err != nil {
		return nil, err
	}

	return bytes.Repeat(one, copies), nil
}

// contents are the copies as they are on the disk.
type contents struct {
	data   [copies][]byte
	values [copies]map[Key][]byte // nil: damaged
}

func read(disk io.ReaderAt) (contents, error) {
	var c contents

	for i := range copies {
		c.data[i] = make([]byte, copySize)
		if _, err := disk.ReadAt(c.data[i], int64(i)*copySize); err != nil {
			return c, fmt.Errorf("reading META: %w", err)
		}

		if values, err := decode(c.data[i]); err == nil {
			c.values[i] = values
		}
	}

	return c, nil
}

// choose picks the values. When both copies are whole and differ, a write was
// cut off between them, and it had written the first one.
func (c contents) choose() (map[Key][]byte, Health, error) {
	first, second := c.values[0], c.values[1]

	switch {
	case first != nil && second != nil && bytes.Equal(c.data[0], c.data[1]):
		return first, Good, nil
	case first != nil:
		return first, Healed, nil
	case second != nil:
		return second, Healed, nil
	case blank(c.data[0]) && blank(c.data[1]):
		return map[Key][]byte{}, Blank, nil
	default:
		return nil, 0, ErrDamaged
	}
}

// order is in which order to write the copies: never the only whole one first.
func (c contents) order() [copies]int {
	if c.values[0] != nil && (c.values[1] == nil || !bytes.Equal(c.data[0], c.data[1])) {
		return [copies]int{1, 0}
	}

	return [copies]int{0, 1}
}

func blank(data []byte) bool {
	return !slices.ContainsFunc(data, func(b byte) bool { return b != 0 })
}

func write(disk io.WriterAt, values map[Key][]byte, order [copies]int) error {
	data, err := encode(values)
	if err != nil {
		return err
	}

	for _, i := range order {
		if _, err := disk.WriteAt(data, int64(i)*copySize); err != nil {
			return fmt.Errorf("writing META: %w", err)
		}

		if s, ok := disk.(interface{ Sync() error }); ok {
			if err := s.Sync(); err != nil {
				return fmt.Errorf("writing META: %w", err)
			}
		}
	}

	return nil
}

func encode(values map[Key][]byte) ([]byte, error) {
	data := make([]byte, 0, copySize)
	data = binary.BigEndian.AppendUint32(data, magicBegin)

	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]

		if key == keyEnd {
			return nil, fmt.Errorf("writing META: %w: %d", ErrKey, key)
		}

		// The end marker needs room, too.
		if len(value) > checksumOffset-len(data)-valueHead-4 {
			return nil, fmt.Errorf("writing META: %w: key %d has %d bytes", ErrNoSpace, key, len(value))
		}

		data = binary.BigEndian.AppendUint32(data, uint32(key))
		data = binary.BigEndian.AppendUint32(data, uint32(len(value)))
		data = append(data, value...)
	}

	data = data[:copySize]
	binary.BigEndian.PutUint32(data[copySize-4:], magicEnd)
	sum := sha256.Sum256(data)
	copy(data[checksumOffset:], sum[:])

	return data, nil
}

// decode reads one copy.
func decode(data []byte) (map[Key][]byte, error) {
	if len(data) != copySize || binary.BigEndian.Uint32(data) != magicBegin ||
		binary.BigEndian.Uint32(data[copySize-4:]) != magicEnd {
		return nil, ErrDamaged
	}

	// The checksum is over the copy with zeros in its place.
	checked := bytes.Clone(data)
	clear(checked[checksumOffset : checksumOffset+sha256.Size])

	if sum := sha256.Sum256(checked); !bytes.Equal(sum[:], data[checksumOffset:checksumOffset+sha256.Size]) {
		return nil, ErrDamaged
	}

	values := map[Key][]byte{}
	rest := data[4:checksumOffset]

	for len(rest) >= 4 {
		key := Key(binary.BigEndian.Uint32(rest))
		if key == keyEnd {
			return values, nil
		}

		if len(rest) < valueHead {
			return nil, ErrDamaged
		}

		size := binary.BigEndian.Uint32(rest[4:])
		if uint64(size) > uint64(len(rest)-valueHead) {
			return nil, ErrDamaged
		}

		values[key] = bytes.Clone(rest[valueHead : valueHead+size])
		rest = rest[valueHead+size:]
	}

	return nil, ErrDamaged
}
