// Package layout says how a disk with the system is divided: which partitions
// there are, in which order, and how large. Disk images and installed machines
// have the same.
package layout

import (
	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/gpt"
)

// Sizes of partitions, in bytes. The system partition has room for the images
// of two versions and of a third that is being written.
const (
	EFISize  = 2101 << 20
	BIOSSize = 1 << 20
	MetaSize = 1 << 20

	// What the machine makes itself when it boots.
	StateSize    = 100 << 20
	EphemeralMin = 2 << 30

	overhead = 4 << 20 // both copies of the partition table, with alignment
)

// Least is the size of the smallest disk with what [New] puts on it, in bytes.
const Least = EFISize + BIOSSize + MetaSize + overhead

// Options say what a disk is divided for.
type Options struct {
	Size       int64 // of the disk, in bytes
	SectorSize int   // bytes
	BIOS       bool  // the disk shall boot by BIOS
	// GUID makes the identity of the disk, for the name "disk", and of each
	// partition, for its label.
	GUID func(name string) uuid.UUID
	// EFISize is the size of the system partition; 0 is the usual one.
	EFISize int64
}

// Layout is a disk that is divided.
type Layout struct {
	Table     *gpt.Table
	EFI, Meta gpt.Partition
	// BIOS is for the boot loader's core, on disks that boot by BIOS. Its number
	// is 0 on others.
	BIOS gpt.Partition
}

// New divides a disk. The system partition is the first of every disk, which
// the boot loader for BIOS relies on. The other partitions are made by the
// machine when it boots.
func New(o Options) (Layout, error) {
	var (
		l   Layout
		err error
	)

	if l.Table, err = gpt.New(o.GUID("disk"), o.Size, o.SectorSize); err != nil {
		return Layout{}, err
	}

	if o.EFISize == 0 {
		o.EFISize = EFISize
	}

	if l.EFI, err = l.Table.Add(gpt.LabelEFI, gpt.TypeEFI, o.GUID(gpt.LabelEFI), o.EFISize, 0); err != nil {
		return Layout{}, err
	}

	if o.BIOS {
		l.BIOS, err = l.Table.Add(gpt.LabelBIOS, gpt.TypeBIOSBoot, o.GUID(gpt.LabelBIOS), BIOSSize, gpt.AttributeLegacyBootable)
		if err != nil {
			return Layout{}, err
		}
	}

	l.Meta, err = l.Table.Add(gpt.LabelMeta, gpt.TypeLinuxData, o.GUID(gpt.LabelMeta), MetaSize, 0)

	return l, err
}
