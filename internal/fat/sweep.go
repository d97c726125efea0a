package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// stale is an entry of a file that has a newer one.
type stale struct {
	folder *folder
	item   *item
}

// sweep reads the tables anew and frees, in memory, the clusters that belong to
// no file. It fails with ErrDamaged when files share clusters or lack some.
func (v *Volume) sweep() error {
	if v.swept {
		return nil
	}

	var err error
	if v.table, err = v.readTable(v.active); err != nil {
		return err
	}

	clear(v.changed)
	v.stale = nil

	reached := make([]bool, v.geometry.clusters+rootCluster)
	if err := v.walk(v.root, reached, 0); err != nil {
		return err
	}

	var unused int64

	for c := uint32(rootCluster); v.has(c); c++ {
		if reached[c] || v.get(c) == badChain {
			continue
		}

		v.set(c, 0)

		unused++
	}

	v.swept, v.unused = true, unused

	return nil
}

// walk marks the clusters of a folder and all that is in it.
func (v *Volume) walk(first uint32, reached []bool, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: folders in folders have no end", ErrDamaged)
	}

	f, err := v.readFolder(first)
	if err != nil {
		return err
	}

	if err := mark(f.clusters, reached); err != nil {
		return err
	}

	files := map[uint32]*item{}

	for _, i := range f.items {
		if i.Folder {
			if i.first == 0 {
				return fmt.Errorf("%w: folder %q has no content", ErrDamaged, i.Name)
			}

			if err := v.walk(i.first, reached, depth+1); err != nil {
				return err
			}

			continue
		}

		if other := files[i.first]; other != nil && i.first != 0 {
			// A power cut came while the file got another name.
			old := i
			if newer(f.slot(i.end), f.slot(other.end)) {
				old, files[i.first] = other, i
			}

			v.stale = append(v.stale, stale{f, old})

			continue
		}

		files[i.first] = i

		clusters, err := v.content(i)
		if err != nil {
			return err
		}

		if err := mark(clusters, reached); err != nil {
			return fmt.Errorf("%w: that of %q", err, i.Name)
		}
	}

	return nil
}

func mark(clusters []uint32, reached []bool) error {
	for _, c := range clusters {
		if reached[c] {
			return fmt.Errorf("%w: two files share cluster %d", ErrDamaged, c)
		}

		reached[c] = true
	}

	return nil
}

// Heal brings the file system in order after a power cut, as every change does
// before it begins. It does not write when all is well.
func (v *Volume) Heal() error {
	if err := v.begin(); err != nil {
		return v.fail("healing", "a FAT file system", err)
	}

	return nil
}

// begin is called before every change. It brings to the disk what sweep found,
// and makes all tables the same.
func (v *Volume) begin() error {
	if err := v.sweep(); err != nil {
		return err
	}

	if v.healed {
		return nil
	}

	for _, s := range v.stale {
		if err := v.erase(s.folder, s.item); err != nil {
			return err
		}
	}

	v.stale = nil

	if err := v.compareTables(); err != nil {
		return err
	}

	if err := v.flush(); err != nil {
		return err
	}

	v.healed = true

	return nil
}

// compareTables notes the sectors in which any table differs from the one in
// memory.
func (v *Volume) compareTables() error {
	for number := range v.tables {
		if !v.mirrored && number != v.active {
			continue
		}

		other, err := v.readTable(number)
		if err != nil {
			return err
		}

		sector := v.geometry.sector
		for at := int64(0); at < int64(len(other)); at += sector {
			if !bytes.Equal(other[at:at+sector], v.table[at:at+sector]) {
				v.changed[at/sector] = true
			}
		}
	}

	return nil
}

// flush brings the changed sectors to all tables and waits until they are there.
func (v *Volume) flush() error {
	sector := v.geometry.sector

	for number := range v.tables {
		if !v.mirrored && number != v.active {
			continue
		}

		for at := int64(0); at < int64(len(v.table))/sector; at++ {
			if !v.changed[at] {
				continue
			}

			end := at + 1
			for v.changed[end] {
				end++
			}

			if err := v.write(v.table[at*sector:end*sector], v.tableOffset(number)+at*sector); err != nil {
				return fmt.Errorf("writing table %d: %w", number, err)
			}

			at = end
		}
	}

	clear(v.changed)

	return v.sync()
}

func (v *Volume) write(data []byte, offset int64) error {
	_, err := v.disk.WriteAt(data, offset)

	return err
}

func (v *Volume) sync() error {
	if s, ok := v.disk.(interface{ Sync() error }); ok {
		return s.Sync()
	}

	return nil
}

// fail is called when a change was broken off: what is in memory may not be
// what is on the disk.
func (v *Volume) fail(doing, name string, err error) error {
	v.swept, v.healed = false, false

	return fmt.Errorf("%s %s: %w", doing, name, err)
}

// Where the summary has how many clusters are free, and where to look for them.
const (
	infoFree    = 488
	infoNext    = 492
	infoUnknown = 0xffffffff
)

// summarize writes the summary, which programs may believe: that nothing is
// known while something changes, and how much is free when it is over.
func (v *Volume) summarize(known bool) error {
	if v.info == 0 {
		return nil
	}

	data := make([]byte, v.geometry.sector)
	if _, err := v.disk.ReadAt(data, v.info*v.geometry.sector); err != nil {
		return err
	}

	if string(data[:4]) != "RRaA" || string(data[infoFree-4:infoFree]) != "rrAa" {
		return nil
	}

	free, next := uint32(infoUnknown), uint32(infoUnknown)
	if known {
		free, next = uint32(v.unused), max(v.next, rootCluster)
	}

	binary.LittleEndian.PutUint32(data[infoFree:], free)
	binary.LittleEndian.PutUint32(data[infoNext:], next)

	return v.write(data, v.info*v.geometry.sector)
}
