// Package probe tells what is on a block device: a partition table, a file
// system, or a part of something bigger. It reads a few kilobytes and never
// writes.
//
// What it reads can be anything: numbers on the device are used only after they
// were found to make sense, and nothing is read that they ask for beyond the
// device's end.
package probe

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/google/uuid"
)

// Names of what is recognized, as the wire has them.
const (
	GPT      = "gpt"
	DOS      = "dos"
	XFS      = "xfs"
	Ext2     = "ext2"
	Ext3     = "ext3"
	Ext4     = "ext4"
	VFAT     = "vfat"
	Btrfs    = "btrfs"
	Swap     = "swap"
	LUKS     = "luks"
	LVM2     = "lvm2-pv"
	MD       = "linux_raid_member"
	ISO9660  = "iso9660"
	Squashfs = "squashfs"
	EROFS    = "erofs"
	ZFS      = "zfs"
	Meta     = "talosmeta"
)

// Result is what was found.
type Result struct {
	// Name is one of the names above or another one; empty when nothing was
	// recognized.
	Name  string
	UUID  string
	Label string
	// BlockSize and FilesystemBlockSize are in bytes: the smallest unit of the
	// device that the file system uses, and the file system's own.
	BlockSize, FilesystemBlockSize uint32
	// Size is how many bytes it takes, 0 when it does not say.
	Size uint64
	// Partitions are those of a partition table, by number.
	Partitions []Partition
}

// Partition is one entry of a partition table.
type Partition struct {
	Number       int
	UUID, Type   string
	Label        string
	Offset, Size uint64 // bytes
}

// Device is what is looked at.
type Device struct {
	Reader     io.ReaderAt
	Size       uint64 // bytes
	SectorSize int    // bytes
}

// probe is one look at a device.
type probe struct {
	Device

	head []byte // the first bytes, read once
	err  error  // the first error of the device
}

// headSize is where nearly all signatures are.
const headSize = 72 << 10

// format recognizes one kind of content.
type format func(p *probe) (Result, bool)

// formats are in the order in which they are tried: those that others may
// leave their traces in come first.
func formats() []format {
	return []format{
		mdRaid, luks, lvm2, talosMeta, table, xfs, ext, btrfs, swapSpace, squashfs, erofs, zfs, signature, fat, dos, iso9660,
	}
}

// Look tells what is on a device. An error is one of the device; what makes no
// sense is not recognized.
func Look(d Device) (Result, error) {
	p := &probe{Device: d}
	p.head = p.readAt(0, int(min(d.Size, headSize)))

	for _, f := range formats() {
		result, ok := f(p)

		if p.err != nil {
			return Result{}, fmt.Errorf("looking at what is on a device: %w", p.err)
		}

		if ok {
			return result, nil
		}
	}

	return Result{}, nil
}

// at returns length bytes, or nothing when the device ends before.
func (p *probe) at(offset uint64, length int) []byte {
	if end := offset + uint64(length); end < offset || end > p.Size {
		return nil
	}

	if offset+uint64(length) <= uint64(len(p.head)) {
		return p.head[offset : offset+uint64(length)]
	}

	return p.readAt(offset, length)
}

func (p *probe) readAt(offset uint64, length int) []byte {
	data := make([]byte, length)

	n, err := p.Reader.ReadAt(data, int64(offset))
	if n == length {
		return data
	}

	if err != nil && !errors.Is(err, io.EOF) && p.err == nil {
		p.err = err
	}

	return nil
}

// has says whether the device has these bytes there.
func (p *probe) has(offset uint64, magic string) bool {
	return string(p.at(offset, len(magic))) == magic
}

