package grub

import (
	"encoding/binary"
	"errors"
	"fmt"
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
