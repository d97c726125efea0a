package imager

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
)

// An ISO is one file for two firmware paths. As an optical disc it has the
// boot catalog that El Torito defines, which names a FAT image; as a USB stick
// it has a partition table, whose one partition is the same FAT image. The file
// system of the disc itself shows that image as a file and nothing else.
const (
	isoSector   = 2048
	isoVolume   = 16 // first of the volume descriptors, in sectors
	isoCatalog  = 19
	isoPathsLE  = 20
	isoPathsBE  = 21
	isoRoot     = 22
	isoImage    = gpt.Alignment / isoSector
	isoLabel    = "BASALT"
	isoFile     = "EFI.IMG;1"
	virtualSize = 512 // of the sectors that El Torito counts, bytes
)

// writeISO makes an ISO.
func (p Profile) writeISO(disc *os.File) error {
	loader := p.Output.ISOOptions.Bootloader

	files, err := p.bootFiles(loader)
	if err != nil {
		return err
	}

	var content int64
	for _, f := range files {
		content += int64(len(f.Data))
	}

	// The tables of FAT take one part in 64 with the smallest clusters.
	const overhead = 4 << 20

	fatSize := roundUp(max(content+content/32+overhead, fat.MinSize(virtualSize)), gpt.Alignment)
	size := gpt.Alignment + fatSize + gpt.Alignment

	if fatSize > 1<<32-isoSector {
		return fmt.Errorf("writing an ISO: the boot files have %d bytes, more than a file of an ISO can have", content)
	}

	if err := disc.Truncate(size); err != nil {
		return err
	}

	if err := fat.Write(part{disc, gpt.Alignment}, fatSize, virtualSize, espLabel, files); err != nil {
		return fmt.Errorf("writing the boot image: %w", err)
	}

	for sector, data := range isoSectors(loader, uint32(size/isoSector), uint32(fatSize)) {
		if _, err := disc.WriteAt(data, int64(sector)*isoSector); err != nil {
			return err
		}
	}

	table, err := gpt.New(gpt.GUIDOf("iso"), size, virtualSize)
	if err != nil {
		return err
	}

	if _, err := table.Add(gpt.LabelEFI, gpt.TypeEFI, gpt.GUIDOf("iso/EFI"), fatSize, 0); err != nil {
		return err
	}

	if err := table.Write(disc); err != nil || !loader.bios() {
		return err
	}

	return p.writeISOGRUB(disc)
}

// isoSectors are the sectors of the disc's own file system.
func isoSectors(loader Bootloader, sectors, fatSize uint32) map[int][]byte {
	root := isoDirectory(fatSize)
	boot := descriptor(0)
	copy(boot[7:], "EL TORITO SPECIFICATION")
	binary.LittleEndian.PutUint32(boot[0x47:], isoCatalog)

	result := map[int][]byte{
		isoVolume:     primaryVolume(sectors, root[:34]),
		isoVolume + 1: boot,
		isoVolume + 2: descriptor(255),
		isoCatalog:    isoBootCatalog(loader, fatSize),
		isoRoot:       root,
	}

	// A path table has one entry here: the root, which is its own parent.
	paths := make([]byte, isoSector)
	paths[0] = 1
	binary.LittleEndian.PutUint32(paths[2:], isoRoot)
	binary.LittleEndian.PutUint16(paths[6:], 1)
	result[isoPathsLE] = paths

	paths = make([]byte, isoSector)
	paths[0] = 1
	binary.BigEndian.PutUint32(paths[2:], isoRoot)
	binary.BigEndian.PutUint16(paths[6:], 1)
	result[isoPathsBE] = paths

	return result
}

// descriptor is the beginning of a volume descriptor.
func descriptor(kind byte) []byte {
	data := make([]byte, isoSector)
	data[0] = kind
	copy(data[1:], "CD001\x01")

	return data
}

// primaryVolume describes the disc; root is the root folder's entry.
func primaryVolume(sectors uint32, root []byte) []byte {
	const pathTableSize = 10

	data := descriptor(1)

	for _, text := range []struct {
		at, size int
		value    string
	}{{8, 32, ""}, {40, 32, isoLabel}, {190, 128, ""}, {318, 128, ""}, {446, 128, ""}, {574, 128, ""}, {702, 111, ""}} {
		for i := range text.size {
			data[text.at+i] = ' '
		}

		copy(data[text.at:], text.value)
	}

	both32(data[80:], sectors)
	both16(data[120:], 1)
	both16(data[124:], 1)
	both16(data[128:], isoSector)
	both32(data[132:], pathTableSize)
	binary.LittleEndian.PutUint32(data[140:], isoPathsLE)
	binary.BigEndian.PutUint32(data[148:], isoPathsBE)
	copy(data[156:], root)

	// Times of creation, change, expiry and validity: not given.
	for i := range 4 {
		copy(data[813+17*i:], "0000000000000000\x00")
	}

	data[881] = 1 // version of the structure

	return data
}

// both32 and both16 write a number in both byte orders, as ISO 9660 wants it.
func both32(data []byte, n uint32) {
	binary.LittleEndian.PutUint32(data, n)
	binary.BigEndian.PutUint32(data[4:], n)
}

func both16(data []byte, n uint16) {
	binary.LittleEndian.PutUint16(data, n)
	binary.BigEndian.PutUint16(data[2:], n)
}

// isoDirectory is the root folder: itself, its parent, which is itself, and the
// boot image.
func isoDirectory(fatSize uint32) []byte {
	const folder = 2

	data := make([]byte, 0, isoSector)

	for _, e := range []struct {
		name         string
		sector, size uint32
		flags        byte
	}{
		{"\x00", isoRoot, isoSector, folder},
		{"\x01", isoRoot, isoSector, folder},
		{isoFile, isoImage, fatSize, 0},
	} {
		entry := make([]byte, roundUp(33+int64(len(e.name)), 2))
		entry[0] = byte(len(entry))
		both32(entry[2:], e.sector)
		both32(entry[10:], e.size)
		copy(entry[18:], []byte{70, 1, 1, 0, 0, 0, 0}) // the first second of 1970
		entry[25] = e.flags
		both16(entry[28:], 1)
		entry[32] = byte(len(e.name))
		copy(entry[33:], e.name)
		data = append(data, entry...)
	}

	return data[:isoSector]
}

func roundUp(n, unit int64) int64 { return (n + unit - 1) / unit * unit }
