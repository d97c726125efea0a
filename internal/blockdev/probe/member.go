package probe

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// The formats in this file are parts of something bigger: encrypted volumes,
// members of arrays and volume groups, and META.

func luks(p *probe) (Result, bool) {
	head := p.at(0, 512)
	if head == nil || !p.has(0, "LUKS\xba\xbe") {
		return Result{}, false
	}

	result := Result{Name: LUKS, UUID: text(head[168:208])}

	switch binary.BigEndian.Uint16(head[6:]) {
	case 1:
	case 2:
		result.Label = text(head[24:72])
	default:
		return Result{}, false
	}

	return result, true
}

// lvm2 recognizes a physical volume by the label in one of its first sectors.
func lvm2(p *probe) (Result, bool) {
	for sector := range uint64(4) {
		label := p.at(sector*512, 64)
		if label == nil || !bytes.HasPrefix(label, []byte("LABELONE")) || !bytes.HasPrefix(label[24:], []byte("LVM2 001")) {
			continue
		}

		// The identifier is 32 characters, which are shown in groups.
		id := text(label[32:64])
		if len(id) != 32 {
			return Result{Name: LVM2}, true
		}

		groups := []string{id[:6], id[6:10], id[10:14], id[14:18], id[18:22], id[22:26], id[26:]}

		return Result{Name: LVM2, UUID: strings.Join(groups, "-")}, true
	}

	return Result{}, false
}

const mdMagic = 0xa92b4efc

// mdRaid recognizes a member of an array. Where its superblock is depends on
// the version: at the end, at the start, or 4 KiB after it.
func mdRaid(p *probe) (Result, bool) {
	places := []uint64{0, 4096}
	if p.Size >= 64<<10 {
		places = append(places, (p.Size-8<<10)&^4095)
	}

	for _, at := range places {
		sb := p.at(at, 256)
		if sb == nil || binary.LittleEndian.Uint32(sb) != mdMagic || binary.LittleEndian.Uint32(sb[4:]) != 1 {
			continue
		}

		// It says itself where it is, in sectors.
		if binary.LittleEndian.Uint64(sb[144:]) != at/512 {
			continue
		}

		return Result{Name: MD, UUID: uuidText(sb[16:32]), Label: text(sb[32:64])}, true
	}

	const old = 64 << 10 // the first version's superblock is aligned to this

	if p.Size < 2*old {
		return Result{}, false
	}

	sb := p.at(p.Size&^(old-1)-old, 64)
	if sb == nil || binary.LittleEndian.Uint32(sb) != mdMagic || binary.LittleEndian.Uint32(sb[4:]) != 0 {
		return Result{}, false
	}

	id := append(bytes.Clone(sb[20:24]), sb[52:64]...)

	return Result{Name: MD, UUID: uuidText(id)}, true
}

// zfs recognizes a member of a pool by its uberblocks, of which every copy of
// the label has a ring.
func zfs(p *probe) (Result, bool) {
	const (
		label = 256 << 10
		ring  = 128 << 10 // where it begins, and its length
		step  = 1 << 10
		magic = 0x00bab10c
	)

	if p.Size < 4*label {
		return Result{}, false
	}

	end := p.Size &^ (label - 1)

	for _, at := range []uint64{0, label, end - 2*label, end - label} {
		data := p.at(at+ring, ring)

		for i := 0; i+8 <= len(data); i += step {
			if binary.LittleEndian.Uint64(data[i:]) == magic || binary.BigEndian.Uint64(data[i:]) == magic {
				return Result{Name: ZFS}, true
			}
		}
	}

	return Result{}, false
}

// talosMeta recognizes META by either of its copies.
func talosMeta(p *probe) (Result, bool) {
	const (
		size  = 256 << 10
		begin = "\x5a\x4b\x3c\x2d"
		end   = "\xa5\xb4\xc3\xd2"
	)

	for _, at := range []uint64{0, size} {
		if p.has(at, begin) && p.has(at+size-4, end) {
			return Result{Name: Meta, Size: 2 * size}, true
		}
	}

	return Result{}, false
}
