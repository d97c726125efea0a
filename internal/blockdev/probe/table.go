package probe

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/basalt-os/basalt/internal/gpt"
)

// table recognizes a GUID partition table. A damaged one is recognized too,
// without partitions: nobody shall take the disk for empty.
func table(p *probe) (Result, bool) {
	if p.Size > 1<<62 {
		return Result{}, false
	}

	found, _, err := gpt.Read(p.Reader, int64(p.Size), p.SectorSize)

	switch {
	case errors.Is(err, gpt.ErrDamaged):
		return Result{Name: GPT}, true
	case err != nil:
		return Result{}, false
	}

	result := Result{
		Name: GPT, UUID: found.GUID.String(), BlockSize: uint32(found.SectorSize),
		Size: found.Sectors * uint64(found.SectorSize),
	}

	for _, part := range found.Partitions {
		result.Partitions = append(result.Partitions, Partition{
			Number: part.Number, UUID: part.GUID.String(), Type: part.Type.String(), Label: part.Label,
			Offset: uint64(found.Offset(part)), Size: uint64(found.Size(part)),
		})
	}

	return result, true
}

// A master boot record: four entries, and the last two bytes say what it is.
const (
	mbrEntries    = 446
	mbrEntry      = 16
	mbrProtective = 0xee
	maxLogical    = 128 // partitions in extended ones that we follow
)

type mbrPartition struct {
	kind         byte
	first, count uint64 // sectors
}

func (m mbrPartition) extended() bool { return m.kind == 0x05 || m.kind == 0x0f || m.kind == 0x85 }

// entries reads the four entries of a record, nothing when it is none.
func (p *probe) entries(sector uint64) (list [4]mbrPartition, ok bool) {
	data := p.at(sector*uint64(p.SectorSize), 512)
	if data == nil || data[510] != 0x55 || data[511] != 0xaa {
		return list, false
	}

	for i := range list {
		e := data[mbrEntries+i*mbrEntry:]
		if e[0] != 0 && e[0] != 0x80 {
			return list, false
		}

		list[i] = mbrPartition{
			kind: e[4], first: uint64(binary.LittleEndian.Uint32(e[8:])), count: uint64(binary.LittleEndian.Uint32(e[12:])),
		}
	}

	return list, true
}

// dos recognizes a partition table in the master boot record.
func dos(p *probe) (Result, bool) {
	if p.SectorSize <= 0 {
		return Result{}, false
	}

	entries, ok := p.entries(0)
	if !ok {
		return Result{}, false
	}

	id := binary.LittleEndian.Uint32(p.at(440, 4))
	result := Result{Name: DOS, UUID: fmt.Sprintf("%08x", id), BlockSize: uint32(p.SectorSize), Size: p.Size}
	used := false

	for i, e := range entries {
		if e.kind == 0 || e.count == 0 {
			continue
		}

		used = true

		if e.kind == mbrProtective {
			continue
		}

		result.add(p, id, i+1, e)
	}

	for _, e := range entries {
		if e.extended() {
			result.logical(p, id, e.first)
		}
	}

	return result, used
}

func (r *Result) add(p *probe, id uint32, number int, e mbrPartition) {
	r.Partitions = append(r.Partitions, Partition{
		Number: number, UUID: fmt.Sprintf("%08x-%02x", id, number), Type: fmt.Sprintf("0x%02x", e.kind),
		Offset: e.first * uint64(p.SectorSize), Size: e.count * uint64(p.SectorSize),
	})
}

// logical follows the chain of partitions in an extended one: each link has an
// entry for a partition, relative to itself, and one for the next link,
// relative to the extended partition.
func (r *Result) logical(p *probe, id uint32, extended uint64) {
	link := extended

	for number := 5; number < 5+maxLogical; number++ {
		entries, ok := p.entries(link)
		if !ok || entries[0].count == 0 {
			return
		}

		part := entries[0]
		part.first += link
		r.add(p, id, number, part)

		if entries[1].count == 0 || !entries[1].extended() {
			return
		}

		link = extended + entries[1].first
	}
}
