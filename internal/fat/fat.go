// Package fat makes and changes FAT32 file systems, as EFI system partitions
// are.
//
// [Write] makes one in one go from a list of files. Every file lies in one
// piece; all times are the same and there is no serial number, so the same files
// give the same bytes. [Open] opens one that is there already, and a power cut
// while it is changed does no harm: see [Volume].
package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// File is a file to put in.
type File struct {
	Name string // path with slashes; folders are made
	Data []byte
}

// Errors of this package.
var (
	// ErrNoSpace says that the files do not fit.
	ErrNoSpace = errors.New("the files do not fit in the file system")
	// ErrGeometry says that a file system of such a size cannot be made.
	ErrGeometry = errors.New("no FAT32 file system has this size")
	// ErrName says that a file cannot have its name, or that it is there twice.
	ErrName = errors.New("bad file name")
)

// Geometry of the file system.
const (
	reserved    = 32 // sectors before the tables
	tables      = 2
	infoSector  = 1
	backup      = 6 // sector of the copy of the boot sector
	rootCluster = 2

	largeVolume = 260 << 20 // from here on clusters have 4096 bytes, not 512
	minClusters = 65525     // with fewer it would be FAT16
	maxClusters = 0x0ffffff5
	endOfChain  = 0x0fffffff
	entrySize   = 32
	fixedDisk   = 0xf8
)

// geometry is where things are, all in sectors but cluster and sector, which
// are bytes.
type geometry struct {
	sector, cluster int64
	sectors         int64
	table           int64 // size of one table
	clusters        int64
}

func newGeometry(size int64, sectorSize int) (geometry, error) {
	g := geometry{sector: int64(sectorSize), cluster: max(512, int64(sectorSize))}

	if sectorSize != 512 && sectorSize != 4096 {
		return g, fmt.Errorf("%w: sectors of %d bytes", ErrGeometry, sectorSize)
	}

	if size > largeVolume {
		g.cluster = 4096
	}

	g.sectors = size / g.sector
	perCluster := g.cluster / g.sector
	perTable := g.sector / 4 // entries in a sector of a table

	// Each cluster takes its own sectors and its entry in each table, which has
	// two entries more.
	usable := g.sectors - reserved
	g.table = (usable + rootCluster*perCluster + perCluster*perTable + tables - 1) / (perCluster*perTable + tables)
	g.clusters = (usable - tables*g.table) / perCluster

	// Firmware that counts would take less for FAT16.
	if g.clusters < minClusters || g.clusters > maxClusters || g.sectors > 1<<32-1 {
		return g, fmt.Errorf("%w: %d clusters of %d bytes", ErrGeometry, g.clusters, g.cluster)
	}

	return g, nil
}

// offset is where a cluster begins, in bytes.
func (g geometry) offset(cluster uint32) int64 {
	return (reserved+tables*g.table)*g.sector + int64(cluster-rootCluster)*g.cluster
}

// MinSize is the size of the smallest file system, in bytes.
func MinSize(sectorSize int) int64 {
	return (minClusters+reserved)*int64(sectorSize) + (minClusters+1024)*4*tables
}

// Head is how many bytes at the beginning of a file system of size bytes must
// read as zeros before it is made.
func Head(size int64, sectorSize int) (int64, error) {
	g, err := newGeometry(size, sectorSize)
	if err != nil {
		return 0, fmt.Errorf("planning a FAT file system: %w", err)
	}

	return g.offset(rootCluster), nil
}

// Write makes a file system of size bytes in w, of which [Head] must read as
// zeros before.
func Write(w io.WriterAt, size int64, sectorSize int, label string, files []File) error {
	g, err := newGeometry(size, sectorSize)
	if err != nil {
		return fmt.Errorf("making a FAT file system: %w", err)
	}

	root, err := plant(files)
	if err != nil {
		return fmt.Errorf("making a FAT file system: %w", err)
	}

	v := &volume{w: w, geometry: g, next: rootCluster}
	root.label = fmt.Sprintf("%-11.11s", strings.ToUpper(label))

	if err := v.place(root); err != nil {
		return fmt.Errorf("making a FAT file system: %w", err)
	}

	if err := v.write(root, nil); err != nil {
		return fmt.Errorf("making a FAT file system: %w", err)
	}

	if err := v.finish(root.label); err != nil {
		return fmt.Errorf("making a FAT file system: %w", err)
	}

	return nil
}

// node is a file or a folder.
type node struct {
	name     string
	short    [11]byte
	long     bool // the short name is not the whole name
	folder   bool
	label    string // of the root
	data     []byte
	children []*node
	first    uint32 // cluster; 0: none
}

// plant makes a tree of the files.
func plant(files []File) (*node, error) {
	root := &node{folder: true}

	for _, f := range files {
		dir := root

		parts := strings.Split(path.Clean(f.Name), "/")
		for i, part := range parts {
			child := dir.child(part)
			last := i == len(parts)-1

			if child != nil && (last || !child.folder) {
				return nil, fmt.Errorf("adding %s: %w: it is there already", f.Name, ErrName)
			}

			if child == nil {
				child = &node{name: part, folder: !last}
				if err := dir.adopt(child); err != nil {
					return nil, fmt.Errorf("adding %s: %w", f.Name, err)
				}
			}

			dir = child
		}

		dir.data = f.Data
	}

	return root, nil
}

