package fat

import (
	"fmt"
	"io"
	"math"
	"path"
	"strings"
)

// Create makes a file of size bytes, and the folders that it is in. A file of
// this name is replaced. The content is read once, in pieces.
func (v *Volume) Create(name string, size int64, content io.Reader) error {
	if size < 0 || size > math.MaxUint32 {
		return fmt.Errorf("creating %s: %w: a file of %d bytes", name, ErrNoSpace, size)
	}

	if err := v.create(name, size, content); err != nil {
		return v.fail("creating", name, err)
	}

	return nil
}

func (v *Volume) create(name string, size int64, content io.Reader) error {
	if err := v.begin(); err != nil {
		return err
	}

	if err := v.summarize(false); err != nil {
		return err
	}

	f, base, err := v.makeFolders(name)
	if err != nil {
		return err
	}

	old := f.find(base)
	if old != nil && old.Folder {
		return ErrFolder
	}

	clusters, err := v.fill(size, content)
	if err != nil {
		return err
	}

	e := entry([11]byte{}, attrArchive, firstOf(clusters), uint32(size))

	if old == nil {
		err = v.insert(f, base, e)
	} else {
		err = v.replace(f, old, e)
	}

	if err != nil {
		return err
	}

	return v.summarize(true)
}

func firstOf(clusters []uint32) uint32 {
	if len(clusters) == 0 {
		return 0
	}

	return clusters[0]
}

// makeFolders makes the folders that a file is in, and returns the last.
func (v *Volume) makeFolders(name string) (*folder, string, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, "", fmt.Errorf("%w: %q", ErrName, name)
	}

	f, err := v.readFolder(v.root)

	for _, part := range parts[:len(parts)-1] {
		if err != nil {
			return nil, "", err
		}

		i := f.find(part)

		switch {
		case i == nil:
			f, err = v.makeFolder(f, part)
		case !i.Folder:
			return nil, "", fmt.Errorf("%w: %s is a file", ErrFolder, i.Name)
		default:
			f, err = v.readFolder(i.first)
		}
	}

	return f, parts[len(parts)-1], err
}

func (v *Volume) makeFolder(parent *folder, name string) (*folder, error) {
	up := parent.first
	if up == v.root {
		up = 0
	}

	clusters, err := v.allocate(1)
	if err != nil {
		return nil, err
	}

	data := make([]byte, v.geometry.cluster)
	copy(data, entry(pack(".", ""), attrFolder, clusters[0], 0))
	copy(data[entrySize:], entry(pack("..", ""), attrFolder, up, 0))

	if err := v.write(data, v.offset(clusters[0])); err != nil {
		return nil, err
	}

	if err := v.link(clusters); err != nil {
		return nil, err
	}

	if err := v.insert(parent, name, entry([11]byte{}, attrFolder, clusters[0], 0)); err != nil {
		return nil, err
	}

	return v.readFolder(clusters[0])
}

// allocate finds free clusters, in one piece if there is one that is large
// enough. They stay free until they are linked.
func (v *Volume) allocate(count int64) ([]uint32, error) {
	if count == 0 {
		return nil, nil
	}

	if v.unused < count {
		return nil, fmt.Errorf("%w: %d bytes are needed and %d are free",
			ErrNoSpace, count*v.geometry.cluster, v.unused*v.geometry.cluster)
	}

	var all, run []uint32

	for c := uint32(rootCluster); v.has(c); c++ {
		if v.get(c) != 0 {
			run = run[:0]

			continue
		}

		if int64(len(all)) < count {
			all = append(all, c)
		}

		if run = append(run, c); int64(len(run)) == count {
			v.next = c + 1

			return run, nil
		}
	}

	v.next = rootCluster

	return all, nil
}

// link makes a chain of clusters whose content was written, and waits until
// both are on the disk. In which order they come there does not matter, since
// nothing leads to them yet.
func (v *Volume) link(clusters []uint32) error {
	for i, c := range clusters {
		next := uint32(endOfChain)
		if i+1 < len(clusters) {
			next = clusters[i+1]
		}

		v.set(c, next)
	}

	return v.flush()
}

