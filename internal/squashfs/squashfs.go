// Package squashfs makes squashfs images, the compressed read-only file systems
// that a machine runs from. The same entries give the same bytes, whatever the
// number of processors. What is not needed for a root file system is left out:
// there are no devices, extended attributes, hard links or shared tails of
// files, and all times are zero.
package squashfs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Entry is a file, a folder or a symbolic link.
type Entry struct {
	Name string      // path without a leading slash; "" is the root folder
	Mode fs.FileMode // type, permission bits and ModeSticky
	UID  uint32
	GID  uint32
	Link string // target of a symbolic link

	// A regular file's content, which has Size bytes.
	Size int64
	Open func() (io.ReadCloser, error)
}

// Errors of this package.
var (
	// ErrEntry says that an entry cannot be in an image.
	ErrEntry = errors.New("bad entry")
	// ErrSize says that an image would be too large, or that a file has not the
	// size that was announced.
	ErrSize = errors.New("bad size")
)

// Sizes in bytes.
const (
	BlockSize   = 128 << 10 // of what is compressed at once
	blockLog    = 17
	metaSize    = 8 << 10
	headSize    = 96
	padding     = 4 << 10
	maxImage    = 1<<32 - 1
	maxName     = 256
	maxListing  = 1<<16 - 1 - 3 // of a folder's basic inode
	storedData  = 1 << 24       // in a block's size: it is not compressed
	storedMeta  = 1 << 15
	none32      = 1<<32 - 1
	none64      = 1<<64 - 1
	magic       = 0x73717368
	zstdFormat  = 6
	noFragments = 0x10
	noXattrs    = 0x200
)

// Types of inodes.
const (
	typeDir      = 1
	typeFile     = 2
	typeLink     = 3
	typeLargeDir = 8
)

// node is an entry in its place in the tree.
type node struct {
	Entry
	number   uint32
	parent   *node
	children []*node // sorted by name

	start  int64    // of a file's data in the image
	blocks []uint32 // sizes of a file's blocks
	ref    uint64   // of the inode, once written
}

func (n *node) base() string { return path.Base(n.Name) }

// Write makes an image of the entries, in any order. Folders that are not among
// them are made with mode 0755. The image begins at the beginning of w.
func Write(w io.WriterAt, entries []Entry) error {
	root, err := plant(entries)
	if err != nil {
		return fmt.Errorf("making a squashfs image: %w", err)
	}

	img := &image{w: w, at: headSize}

	if err := img.write(root); err != nil {
		return fmt.Errorf("making a squashfs image: %w", err)
	}

	return nil
}

// plant makes a tree of the entries and numbers them.
func plant(entries []Entry) (*node, error) {
	root := &node{Entry: Entry{Mode: fs.ModeDir | 0o755}}
	nodes := map[string]*node{"": root}

	sorted := slices.SortedFunc(slices.Values(entries), func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })

	for _, e := range sorted {
		if e.Name == "" && e.Mode.IsDir() {
			root.Entry = e

			continue
		}

		if err := add(nodes, e); err != nil {
			return nil, err
		}
	}

	number := uint32(0)
	root.each(func(n *node) {
		number++
		n.number = number
	})

	return root, nil
}

// add puts an entry into its folder, and makes the folder if need be.
func add(nodes map[string]*node, e Entry) error {
	kind := e.Mode.Type()
	base := path.Base(e.Name)

	switch {
	case !fs.ValidPath(e.Name) || e.Name == "." || len(base) > maxName:
		return fmt.Errorf("%w: %q is no path", ErrEntry, e.Name)
	case kind != 0 && kind != fs.ModeDir && kind != fs.ModeSymlink:
		return fmt.Errorf("%w: %s is no file, folder or link", ErrEntry, e.Name)
	case e.Mode&(fs.ModeSetuid|fs.ModeSetgid) != 0:
		return fmt.Errorf("%w: %s is setuid or setgid", ErrEntry, e.Name)
	case kind == fs.ModeSymlink && (e.Link == "" || len(e.Link) > 4095):
		return fmt.Errorf("%w: %s links to %q", ErrEntry, e.Name, e.Link)
	case kind == 0 && (e.Size < 0 || e.Size > maxImage):
		return fmt.Errorf("%w: %s has %d bytes", ErrSize, e.Name, e.Size)
	}

	if old, ok := nodes[e.Name]; ok {
		return fmt.Errorf("%w: %s is there twice", ErrEntry, old.Name)
	}

	dir := path.Dir(e.Name)
	if dir == "." {
		dir = ""
	}

	parent, ok := nodes[dir]
	if !ok {
		if err := add(nodes, Entry{Name: dir, Mode: fs.ModeDir | 0o755}); err != nil {
			return err
		}

		parent = nodes[dir]
	}

	if !parent.Mode.IsDir() {
		return fmt.Errorf("%w: %s is in %s, which is no folder", ErrEntry, e.Name, dir)
	}

	n := &node{Entry: e, parent: parent}
	nodes[e.Name] = n
	at, _ := slices.BinarySearchFunc(parent.children, n, func(a, b *node) int { return strings.Compare(a.base(), b.base()) })
	parent.children = slices.Insert(parent.children, at, n)

	return nil
}