// child finds a name; FAT does not tell capital letters from small ones.
func (n *node) child(name string) *node {
	for _, c := range n.children {
		if strings.EqualFold(c.name, name) {
			return c
		}
	}

	return nil
}

func (n *node) adopt(child *node) error {
	if err := child.shorten(n.children); err != nil {
		return err
	}

	n.children = append(n.children, child)

	return nil
}

// volume is a file system being written.
type volume struct {
	w        io.WriterAt
	geometry geometry
	next     uint32 // free cluster
	chains   []chain
}

// chain is a file or folder in the table: clusters one after the other.
type chain struct{ first, count uint32 }

// place gives clusters to a folder and all that is in it.
func (v *volume) place(n *node) error {
	size := int64(len(n.data))
	if n.folder {
		size = max(int64(n.entries())*entrySize, 1)
	}

	count := (size + v.geometry.cluster - 1) / v.geometry.cluster
	if int64(v.next)-rootCluster+count > v.geometry.clusters || size > 1<<32-1 {
		return fmt.Errorf("adding %s: %w", n.name, ErrNoSpace)
	}

	if count > 0 {
		n.first = v.next
		v.next += uint32(count)
		v.chains = append(v.chains, chain{n.first, uint32(count)})
	}

	for _, child := range n.children {
		if err := v.place(child); err != nil {
			return err
		}
	}

	return nil
}

// write writes the clusters of a node and of all that is in it.
func (v *volume) write(n, parent *node) error {
	data := n.data
	if n.folder {
		data = n.directory(parent)
		data = append(data, make([]byte, (v.geometry.cluster-int64(len(data))%v.geometry.cluster)%v.geometry.cluster)...)
	}

	if len(data) > 0 {
		if _, err := v.w.WriteAt(data, v.geometry.offset(n.first)); err != nil {
			return err
		}
	}

	for _, child := range n.children {
		if err := v.write(child, n); err != nil {
			return err
		}
	}

	return nil
}

// finish writes the tables and the boot sectors.
func (v *volume) finish(label string) error {
	table := make([]byte, v.next*4)
	binary.LittleEndian.PutUint32(table, 0x0fffff00|fixedDisk)
	binary.LittleEndian.PutUint32(table[4:], endOfChain)

	for _, c := range v.chains {
		for i := c.first; i < c.first+c.count-1; i++ {
			binary.LittleEndian.PutUint32(table[i*4:], i+1)
		}

		binary.LittleEndian.PutUint32(table[(c.first+c.count-1)*4:], endOfChain)
	}

	for i := range int64(tables) {
		if _, err := v.w.WriteAt(table, (reserved+i*v.geometry.table)*v.geometry.sector); err != nil {
			return err
		}
	}

	boot, info := v.bootSector(label), v.infoSector()

	for _, at := range []int64{0, backup} {
		if _, err := v.w.WriteAt(boot, at*v.geometry.sector); err != nil {
			return err
		}

		if _, err := v.w.WriteAt(info, (at+infoSector)*v.geometry.sector); err != nil {
			return err
		}
	}

	return nil
}

func (v *volume) bootSector(label string) []byte {
	g := v.geometry
	data := make([]byte, 512)

	copy(data, []byte{0xeb, 0x58, 0x90})
	copy(data[3:], "BASALT  ")
	binary.LittleEndian.PutUint16(data[11:], uint16(g.sector))
	data[13] = byte(g.cluster / g.sector)
	binary.LittleEndian.PutUint16(data[14:], reserved)
	data[16] = tables
	data[21] = fixedDisk
	binary.LittleEndian.PutUint16(data[24:], 63)  // sectors on a track and
	binary.LittleEndian.PutUint16(data[26:], 255) // heads, of no meaning today
	binary.LittleEndian.PutUint32(data[32:], uint32(g.sectors))
	binary.LittleEndian.PutUint32(data[36:], uint32(g.table))
	binary.LittleEndian.PutUint32(data[44:], rootCluster)
	binary.LittleEndian.PutUint16(data[48:], infoSector)
	binary.LittleEndian.PutUint16(data[50:], backup)
	data[64] = 0x80
	data[66] = 0x29
	copy(data[71:], label)
	copy(data[82:], "FAT32   ")
	copy(data[510:], []byte{0x55, 0xaa})

	return data
}

func (v *volume) infoSector() []byte {
	data := make([]byte, 512)
	copy(data, "RRaA")
	copy(data[484:], "rrAa")
	binary.LittleEndian.PutUint32(data[488:], uint32(v.geometry.clusters)-(v.next-rootCluster))
	binary.LittleEndian.PutUint32(data[492:], v.next)
	copy(data[508:], []byte{0, 0, 0x55, 0xaa})

	return data
}
