package fat

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Errors of volumes.
var (
	// ErrNotFAT says that there is no FAT32 file system.
	ErrNotFAT = errors.New("no FAT32 file system")
	// ErrDamaged says that a file system contradicts itself. It is not changed.
	ErrDamaged = errors.New("the FAT file system is damaged")
	// ErrNotExist says that there is no such file or folder.
	ErrNotExist = errors.New("no such file")
	// ErrExist says that a name is taken.
	ErrExist = errors.New("there is such a file already")
	// ErrFolder says that something is a folder that should be a file, or the
	// other way round, or that a folder is not empty.
	ErrFolder = errors.New("the folder is in the way")
)

// Disk is what a file system lies on, from its first byte on. If it is also an
// interface{ Sync() error }, changes are safe at any moment of a power cut.
type Disk interface {
	io.ReaderAt
	io.WriterAt
}

// Volume is a file system that is there already. It can be changed so that a
// power cut at any moment leaves either the old or the new state, each complete:
//
//   - A file's content and its clusters in the tables are on the disk before the
//     folder names the file. The folder's entry is one write of one sector, and
//     so is the end of a file.
//   - Replacing a file, and giving it another name that fits into the same
//     sector, is one write of one sector. If the name does not fit, there are
//     two entries for a moment, and the next change removes the older one.
//   - Clusters that a power cut left without a file are free, whatever the
//     tables say, and the next change puts that right.
//
// Names are found whether written in capital or small letters. A Volume is not
// safe for concurrent use, and nobody else may change the file system meanwhile.
type Volume struct {
	disk     Disk
	geometry geometry
	reserved int64 // sectors before the tables
	tables   int64
	active   int64 // which table is read
	mirrored bool  // all tables are the same
	info     int64 // sector of the summary, or 0
	root     uint32

	table   []byte         // the active table, in memory
	changed map[int64]bool // its sectors that are not on the disk yet
	swept   bool           // it names no clusters but those of files and folders
	unused  int64          // how many clusters it names free, once it is swept
	healed  bool           // the same is true on the disk
	stale   []stale        // entries that a power cut left
	next    uint32         // where to look for free clusters
}

// Limits of what is read.
const (
	maxFolder = 2 << 20 // bytes; the most that a folder can have
	maxDepth  = 16
	badChain  = 0x0ffffff7 // marks a bad cluster
	chainMask = 0x0fffffff
)

// Open opens the file system on a disk of size bytes. It reads, and does not
// write.
func Open(disk Disk, size int64) (*Volume, error) {
	boot := make([]byte, 512)
	if _, err := disk.ReadAt(boot, 0); err != nil {
		return nil, fmt.Errorf("opening a FAT file system: %w", err)
	}

	v, err := parseBoot(boot, size)
	if err != nil {
		return nil, fmt.Errorf("opening a FAT file system: %w", err)
	}

	v.disk = disk

	if v.table, err = v.readTable(v.active); err != nil {
		return nil, fmt.Errorf("opening a FAT file system: %w", err)
	}

	return v, nil
}

// parseBoot reads the boot sector.
func parseBoot(boot []byte, size int64) (*Volume, error) {
	short := func(at int) int64 { return int64(binary.LittleEndian.Uint16(boot[at:])) }
	long := func(at int) int64 { return int64(binary.LittleEndian.Uint32(boot[at:])) }

	sector, perCluster := short(11), int64(boot[13])
	if boot[510] != 0x55 || boot[511] != 0xaa || sector < 512 || sector > 4096 || sector&(sector-1) != 0 ||
		perCluster == 0 || perCluster&(perCluster-1) != 0 || short(17) != 0 || short(22) != 0 || long(36) == 0 {
		return nil, ErrNotFAT
	}

	v := &Volume{
		reserved: short(14), tables: int64(boot[16]), info: short(48), root: uint32(long(44) & chainMask),
		geometry: geometry{sector: sector, cluster: sector * perCluster, sectors: max(short(19), long(32)), table: long(36)},
		mirrored: boot[40]&0x80 == 0, changed: map[int64]bool{},
	}

	if !v.mirrored {
		v.active = int64(boot[40] & 0x0f)
	}

	g := &v.geometry
	g.clusters = (g.sectors - v.reserved - v.tables*g.table) / perCluster

	switch {
	case v.reserved == 0, v.tables == 0, v.active >= v.tables, g.sectors*sector > size,
		g.clusters < minClusters, g.clusters > maxClusters, g.table*sector/4 < g.clusters+rootCluster,
		!v.has(v.root):
		return nil, fmt.Errorf("%w: its boot sector makes no sense", ErrDamaged)
	}

	if v.info >= v.reserved {
		v.info = 0
	}

	return v, nil
}

// has says whether there is a cluster with this number.
func (v *Volume) has(cluster uint32) bool {
	return cluster >= rootCluster && int64(cluster)-rootCluster < v.geometry.clusters
}

// used is how many bytes of a table have a meaning, in whole sectors.
func (v *Volume) used() int64 {
	return ((v.geometry.clusters+rootCluster)*4 + v.geometry.sector - 1) / v.geometry.sector * v.geometry.sector
}

func (v *Volume) readTable(number int64) ([]byte, error) {
	table := make([]byte, v.used())
	if _, err := v.disk.ReadAt(table, v.tableOffset(number)); err != nil {
		return nil, fmt.Errorf("reading table %d: %w", number, err)
	}

	return table, nil
}

// tableOffset is where a table begins, in bytes.
func (v *Volume) tableOffset(number int64) int64 {
	return (v.reserved + number*v.geometry.table) * v.geometry.sector
}

// offset is where a cluster begins, in bytes.
func (v *Volume) offset(cluster uint32) int64 {
	return v.tableOffset(v.tables) + int64(cluster-rootCluster)*v.geometry.cluster
}