// fill writes content into free clusters and links them.
func (v *Volume) fill(size int64, content io.Reader) ([]uint32, error) {
	clusters, err := v.allocate(v.clustersOf(size))
	if err != nil || size == 0 {
		return nil, err
	}

	const piece = 1 << 20

	buffer := make([]byte, min(max(piece, v.geometry.cluster), int64(len(clusters))*v.geometry.cluster))
	most := int64(len(buffer)) / v.geometry.cluster

	for done := int64(0); done < int64(len(clusters)); {
		run := min(runOf(clusters[done:]), most)
		part := buffer[:run*v.geometry.cluster]
		want := min(int64(len(part)), size-done*v.geometry.cluster)

		if _, err := io.ReadFull(content, part[:want]); err != nil {
			return nil, fmt.Errorf("reading the content: %w", err)
		}

		clear(part[want:])

		if err := v.write(part, v.offset(clusters[done])); err != nil {
			return nil, err
		}

		done += run
	}

	return clusters, v.link(clusters)
}

// replace gives an item the content of another entry, in one write.
func (v *Volume) replace(f *folder, i *item, e []byte) error {
	old, err := v.content(i)
	if err != nil {
		return err
	}

	slot := f.slot(i.end)
	copy(slot[20:22], e[20:22])
	copy(slot[26:32], e[26:32])

	if err := v.writeSlots(f, i.end, i.end); err != nil {
		return err
	}

	return v.free(old)
}

// free frees clusters that no entry on the disk names any more.
func (v *Volume) free(clusters []uint32) error {
	for _, c := range clusters {
		v.set(c, 0)
	}

	return v.flush()
}

// Remove removes a file or an empty folder.
func (v *Volume) Remove(name string) error {
	if err := v.remove(name); err != nil {
		return v.fail("removing", name, err)
	}

	return nil
}

func (v *Volume) remove(name string) error {
	if err := v.begin(); err != nil {
		return err
	}

	f, i, err := v.find(name)
	if err != nil {
		return err
	}

	if err := v.summarize(false); err != nil {
		return err
	}

	var clusters []uint32

	if i.Folder {
		inner, err := v.readFolder(i.first)

		switch {
		case err != nil:
			return err
		case len(inner.items) > 0:
			return fmt.Errorf("%w: it is not empty", ErrFolder)
		}

		clusters = inner.clusters
	} else if clusters, err = v.content(i); err != nil {
		return err
	}

	if err := v.erase(f, i); err != nil {
		return err
	}

	if err := v.free(clusters); err != nil {
		return err
	}

	return v.summarize(true)
}

// erase marks the slots of an item as free, its entry first.
func (v *Volume) erase(f *folder, i *item) error {
	for slot := i.start; slot <= i.end; slot++ {
		f.slot(slot)[0] = slotFree
	}

	first := max(i.start, i.end/v.perSector()*v.perSector())
	if err := v.writeSlots(f, first, i.end); err != nil {
		return err
	}

	if first == i.start {
		return nil
	}

	return v.writeSlots(f, i.start, first-1)
}

// Rename gives a file another name in the same folder. It fails with ErrExist
// when another file has it.
func (v *Volume) Rename(name, to string) error {
	if err := v.rename(name, to); err != nil {
		return v.fail("renaming", name+" to "+path.Base(to), err)
	}

	return nil
}

func (v *Volume) rename(name, to string) error {
	if !strings.EqualFold(path.Dir(path.Clean(name)), path.Dir(path.Clean(to))) {
		return fmt.Errorf("%w: %s is in another folder", ErrName, to)
	}

	if err := v.begin(); err != nil {
		return err
	}

	f, i, err := v.find(name)
	if err != nil {
		return err
	}

	if i.Folder {
		return fmt.Errorf("%w: only files can be renamed", ErrFolder)
	}

	base := path.Base(path.Clean(to))
	if other := f.find(base); other != nil && other != i {
		return fmt.Errorf("%w: %s", ErrExist, base)
	}

	if i.Name == base {
		return nil
	}

	if err := v.tidy(f); err != nil {
		return err
	}

	e := append([]byte{}, f.slot(i.end)...)
	e[stampAt] = byte((int(e[stampAt]) + 1) % stamps)
	e[caseAt] = 0

	set, err := f.set(base, e, i)
	if err != nil {
		return err
	}

	if at, ok := f.room(len(set)/entrySize, v.perSector(), i); ok {
		return v.exchange(f, i, set, at)
	}

	// The folder may grow.
	if err := v.summarize(false); err != nil {
		return err
	}

	if err := v.insert(f, base, e); err != nil {
		return err
	}

	if err := v.erase(f, i); err != nil {
		return err
	}

	return v.summarize(true)
}

