package qemu

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/google/renameio/v2"
)

const (
	// mediumLabel is the label of a volume in which a machine looks for its
	// configuration, mediumFile the file in it. Readers show the name in lower
	// case and without its version.
	mediumLabel = "metal-iso"
	mediumFile  = "CONFIG.YAML;1"
)

// Places on the medium, in sectors of ISO 9660.
const (
	isoSector     = 2048
	isoVolume     = 16
	isoTerminator = 17
	isoPathsLE    = 18
	isoPathsBE    = 19
	isoRoot       = 20
	isoFile       = 21
)

// writeMedium makes a medium with a machine's configuration.
func writeMedium(path string, config []byte) error {
	return renameio.WriteFile(path, medium(config), os.FileMode(0o600))
}

// medium is an ISO 9660 file system with one file.
func medium(content []byte) []byte {
	sectors := isoFile + (len(content)+isoSector-1)/isoSector
	disc := make([]byte, (sectors+150)*isoSector) // readers look ahead
	at := func(sector int) []byte { return disc[sector*isoSector:] }

	root := record(isoRoot, isoSector, 2, "\x00")

	volume := at(isoVolume)
	copy(volume, "\x01CD001\x01")
	fill(volume[8:40], "")
	fill(volume[40:72], mediumLabel)
	both32(volume[80:], uint32(len(disc)/isoSector))
	both16(volume[120:], 1) // volumes in the set
	both16(volume[124:], 1) // number of this one
	both16(volume[128:], isoSector)
	both32(volume[132:], 10) // size of the path table, bytes
	binary.LittleEndian.PutUint32(volume[140:], isoPathsLE)
	binary.BigEndian.PutUint32(volume[148:], isoPathsBE)
	copy(volume[156:190], root)
	fill(volume[190:813], "")

	for _, date := range []int{813, 830, 847, 864} { // none
		copy(volume[date:], "0000000000000000\x00")
	}

	volume[881] = 1

	copy(at(isoTerminator), "\xffCD001\x01")

	paths := at(isoPathsLE)
	paths[0] = 1
	binary.LittleEndian.PutUint32(paths[2:], isoRoot)
	binary.LittleEndian.PutUint16(paths[6:], 1)

	paths = at(isoPathsBE)
	paths[0] = 1
	binary.BigEndian.PutUint32(paths[2:], isoRoot)
	binary.BigEndian.PutUint16(paths[6:], 1)

	directory := at(isoRoot)[:0]
	directory = append(directory, root...)
	directory = append(directory, record(isoRoot, isoSector, 2, "\x01")...)
	_ = append(directory, record(isoFile, uint32(len(content)), 0, mediumFile)...)

	copy(at(isoFile), content)

	return disc
}

// record is an entry of a directory.
func record(sector, size uint32, flags byte, name string) []byte {
	length := 33 + len(name)
	length += length % 2

	data := make([]byte, length)
	data[0] = byte(length)
	both32(data[2:], sector)
	both32(data[10:], size)
	copy(data[18:], []byte{70, 1, 1, 0, 0, 0, 0}) // 1970
	data[25] = flags
	both16(data[28:], 1)
	data[32] = byte(len(name))
	copy(data[33:], name)

	return data
}

// fill writes a text padded with spaces.
func fill(field []byte, text string) { copy(field, fmt.Sprintf("%-*s", len(field), text)) }

func both32(data []byte, n uint32) {
	binary.LittleEndian.PutUint32(data, n)
	binary.BigEndian.PutUint32(data[4:], n)
}

func both16(data []byte, n uint16) {
	binary.LittleEndian.PutUint16(data, n)
	binary.BigEndian.PutUint16(data[2:], n)
}
