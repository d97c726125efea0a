package grub

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrImage says that a file is not the part of GRUB that it should be.
var ErrImage = errors.New("not a part of GRUB")

// BootCode is the size of the code at the beginning of a disk's first sector, in
// bytes. What follows is the table of partitions, which stays.
const BootCode = 440

// Places in boot.img.
const (
	bootKernel     = 0x5c // first sector of core.img, 8 bytes
	bootDrive      = 0x64 // 0xff: the drive that the BIOS names
	bootDriveCheck = 0x66 // a jump over the help for BIOSes that name a wrong drive
)

// Places in core.img's first sector: the list of where the rest is. It grows
// from the sector's end and has one part here.
const (
	listStart   = 0x1f4 // first sector, 8 bytes
	listLength  = 0x1fc // sectors
	listSegment = 0x1fe // where to load it
	coreSegment = 0x820
	maxCore     = 0x8000 * sector // what the length and the BIOS allow, with room
)

// Place returns what has to be written to boot from a disk with 512-byte
// sectors: code, the first [BootCode] bytes of the disk's first sector, and
// content, to be written to the sector with number at, usually the first of the
// BIOS boot partition. The images are boot.img and core.img, which are not
// changed.
func Place(boot, core []byte, at uint64) (code, content []byte, err error) {
	if len(boot) != sector || boot[sector-2] != 0x55 || boot[sector-1] != 0xaa {
		return nil, nil, fmt.Errorf("placing GRUB: boot.img: %w", ErrImage)
	}

	if len(core) < 2*sector || len(core) > maxCore || binary.LittleEndian.Uint16(core[listSegment:]) != coreSegment {
		return nil, nil, fmt.Errorf("placing GRUB: core.img: %w", ErrImage)
	}

	code = append(code, boot[:BootCode]...)
	binary.LittleEndian.PutUint64(code[bootKernel:], at)
	code[bootDrive] = 0xff
	// No jump: what is written here is a disk, and such BIOSes need the help.
	code[bootDriveCheck], code[bootDriveCheck+1] = 0x90, 0x90

	content = append(content, core...)
	for len(content)%sector != 0 {
		content = append(content, 0)
	}

	binary.LittleEndian.PutUint64(content[listStart:], at+1)
	binary.LittleEndian.PutUint16(content[listLength:], uint16(len(content)/sector-1))

	return code, content, nil
}

// Disk is what GRUB is installed to. Sync returns when everything is on it.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Install writes GRUB to a disk with 512-byte sectors: the code at its beginning
// and the core into one half of the BIOS boot partition, which goes from sector
// first to last. Where GRUB is there already, the core goes into the half that
// is not in use, and the code, which says where the core is, follows once that
// is complete. So a power cut leaves the old GRUB or the new one. Nothing is
// written when the disk has the same GRUB.
func Install(disk Disk, first, last uint64, boot, core []byte) error {
	const halves = 2

	half := (last - first + 1) / halves
	if uint64(len(core)) > half*sector {
		return fmt.Errorf("placing GRUB: core.img: %w: it has %d bytes, and %d fit", ErrImage, len(core), half*sector)
	}

	head := make([]byte, BootCode)
	if _, err := disk.ReadAt(head, 0); err != nil {
		return fmt.Errorf("reading the boot code: %w", err)
	}

	at := first

	if used := binary.LittleEndian.Uint64(head[bootKernel:]); used == first || used == first+half {
		same, err := isInstalled(disk, head, used, boot, core)
		if err != nil || same {
			return err
		}

		if used == first {
			at = first + half
		}
	}

	code, content, err := Place(boot, core, at)
	if err != nil {
		return err
	}

	if _, err := disk.WriteAt(content, int64(at)*sector); err != nil {
		return fmt.Errorf("writing GRUB's core: %w", err)
	}

	if err := disk.Sync(); err != nil {
		return fmt.Errorf("writing GRUB's core: %w", err)
	}

	if _, err := disk.WriteAt(code, 0); err != nil {
		return fmt.Errorf("writing the boot code: %w", err)
	}

	return disk.Sync()
}

// isInstalled says whether the parts are on the disk, the core at a sector.
func isInstalled(disk io.ReaderAt, head []byte, at uint64, boot, core []byte) (bool, error) {
	code, content, err := Place(boot, core, at)
	if err != nil || !bytes.Equal(code, head) {
		return false, err
	}

	old := make([]byte, len(content))
	if _, err := disk.ReadAt(old, int64(at)*sector); err != nil {
		return false, fmt.Errorf("reading GRUB's core: %w", err)
	}

	return bytes.Equal(content, old), nil
}
