package squashfs

import (
	"bytes"
	"io/fs"
	"math"
)

// writeInode writes the inodes of what is in a folder, then the folder's list
// of them, then its own inode: each names places of those before it.
func (img *image) writeInode(n *node) error {
	for _, child := range n.children {
		if err := img.writeInode(child); err != nil {
			return err
		}
	}

	uid, err := img.id(n.UID)
	if err != nil {
		return err
	}

	gid, err := img.id(n.GID)
	if err != nil {
		return err
	}

	mode := uint16(n.Mode.Perm())
	if n.Mode&fs.ModeSticky != 0 {
		mode |= 0o1000
	}

	var inode bytes.Buffer

	head := func(kind uint16) { put(&inode, kind, mode, uid, gid, uint32(0), n.number) }

	switch {
	case n.Mode.IsDir():
		img.folderInode(n, &inode, head)
	case n.Mode&fs.ModeSymlink != 0:
		head(typeLink)
		put(&inode, uint32(1), uint32(len(n.Link)), []byte(n.Link))
	default:
		head(typeFile)
		put(&inode, uint32(n.start), uint32(none32), uint32(0), uint32(n.Size), n.blocks)
	}

	n.ref = img.inodes.position()
	img.inodes.add(inode.Bytes())
	img.count++

	return nil
}

// folderInode writes a folder's list, and its inode in the form that the list's
// size needs.
func (img *image) folderInode(n *node, inode *bytes.Buffer, head func(kind uint16)) {
	at := img.folders.position()
	list := listing(n.children)
	img.folders.add(list)

	links := uint32(2)
	for _, child := range n.children {
		if child.Mode.IsDir() {
			links++
		}
	}

	// The root's parent is a number that nothing has.
	parent := img.rootParent(n)
	block, offset := uint32(at>>16), uint16(at)
	size := uint32(len(list) + 3)

	if len(list) <= maxListing {
		head(typeDir)
		put(inode, block, links, uint16(size), offset, parent)

		return
	}

	head(typeLargeDir)
	put(inode, links, size, block, parent, uint16(0), offset, uint32(none32))
}

func (img *image) rootParent(n *node) uint32 {
	if n.parent != nil {
		return n.parent.number
	}

	total := uint32(0)
	n.each(func(*node) { total++ })

	return total + 1
}

// most is how many entries a part of a folder's list may have.
const most = 256

// listing is a folder's list: parts of entries whose inodes are in one block of
// metadata and have numbers near each other.
func listing(children []*node) []byte {
	var list bytes.Buffer

	for len(children) > 0 {
		first := children[0]
		count := 0

		for count < min(len(children), most) {
			n := children[count]
			distance := int64(n.number) - int64(first.number)

			if n.ref>>16 != first.ref>>16 || distance > math.MaxInt16 || distance < math.MinInt16 {
				break
			}

			count++
		}

		put(&list, uint32(count-1), uint32(first.ref>>16), first.number)

		for _, n := range children[:count] {
			name := n.base()
			put(&list, uint16(n.ref), int16(int64(n.number)-int64(first.number)), n.kind(), uint16(len(name)-1), []byte(name))
		}

		children = children[count:]
	}

	return list.Bytes()
}

func (n *node) kind() uint16 {
	switch {
	case n.Mode.IsDir():
		return typeDir
	case n.Mode&fs.ModeSymlink != 0:
		return typeLink
	default:
		return typeFile
	}
}
