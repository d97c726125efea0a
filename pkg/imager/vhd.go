package imager

import (
	"encoding/binary"
	"io"

	"github.com/basalt-os/basalt/internal/gpt"
)

// A fixed VHD is the disk, and behind it one sector that describes it. Clouds
// that take it want its size to be whole mebibytes.
const (
	vhdFooter  = 512
	vhdUnit    = 1 << 20
	vhdFixed   = 2
	vhdVersion = 0x10000
)

// writeVHD writes the footer behind a disk of size bytes, a multiple of vhdUnit.
func writeVHD(w io.WriterAt, size int64) error {
	_, err := w.WriteAt(vhdDescription(size), size)

	return err
}

func vhdDescription(size int64) []byte {
	data := make([]byte, vhdFooter)
	cylinders, heads, sectors := vhdGeometry(size / 512)
	id := gpt.GUIDOf("vhd")

	copy(data, "conectix")
	binary.BigEndian.PutUint32(data[8:], 2)             // features: reserved, always set
	binary.BigEndian.PutUint32(data[12:], vhdVersion)   // of the format
	binary.BigEndian.PutUint64(data[16:], 1<<64-1)      // there is no other header
	copy(data[28:], "bslt")                             // what made it
	binary.BigEndian.PutUint32(data[32:], vhdVersion)   // its version
	copy(data[36:], "Wi2k")                             // the host: the value that all readers take
	binary.BigEndian.PutUint64(data[40:], uint64(size)) // at first
	binary.BigEndian.PutUint64(data[48:], uint64(size)) // now
	binary.BigEndian.PutUint16(data[56:], cylinders)
	data[58], data[59] = heads, sectors
	binary.BigEndian.PutUint32(data[60:], vhdFixed)
	copy(data[68:], id[:])

	var sum uint32
	for _, c := range data {
		sum += uint32(c)
	}

	binary.BigEndian.PutUint32(data[64:], ^sum)

	return data
}

// vhdGeometry is the disk's geometry as the format's description computes it.
func vhdGeometry(total int64) (cylinders uint16, heads, sectors byte) {
	const most = 65535 * 16 * 255

	total = min(total, most)

	if total >= 65535*16*63 {
		return uint16(total / 255 / 16), 16, 255
	}

	perTrack := int64(17)
	rest := total / perTrack
	tracks := max((rest+1023)/1024, 4)

	if rest >= tracks*1024 || tracks > 16 {
		perTrack, tracks = 31, 16
		rest = total / perTrack
	}

	if rest >= tracks*1024 {
		perTrack, tracks = 63, 16
		rest = total / perTrack
	}

	return uint16(rest / tracks), byte(tracks), byte(perTrack)
}
