package fat

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
)

// Attributes of entries.
const (
	attrLabel   = 0x08
	attrFolder  = 0x10
	attrArchive = 0x20
	attrLong    = 0x0f
)

const (
	longUnits = 13 // UTF-16 code units in one entry of a long name
	maxName   = 255
	lastLong  = 0x40
	epoch     = 1<<5 | 1 // the first of January 1980
)

// shortAllowed are the characters of short names.
const shortAllowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'()-@^_`{}~"

// shorten makes the short name, which none of the siblings has.
func (n *node) shorten(siblings []*node) (err error) {
	n.short, n.long, err = shorten(n.name, func(short [11]byte) bool {
		return slices.ContainsFunc(siblings, func(s *node) bool { return s.short == short })
	})

	return err
}

// shorten makes the short name of a file, which must not be taken, and says
// whether a long name is needed beside it.
func shorten(name string, taken func([11]byte) bool) (short [11]byte, long bool, err error) {
	if name == "" || name == "." || name == ".." || len(name) > maxName ||
		strings.ContainsAny(name, "\"*/:<>?\\|\x00") || strings.TrimRight(name, ". ") != name || !ascii(name) {
		return short, false, fmt.Errorf("%w: %q", ErrName, name)
	}

	base, extension := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		base, extension = name[:dot], name[dot+1:]
	}

	if short = pack(base, extension); base != "" && fits(base, 8) && fits(extension, 3) && !taken(short) {
		return short, false, nil
	}

	base, extension = strip(base), strip(extension)

	for i := 1; ; i++ {
		tail := fmt.Sprintf("~%d", i)
		short = pack(base[:min(len(base), 8-len(tail))]+tail, extension[:min(len(extension), 3)])

		if !taken(short) {
			return short, true, nil
		}
	}
}

func ascii(name string) bool {
	return !strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

func fits(text string, size int) bool { return len(text) <= size && strip(text) == text }

// strip makes capital letters and leaves out what cannot be in a short name.
func strip(text string) string {
	return strings.Map(func(r rune) rune {
		if !strings.ContainsRune(shortAllowed, r) {
			return -1
		}

		return r
	}, strings.ToUpper(text))
}

func pack(base, extension string) [11]byte {
	return [11]byte([]byte(fmt.Sprintf("%-8.8s%-3.3s", base, extension)))
}

// entries is how many entries a folder has.
func (n *node) entries() int {
	count := 2 // itself and its parent
	if n.label != "" {
		count = 1
	}

	for _, c := range n.children {
		count++

		if c.long {
			count += (len(c.name) + longUnits - 1) / longUnits
		}
	}

	return count
}

// directory is the content of a folder. The entry for a parent that is the root
// names cluster 0.
func (n *node) directory(parent *node) []byte {
	var data []byte

	if n.label != "" {
		data = append(data, entry([11]byte([]byte(n.label)), attrLabel, 0, 0)...)
	} else {
		up := parent.first
		if parent.label != "" {
			up = 0
		}

		data = append(data, entry(pack(".", ""), attrFolder, n.first, 0)...)
		data = append(data, entry(pack("..", ""), attrFolder, up, 0)...)
	}

	for _, c := range n.children {
		if c.long {
			data = append(data, longEntries(c.name, c.short)...)
		}

		attribute := byte(attrArchive)
		if c.folder {
			attribute = attrFolder
		}

		data = append(data, entry(c.short, attribute, c.first, uint32(len(c.data)))...)
	}

	return data
}

func entry(short [11]byte, attribute byte, cluster, size uint32) []byte {
	e := make([]byte, entrySize)
	copy(e, short[:])
	e[11] = attribute

	for _, at := range []int{16, 18, 24} { // created, read, written
		binary.LittleEndian.PutUint16(e[at:], epoch)
	}

	binary.LittleEndian.PutUint16(e[20:], uint16(cluster>>16))
	binary.LittleEndian.PutUint16(e[26:], uint16(cluster))
	binary.LittleEndian.PutUint32(e[28:], size)

	return e
}

// longEntries hold the long name, its last part first.
func longEntries(name string, short [11]byte) []byte {
	units := utf16.Encode([]rune(name))
	parts := (len(units) + longUnits - 1) / longUnits

	if len(units)%longUnits != 0 {
		units = append(units, 0)
	}

	for len(units) < parts*longUnits {
		units = append(units, 0xffff)
	}

	sum, data := checksum(short), []byte(nil)

	for i := parts - 1; i >= 0; i-- {
		e := make([]byte, entrySize)
		e[0] = byte(i + 1)
		e[11] = attrLong
		e[13] = sum

		if i == parts-1 {
			e[0] |= lastLong
		}

		for j, at := range unitOffsets() {
			binary.LittleEndian.PutUint16(e[at:], units[i*longUnits+j])
		}

		data = append(data, e...)
	}

	return data
}

// unitOffsets are where the code units of a long name are in an entry.
func unitOffsets() [longUnits]int {
	return [longUnits]int{1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30}
}

// checksum ties the entries of a long name to the short one.
func checksum(short [11]byte) byte {
	var sum byte
	for _, b := range short {
		sum = sum>>1 | sum<<7
		sum += b
	}

	return sum
}
