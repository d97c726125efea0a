package mkfs

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of file systems, which golang.org/x/sys does not have.
const (
	xfsGeometry = 0x80705864
	xfsGrow     = 0x4010586e
	extResize   = 0x40086610
	btrfsResize = 0x50009403
)

// xfsMinGroup is the smallest allocation group in blocks: less cannot be added.
const xfsMinGroup = 64

// geometry is struct xfs_fsop_geom_v1 of the kernel.
type geometry struct {
	blockSize, _, groupBlocks, groups, _, _, _, maxInodes uint32
	blocks                                                uint64
	_                                                     [72]byte
}

// growth is struct xfs_growfs_data of the kernel.
type growth struct {
	blocks    uint64
	maxInodes uint32
	_         uint32
}

// Grow makes a mounted file system as large as its device, whose size in bytes
// is device; size is what the file system has now. It says whether there was
// anything to do. File systems that cannot grow stay as they are.
func Grow(kind, mountpoint string, size, device uint64) (bool, error) {
	if kind != XFS && kind != Ext4 && kind != Btrfs {
		return false, nil
	}

	dir, err := os.Open(mountpoint)
	if err != nil {
		return false, fmt.Errorf("growing the file system at %s: %w", mountpoint, err)
	}
	defer dir.Close() //nolint:errcheck // read side only

	grown, err := growAt(kind, dir, size, device)
	if err != nil {
		return false, fmt.Errorf("growing the file system at %s: %w", mountpoint, err)
	}

	return grown, nil
}

func growAt(kind string, dir *os.File, size, device uint64) (bool, error) {
	switch kind {
	case XFS:
		return growXFS(dir, device)
	case Ext4:
		return growExt(dir, size, device)
	default:
		return growBtrfs(dir, size, device)
	}
}

func growXFS(dir *os.File, device uint64) (bool, error) {
	var g geometry
	if err := control(dir, xfsGeometry, unsafe.Pointer(&g)); err != nil {
		return false, err
	}

	if g.blockSize == 0 || g.groupBlocks == 0 {
		return false, errors.New("the file system says that it has no blocks")
	}

	blocks := device / uint64(g.blockSize)
	if rest := blocks % uint64(g.groupBlocks); rest < xfsMinGroup {
		blocks -= rest
	}

	if blocks <= g.blocks {
		return false, nil
	}

	return true, control(dir, xfsGrow, unsafe.Pointer(&growth{blocks: blocks, maxInodes: g.maxInodes}))
}

func growExt(dir *os.File, size, device uint64) (bool, error) {
	var stat unix.Statfs_t
	if err := unix.Fstatfs(int(dir.Fd()), &stat); err != nil {
		return false, err
	}

	block := uint64(stat.Bsize)
	if block == 0 || size == 0 || device/block <= size/block {
		return false, nil
	}

	blocks := device / block

	return true, control(dir, extResize, unsafe.Pointer(&blocks))
}

func growBtrfs(dir *os.File, size, device uint64) (bool, error) {
	if size == 0 || device <= size {
		return false, nil
	}

	var argument struct {
		_    int64
		name [4088]byte
	}

	copy(argument.name[:], "max")

	return true, control(dir, btrfsResize, unsafe.Pointer(&argument))
}

func control(file *os.File, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, uintptr(argument)); errno != 0 {
		return errno
	}

	return nil
}