// each calls f for the node and all below it, folders before what is in them.
func (n *node) each(f func(*node)) {
	f(n)

	for _, child := range n.children {
		child.each(f)
	}
}

// image is an image that is being written.
type image struct {
	w       io.WriterAt
	at      int64 // where the next bytes go
	inodes  metadata
	folders metadata
	ids     []uint32
	count   uint32
}

func (img *image) append(data []byte) error {
	if img.at+int64(len(data)) > maxImage {
		return fmt.Errorf("%w: the image has more than 4 GiB", ErrSize)
	}

	_, err := img.w.WriteAt(data, img.at)
	img.at += int64(len(data))

	return err
}

func (img *image) write(root *node) error {
	if err := img.writeFiles(root); err != nil {
		return err
	}

	if err := img.writeInode(root); err != nil {
		return err
	}

	head := header{
		Magic: magic, Inodes: img.count, BlockSize: BlockSize, Compression: zstdFormat, BlockLog: blockLog,
		Flags: noFragments | noXattrs, IDs: uint16(len(img.ids)), Major: 4, Root: root.ref,
		XattrTable: none64, LookupTable: none64,
	}

	head.InodeTable = uint64(img.at)
	if err := img.append(img.inodes.finish()); err != nil {
		return err
	}

	head.FolderTable = uint64(img.at)
	if err := img.append(img.folders.finish()); err != nil {
		return err
	}

	head.FragmentTable = uint64(img.at)

	if err := img.writeIDs(&head); err != nil {
		return err
	}

	head.Used = uint64(img.at)

	if err := img.append(make([]byte, (padding-img.at%padding)%padding)); err != nil {
		return err
	}

	var first bytes.Buffer

	put(&first, head)

	_, err := img.w.WriteAt(first.Bytes(), 0)

	return err
}

// writeIDs writes the table of owners: a block of metadata, and where it is.
func (img *image) writeIDs(head *header) error {
	var ids metadata

	for _, id := range img.ids {
		ids.add(binary.LittleEndian.AppendUint32(nil, id))
	}

	block := img.at
	if err := img.append(ids.finish()); err != nil {
		return err
	}

	head.IDTable = uint64(img.at)

	return img.append(binary.LittleEndian.AppendUint64(nil, uint64(block)))
}

// header is the image's first bytes.
type header struct {
	Magic, Inodes, Time, BlockSize, Fragments                                uint32
	Compression, BlockLog, Flags, IDs, Major, Minor                          uint16
	Root, Used                                                               uint64
	IDTable, XattrTable, InodeTable, FolderTable, FragmentTable, LookupTable uint64
}

// id is the index of an owner in the table, which has room for few.
func (img *image) id(id uint32) (uint16, error) {
	i := slices.Index(img.ids, id)
	if i < 0 {
		i = len(img.ids)
		img.ids = append(img.ids, id)
	}

	if i >= metaSize/4 {
		return 0, fmt.Errorf("%w: more than %d owners", ErrEntry, metaSize/4)
	}

	return uint16(i), nil
}

// put writes fixed-size values in the image's byte order.
func put(to *bytes.Buffer, values ...any) {
	for _, value := range values {
		if err := binary.Write(to, binary.LittleEndian, value); err != nil {
			panic(err) // a type without a size: a mistake in this package
		}
	}
}
