package fat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Marks in the first byte of an entry.
const (
	slotEnd   = 0x00 // nothing follows
	slotFree  = 0xe5
	slotE5    = 0x05 // stands for a name that begins with 0xe5
	maskLong  = 0x3f // of an attribute
	lowerBase = 0x08 // in caseAt: the name is in small letters
	lowerExt  = 0x10

	attrAt  = 11
	caseAt  = 12
	stampAt = 13 // hundredths of the time of creation; see newer
)

// folder is a folder in memory.
type folder struct {
	first    uint32
	clusters []uint32
	data     []byte // all slots
	items    []*item
}

// item is a file or folder in a folder.
type item struct {
	Info

	short      [11]byte
	first      uint32 // cluster, or 0
	start, end int    // slots: of the long name, if there is one, and of the entry
}

// openFolder reads a folder.
func (v *Volume) openFolder(name string) (*folder, error) {
	f, err := v.readFolder(v.root)

	for _, part := range split(name) {
		if err != nil {
			return nil, err
		}

		i := f.find(part)

		switch {
		case i == nil:
			return nil, ErrNotExist
		case !i.Folder:
			return nil, ErrFolder
		}

		f, err = v.readFolder(i.first)
	}

	return f, err
}

// find finds a file or folder, and the folder that it is in.
func (v *Volume) find(name string) (*folder, *item, error) {
	parts := split(name)
	if len(parts) == 0 {
		return nil, nil, ErrFolder
	}

	f, err := v.openFolder(strings.Join(parts[:len(parts)-1], "/"))
	if err != nil {
		return nil, nil, err
	}

	i := f.find(parts[len(parts)-1])
	if i == nil {
		return nil, nil, ErrNotExist
	}

	return f, i, nil
}

func (f *folder) find(name string) *item {
	i := slices.IndexFunc(f.items, func(i *item) bool { return i.named() && strings.EqualFold(i.Name, name) })
	if i < 0 {
		return nil
	}

	return f.items[i]
}

func (v *Volume) readFolder(first uint32) (*folder, error) {
	if first == 0 {
		first = v.root // as an entry for the parent names it
	}

	clusters, err := v.chain(first, maxFolder/v.geometry.cluster+1)
	if err != nil {
		return nil, fmt.Errorf("reading a folder: %w", err)
	}

	f := &folder{first: first, clusters: clusters, data: make([]byte, int64(len(clusters))*v.geometry.cluster)}

	for done := int64(0); done < int64(len(clusters)); {
		run := runOf(clusters[done:])
		part := f.data[done*v.geometry.cluster : (done+run)*v.geometry.cluster]

		if _, err := v.disk.ReadAt(part, v.offset(clusters[done])); err != nil {
			return nil, fmt.Errorf("reading a folder: %w", err)
		}

		done += run
	}

	f.parse()

	return f, nil
}

func (f *folder) slots() int { return len(f.data) / entrySize }

func (f *folder) slot(i int) []byte { return f.data[i*entrySize : (i+1)*entrySize] }

// parse finds the items. Parts of long names that belong to no item are
// ignored.
func (f *folder) parse() {
	f.items = nil
	long := longName{}

	for i := range f.slots() {
		e := f.slot(i)

		switch {
		case e[0] == slotEnd:
			return
		case e[0] == slotFree:
			long = longName{}
		case e[attrAt]&maskLong == attrLong:
			long = long.with(e, i)
		case e[attrAt]&attrLabel != 0:
			long = longName{}
		default:
			if it := parseItem(e, i, long); it != nil {
				f.items = append(f.items, it)
			}

			long = longName{}
		}
	}
}

// longName is a long name as far as it was read, from its end.
type longName struct {
	units []uint16
	start int  // its first slot
	next  byte // the number of the part that must come next
	sum   byte
}

func (l longName) with(e []byte, slot int) longName {
	number := e[0] &^ lastLong

	if e[0]&lastLong != 0 && number >= 1 && number <= (maxName+longUnits-1)/longUnits {
		l = longName{start: slot, next: number, sum: e[13]}
	} else if l.next == 0 || number != l.next || e[13] != l.sum {
		return longName{}
	}

	part := make([]uint16, 0, longUnits)
	for _, at := range unitOffsets() {
		part = append(part, binary.LittleEndian.Uint16(e[at:]))
	}

	l.units = append(part, l.units...)
	l.next--

	return l
}