// get is what the table says about a cluster: 0 when it is free, else what
// follows it.
func (v *Volume) get(cluster uint32) uint32 {
	return binary.LittleEndian.Uint32(v.table[cluster*4:]) & chainMask
}

// set changes the table in memory; the upper four bits stay.
func (v *Volume) set(cluster, value uint32) {
	at := v.table[cluster*4:]
	old := binary.LittleEndian.Uint32(at)

	if old&chainMask == value {
		return
	}

	if old&chainMask == 0 {
		v.unused--
	} else if value == 0 {
		v.unused++
	}

	binary.LittleEndian.PutUint32(at, old&^uint32(chainMask)|value)
	v.changed[int64(cluster)*4/v.geometry.sector] = true
}

// chain are the clusters of a file or folder that begins with first.
func (v *Volume) chain(first uint32, most int64) ([]uint32, error) {
	var clusters []uint32

	for at := first; ; at = v.get(at) {
		switch {
		case at >= badChain+1:
			return clusters, nil
		case !v.has(at):
			return nil, fmt.Errorf("%w: cluster %d does not exist", ErrDamaged, at)
		case int64(len(clusters)) >= most:
			return nil, fmt.Errorf("%w: the clusters after %d have no end", ErrDamaged, first)
		}

		clusters = append(clusters, at)
	}
}

// clustersOf is how many clusters so many bytes need.
func (v *Volume) clustersOf(size int64) int64 {
	return (size + v.geometry.cluster - 1) / v.geometry.cluster
}

// Free is how many bytes new files can have, in whole clusters.
func (v *Volume) Free() (int64, error) {
	if err := v.sweep(); err != nil {
		return 0, fmt.Errorf("looking for free space in a FAT file system: %w", err)
	}

	return v.unused * v.geometry.cluster, nil
}

// SizeOf is how much of Free a file of size bytes takes.
func (v *Volume) SizeOf(size int64) int64 { return v.clustersOf(size) * v.geometry.cluster }

// Info is a file or folder.
type Info struct {
	Name   string
	Size   int64 // bytes
	Folder bool
}

// List lists a folder; the root is ".".
func (v *Volume) List(folder string) ([]Info, error) {
	f, err := v.openFolder(folder)
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", folder, err)
	}

	list := make([]Info, 0, len(f.items))
	for _, i := range f.items {
		if i.named() {
			list = append(list, i.Info)
		}
	}

	return list, nil
}

// Stat finds a file or folder. Its name is as it stands in the folder.
func (v *Volume) Stat(name string) (Info, error) {
	_, i, err := v.find(name)
	if err != nil {
		return Info{}, fmt.Errorf("finding %s: %w", name, err)
	}

	return i.Info, nil
}

// Content is the content of a file. It is valid until the file is changed.
type Content struct {
	v        *Volume
	clusters []uint32
	size     int64
}

// Open opens a file.
func (v *Volume) Open(name string) (*Content, error) {
	_, i, err := v.find(name)

	switch {
	case err != nil:
		return nil, fmt.Errorf("opening %s: %w", name, err)
	case i.Folder:
		return nil, fmt.Errorf("opening %s: %w", name, ErrFolder)
	}

	clusters, err := v.content(i)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", name, err)
	}

	return &Content{v, clusters, i.Size}, nil
}

// content are the clusters of a file; there must be enough of them.
func (v *Volume) content(i *item) ([]uint32, error) {
	if i.first == 0 && i.Size == 0 {
		return nil, nil
	}

	clusters, err := v.chain(i.first, v.geometry.clusters)
	if err == nil && int64(len(clusters)) < v.clustersOf(i.Size) {
		err = fmt.Errorf("%w: %s is cut off after %d clusters", ErrDamaged, i.Name, len(clusters))
	}

	return clusters, err
}

// Size is the size of the file in bytes.
func (c *Content) Size() int64 { return c.size }

// ReadAt implements [io.ReaderAt].
func (c *Content) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset >= c.size {
		return 0, io.EOF
	}

	whole := len(p)
	p = p[:min(int64(whole), c.size-offset)]

	for done := 0; done < len(p); {
		at := offset + int64(done)
		first, within := at/c.v.geometry.cluster, at%c.v.geometry.cluster
		last := c.v.clustersOf(at + int64(len(p)-done))
		run := runOf(c.clusters[first:last])
		step := int(min(int64(len(p)-done), run*c.v.geometry.cluster-within))

		n, err := c.v.disk.ReadAt(p[done:done+step], c.v.offset(c.clusters[first])+within)
		if err != nil && n < step {
			return done + n, err
		}

		done += step
	}

	if len(p) < whole {
		return len(p), io.EOF
	}

	return len(p), nil
}

// runOf is how many of the clusters, from the first on, lie one after the other.
func runOf(clusters []uint32) int64 {
	n := 1
	for n < len(clusters) && clusters[n] == clusters[n-1]+1 {
		n++
	}

	return int64(n)
}

// ReadFile reads a whole file of at most most bytes.
func (v *Volume) ReadFile(name string, most int64) ([]byte, error) {
	c, err := v.Open(name)
	if err != nil {
		return nil, err
	}

	if c.size > most {
		return nil, fmt.Errorf("reading %s: it has %d bytes, expected are at most %d", name, c.size, most)
	}

	data := make([]byte, c.size)
	if _, err := c.ReadAt(data, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}

	return data, nil
}

// split takes a path apart; the root has no parts.
func split(name string) []string {
	name = path.Clean(name)
	if name == "." || name == "/" {
		return nil
	}

	return strings.Split(strings.TrimPrefix(name, "/"), "/")
}