// exchange puts the entries of the new name into the sector of the old one, in
// one write.
func (v *Volume) exchange(f *folder, i *item, set []byte, at int) error {
	for slot := i.start; slot <= i.end; slot++ {
		f.slot(slot)[0] = slotFree
	}

	head := i.end / v.perSector() * v.perSector()
	f.put(at, set)

	if err := v.writeSlots(f, min(max(i.start, head), at), max(i.end, at+len(set)/entrySize-1)); err != nil {
		return err
	}

	if i.start >= head {
		return nil
	}

	// Parts of the old long name in the sector before belong to nothing now.
	return v.writeSlots(f, i.start, head-1)
}

// insert adds an entry under a name, which makes it visible in one write.
func (v *Volume) insert(f *folder, name string, e []byte) error {
	set, err := f.set(name, e, nil)
	if err != nil {
		return err
	}

	if err := v.tidy(f); err != nil {
		return err
	}

	count := len(set) / entrySize

	at, ok := f.room(count, v.perSector(), nil)
	if !ok {
		at = f.slots()

		if err := v.grow(f, count); err != nil {
			return err
		}
	}

	if err := v.padTo(f, at); err != nil {
		return err
	}

	f.put(at, set)

	// What says that there is a file is the last entry.
	last := at + count - 1
	if head := last / v.perSector() * v.perSector(); head > at {
		if err := v.writeSlots(f, at, head-1); err != nil {
			return err
		}

		at = head
	}

	if err := v.writeSlots(f, at, last); err != nil {
		return err
	}

	f.parse()

	return nil
}

// perSector is how many slots are written at once.
func (v *Volume) perSector() int { return int(v.geometry.sector / entrySize) }

// writeSlots writes the sectors that have the slots, and waits until they are on
// the disk.
func (v *Volume) writeSlots(f *folder, first, last int) error {
	per := v.perSector()
	inCluster := int(v.geometry.cluster / v.geometry.sector)

	for s := first / per; s <= last/per; s++ {
		at := v.offset(f.clusters[s/inCluster]) + int64(s%inCluster)*v.geometry.sector
		if err := v.write(f.data[s*per*entrySize:(s+1)*per*entrySize], at); err != nil {
			return fmt.Errorf("writing a folder: %w", err)
		}
	}

	return v.sync()
}

// tidy clears what is behind the end of a folder, where anything may be.
func (v *Volume) tidy(f *folder) error {
	end := f.end()
	tail := f.data[end*entrySize:]

	for i, b := range tail {
		if b == 0 {
			continue
		}

		clear(tail)

		return v.writeSlots(f, end+i/entrySize, f.slots()-1)
	}

	return nil
}

// padTo makes slots between the end of a folder and one in a later sector free,
// so that the end is not before it.
func (v *Volume) padTo(f *folder, at int) error {
	end := f.end()
	if end >= at {
		return nil
	}

	for slot := end; slot < at; slot++ {
		f.slot(slot)[0] = slotFree
	}

	// In the same sector it is part of the write to come.
	if head := at / v.perSector() * v.perSector(); head > end {
		return v.writeSlots(f, end, head-1)
	}

	return nil
}

// grow adds clusters to a folder, for so many slots.
func (v *Volume) grow(f *folder, slots int) error {
	count := v.clustersOf(int64(slots) * entrySize)
	if int64(len(f.data))+count*v.geometry.cluster > maxFolder {
		return fmt.Errorf("%w: the folder is full", ErrNoSpace)
	}

	clusters, err := v.allocate(count)
	if err != nil {
		return err
	}

	zeros := make([]byte, v.geometry.cluster)
	for _, c := range clusters {
		if err := v.write(zeros, v.offset(c)); err != nil {
			return err
		}
	}

	// The chain must have its end before the folder leads to it.
	if err := v.link(clusters); err != nil {
		return err
	}

	v.set(f.clusters[len(f.clusters)-1], clusters[0])

	f.clusters = append(f.clusters, clusters...)
	f.data = append(f.data, make([]byte, count*v.geometry.cluster)...)

	return v.flush()
}