// text is the name, or false when it is not complete or not of this short name.
func (l longName) text(short [11]byte) (string, bool) {
	if l.next != 0 || len(l.units) == 0 || l.sum != checksum(short) {
		return "", false
	}

	if end := slices.Index(l.units, 0); end >= 0 {
		l.units = l.units[:end]
	}

	return string(utf16.Decode(l.units)), true
}

// parseItem reads the entry in a slot; nil when it is the folder itself or its
// parent.
func parseItem(e []byte, slot int, long longName) *item {
	i := &item{short: [11]byte(e[:11]), start: slot, end: slot}
	i.Folder = e[attrAt]&attrFolder != 0
	i.first = (uint32(binary.LittleEndian.Uint16(e[20:]))<<16 | uint32(binary.LittleEndian.Uint16(e[26:]))) & chainMask

	if !i.Folder {
		i.Size = int64(binary.LittleEndian.Uint32(e[28:]))
	}

	name, ok := long.text(i.short)
	if ok {
		i.start = long.start
	} else {
		name = shortText(i.short, e[caseAt])
	}

	i.Name = name

	if i.short == pack(".", "") || i.short == pack("..", "") {
		return nil
	}

	return i
}

// named says whether the name can be part of a path. What has another one stays
// as it is and cannot be found.
func (i *item) named() bool {
	return i.Name != "" && i.Name != "." && i.Name != ".." && !strings.ContainsAny(i.Name, "/\x00")
}

// shortText is a short name as people read it.
func shortText(short [11]byte, flags byte) string {
	if short[0] == slotE5 {
		short[0] = slotFree
	}

	text := func(part []byte, lower bool) string {
		runes := make([]rune, 0, len(part))
		for _, b := range bytes.TrimRight(part, " ") {
			runes = append(runes, rune(b)) // as in Latin 1: what it means depends on who wrote it
		}

		if lower {
			return strings.ToLower(string(runes))
		}

		return string(runes)
	}

	name := text(short[:8], flags&lowerBase != 0)
	if extension := text(short[8:], flags&lowerExt != 0); extension != "" {
		name += "." + extension
	}

	return name
}

// newer says whether the first of two entries for the same file, which a power
// cut left while its name was changed, has the new name. Each new name has a
// stamp that follows the old one's; it goes around after 200.
func newer(a, b []byte) bool {
	return (int(a[stampAt])-int(b[stampAt])+stamps)%stamps < stamps/2
}

const stamps = 200

// set are the entries for a name: those of the long name, if there must be one,
// and the entry itself. The item that will go does not count as another.
func (f *folder) set(name string, e []byte, gone *item) ([]byte, error) {
	short, long, err := shorten(name, func(short [11]byte) bool {
		for _, i := range f.items {
			if i != gone && i.short == short {
				return true
			}
		}

		return false
	})
	if err != nil {
		return nil, err
	}

	var set []byte
	if long {
		set = longEntries(name, short)
	}

	own := append([]byte{}, e...)
	copy(own, short[:])

	return append(set, own...), nil
}

// end is the first slot behind the last that was ever used.
func (f *folder) end() int {
	for i := range f.slots() {
		if f.slot(i)[0] == slotEnd {
			return i
		}
	}

	return f.slots()
}

// room finds so many free slots in one sector, or, for more than a sector has,
// anywhere. With an item it looks only into the sector of its entry, and takes
// the item's slots for free.
func (f *folder) room(count, perSector int, replaced *item) (int, bool) {
	used := f.used(replaced)
	from, to := 0, f.slots()

	if replaced != nil {
		from = replaced.end / perSector * perSector
		to = from + perSector
	}

	run := 0

	for slot := from; slot < to; slot++ {
		if slot%perSector == 0 && count <= perSector {
			run = 0
		}

		if run++; used[slot] {
			run = 0
		}

		if run == count {
			return slot - count + 1, true
		}
	}

	return 0, false
}

// used says which slots belong to something. An item that will go does not use
// its slots.
func (f *folder) used(gone *item) []bool {
	used := make([]bool, f.slots())

	for slot := range f.end() {
		e := f.slot(slot)
		used[slot] = e[0] != slotFree && e[attrAt]&maskLong != attrLong
	}

	for _, i := range f.items {
		for slot := i.start; slot <= i.end; slot++ {
			used[slot] = i != gone
		}
	}

	return used
}

func (f *folder) put(at int, set []byte) { copy(f.data[at*entrySize:], set) }