// signature recognizes what nothing needs to be known about but its name.
func signature(p *probe) (Result, bool) {
	for _, s := range []struct {
		name   string
		offset uint64
		magic  string
	}{
		{"bluestore", 0, "bluestore block device\n"},
		{"exfat", 3, "EXFAT   "},
		{"ntfs", 3, "NTFS    "},
		{"bitlocker", 3, "-FVE-FS-"},
		{"f2fs", 1024, "\x10\x20\xf5\xf2"},
		{"bcache", 4096 + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"},
		{"gfs2", 65536, "\x01\x16\x19\x70"},
	} {
		if p.has(s.offset, s.magic) {
			return Result{Name: s.name}, true
		}
	}

	return Result{}, false
}

func xfs(p *probe) (Result, bool) {
	sb := p.at(0, 256)
	if sb == nil || !p.has(0, "XFSB") {
		return Result{}, false
	}

	block, sector := binary.BigEndian.Uint32(sb[4:]), binary.BigEndian.Uint16(sb[102:])
	blocks := binary.BigEndian.Uint64(sb[8:])

	// A file system whose making was cut off says so: there is nothing in it.
	if inProgress := sb[126] != 0; inProgress || !powerOfTwo(uint64(block), 512, 65536) || !powerOfTwo(uint64(sector), 512, 32768) {
		return Result{}, false
	}

	return Result{
		Name: XFS, UUID: uuidText(sb[32:48]), Label: text(sb[108:120]),
		BlockSize: uint32(sector), FilesystemBlockSize: block, Size: multiply(blocks, uint64(block)),
	}, true
}

func ext(p *probe) (Result, bool) {
	sb := p.at(1024, 1024)
	if sb == nil || binary.LittleEndian.Uint16(sb[56:]) != 0xef53 {
		return Result{}, false
	}

	le := binary.LittleEndian
	shift := le.Uint32(sb[24:])
	compat, incompat, readOnly := le.Uint32(sb[92:]), le.Uint32(sb[96:]), le.Uint32(sb[100:])

	if shift > 6 {
		return Result{}, false
	}

	const (
		hasJournal   = 0x4     // of compat
		journalOnly  = 0x8     // of incompat
		wide         = 0x80    // of incompat: block numbers of 64 bits
		ext3Incompat = 0x16    // file types, recovery, meta block groups
		ext3ReadOnly = 0x7     // sparse superblocks, large files, B-trees
		blockUnit    = 1 << 10 // bytes
	)

	name := Ext2

	switch {
	case incompat&journalOnly != 0:
		name = "jbd"
	case incompat&^ext3Incompat != 0 || readOnly&^ext3ReadOnly != 0:
		name = Ext4
	case compat&hasJournal != 0:
		name = Ext3
	}

	blocks := uint64(le.Uint32(sb[4:]))
	if incompat&wide != 0 {
		blocks |= uint64(le.Uint32(sb[0x150:])) << 32
	}

	size := uint32(blockUnit) << shift

	return Result{
		Name: name, UUID: uuidText(sb[104:120]), Label: text(sb[120:136]),
		BlockSize: size, FilesystemBlockSize: size, Size: multiply(blocks, uint64(size)),
	}, true
}

func btrfs(p *probe) (Result, bool) {
	const at = 64 << 10

	sb := p.at(at, 4096)
	if sb == nil || !p.has(at+0x40, "_BHRfS_M") {
		return Result{}, false
	}

	sector := binary.LittleEndian.Uint32(sb[0x90:])

	return Result{
		Name: Btrfs, UUID: uuidText(sb[0x20:0x30]), Label: text(sb[0x12b : 0x12b+256]),
		BlockSize: sector, FilesystemBlockSize: sector, Size: binary.LittleEndian.Uint64(sb[0x70:]),
	}, true
}

func swapSpace(p *probe) (Result, bool) {
	for page := uint64(4096); page <= 65536; page *= 2 {
		if !p.has(page-10, "SWAPSPACE2") {
			continue
		}

		head := p.at(1024, 44)
		version, last := binary.LittleEndian.Uint32(head), binary.LittleEndian.Uint32(head[4:])

		if version != 1 {
			return Result{}, false
		}

		return Result{
			Name: Swap, UUID: uuidText(head[12:28]), Label: text(head[28:44]),
			BlockSize: uint32(page), FilesystemBlockSize: uint32(page), Size: (uint64(last) + 1) * page,
		}, true
	}

	return Result{}, false
}

func squashfs(p *probe) (Result, bool) {
	sb := p.at(0, 96)
	if sb == nil || !p.has(0, "hsqs") || binary.LittleEndian.Uint16(sb[28:]) != 4 {
		return Result{}, false
	}

	block := binary.LittleEndian.Uint32(sb[12:])

	return Result{
		Name: Squashfs, BlockSize: block, FilesystemBlockSize: block, Size: binary.LittleEndian.Uint64(sb[40:]),
	}, true
}

func erofs(p *probe) (Result, bool) {
	sb := p.at(1024, 128)
	if sb == nil || binary.LittleEndian.Uint32(sb) != 0xe0f5e1e2 || sb[12] < 9 || sb[12] > 16 {
		return Result{}, false
	}

	block := uint32(1) << sb[12]

	return Result{
		Name: EROFS, UUID: uuidText(sb[48:64]), Label: text(sb[64:80]),
		BlockSize: block, FilesystemBlockSize: block, Size: uint64(binary.LittleEndian.Uint32(sb[36:])) * uint64(block),
	}, true
}

func iso9660(p *probe) (Result, bool) {
	const at = 32 << 10

	vd := p.at(at, 2048)
	if vd == nil || !p.has(at+1, "CD001") {
		return Result{}, false
	}

	result := Result{
		Name: ISO9660, Label: strings.TrimRight(text(vd[40:72]), " "), BlockSize: 2048, FilesystemBlockSize: 2048,
		Size: uint64(binary.LittleEndian.Uint32(vd[80:])) * 2048,
	}

	// The time of making serves as an identity.
	if date := vd[813:829]; bytes.Trim(date, "0123456789") == nil {
		result.UUID = fmt.Sprintf("%s-%s-%s-%s-%s-%s-%s", date[:4], date[4:6], date[6:8], date[8:10], date[10:12], date[12:14], date[14:16])
	}

	return result, true
}

func fat(p *probe) (Result, bool) {
	boot := p.at(0, 512)
	if boot == nil || boot[510] != 0x55 || boot[511] != 0xaa || boot[0] != 0xeb && boot[0] != 0xe9 {
		return Result{}, false
	}

	sector, cluster := binary.LittleEndian.Uint16(boot[11:]), boot[13]

	switch {
	case !powerOfTwo(uint64(sector), 512, 4096), !powerOfTwo(uint64(cluster), 1, 128),
		binary.LittleEndian.Uint16(boot[14:]) == 0, boot[16] < 1 || boot[16] > 2, boot[21] < 0xf0:
		return Result{}, false
	}

	id, label := boot[39:43], boot[43:54]

	switch {
	case bytes.HasPrefix(boot[82:], []byte("FAT32")):
		id, label = boot[67:71], boot[71:82]
	case !bytes.HasPrefix(boot[54:], []byte("FAT")):
		return Result{}, false
	}

	sectors := uint64(binary.LittleEndian.Uint16(boot[19:]))
	if sectors == 0 {
		sectors = uint64(binary.LittleEndian.Uint32(boot[32:]))
	}

	name := strings.TrimRight(text(label), " ")
	if name == "NO NAME" {
		name = ""
	}

	return Result{
		Name: VFAT, UUID: fmt.Sprintf("%02X%02X-%02X%02X", id[3], id[2], id[1], id[0]), Label: name,
		BlockSize: uint32(sector), FilesystemBlockSize: uint32(sector) * uint32(cluster), Size: sectors * uint64(sector),
	}, true
}

// text is what stands before the first zero byte, if it is printable.
func text(data []byte) string {
	data, _, _ = bytes.Cut(data, []byte{0})

	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xfffd || r == 0x7f {
			return -1
		}

		return r
	}, string(data))
}

// uuidText is the usual form of a UUID, empty for zeros.
func uuidText(data []byte) string {
	id, err := uuid.FromBytes(data)
	if err != nil || id == uuid.Nil {
		return ""
	}

	return id.String()
}

func powerOfTwo(n, low, high uint64) bool { return n >= low && n <= high && n&(n-1) == 0 }

// multiply is a product, 0 when it is too large to be true.
func multiply(a, b uint64) uint64 {
	if b != 0 && a > (1<<63)/b {
		return 0
	}

	return a * b
}
