package blockdev

import (
	"errors"
	"fmt"
	"io"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mode says what a device is opened for.
type Mode int

// Modes.
const (
	// Read never changes anything.
	Read Mode = iota
	// Write is for changes beside others that have the device open.
	Write
	// Exclusive is for changes to the whole device, and fails with [ErrInUse]
	// while it, or a partition of it, is mounted, swapped to, or part of
	// another device.
	Exclusive
)

// Errors of devices.
var (
	// ErrInUse says that a device cannot be had alone.
	ErrInUse = errors.New("the device is in use")
	// ErrLocked says that somebody else works on the partitions of a disk.
	ErrLocked = errors.New("another works on the partitions of the disk")
)

// Handle is an open device. It is safe for concurrent use as far as reading
// and writing goes.
type Handle interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Size is the size in bytes.
	Size() (uint64, error)
	// Sync returns once everything written is on the disk.
	Sync() error
	// Zero makes a range read as zeros, as fast as the device can.
	Zero(offset, length uint64) error
	// Lock keeps others that lock it too from the device until it is closed. It
	// fails at once with [ErrLocked] while somebody else has it. Who changes the
	// partitions of a disk locks it as long as it works on them.
	Lock() error
	// AddPartition, ResizePartition and DeletePartition tell the kernel what
	// has changed in the partition table, partition by partition: others may
	// be in use meanwhile.
	AddPartition(p Range) error
	ResizePartition(p Range) error
	DeletePartition(number int) error
}

// Range is where a partition lies, in bytes.
type Range struct {
	Number         int
	Offset, Length uint64
}

// Opener opens devices by the path of their node.
type Opener interface {
	Open(node string, mode Mode) (Handle, error)
}

// Devices opens the devices of the machine.
type Devices struct{}

// Open implements [Opener].
func (Devices) Open(node string, mode Mode) (Handle, error) {
	flags := os.O_RDONLY

	switch mode {
	case Read:
	case Write:
		flags = os.O_RDWR
	case Exclusive:
		flags = os.O_RDWR | unix.O_EXCL
	}

	// Without the flag, opening an optical drive waits for a medium.
	file, err := os.OpenFile(node, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)

	switch {
	case errors.Is(err, unix.EBUSY):
		return nil, fmt.Errorf("opening %s: %w", node, ErrInUse)
	case err != nil:
		return nil, err
	}

	info, err := file.Stat()
	if err == nil && info.Mode()&os.ModeType != os.ModeDevice {
		err = errors.New("it is no block device")
	}

	if err != nil {
		file.Close()

		return nil, fmt.Errorf("opening %s: %w", node, err)
	}

	return handle{file}, nil
}

type handle struct{ *os.File }

// Size implements [Handle].
func (h handle) Size() (uint64, error) {
	var size uint64
	if err := h.control("reading the size", unix.BLKGETSIZE64, unsafe.Pointer(&size)); err != nil {
		return 0, err
	}

	return size, nil
}

// Lock implements [Handle].
func (h handle) Lock() error {
	err := h.do("locking", func(fd uintptr) error { return unix.Flock(int(fd), unix.LOCK_EX|unix.LOCK_NB) })
	if errors.Is(err, unix.EWOULDBLOCK) {
		return fmt.Errorf("locking %s: %w", h.Name(), ErrLocked)
	}

	return err
}

// zeroStep is how much is written at once where the device cannot erase.
const zeroStep = 4 << 20

// Zero implements [Handle].
func (h handle) Zero(offset, length uint64) error {
	if length == 0 {
		return nil
	}

	span := [2]uint64{offset, length}

	err := h.control("erasing", unix.BLKZEROOUT, unsafe.Pointer(&span))
	if !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTTY) {
		return err
	}

	zeros := make([]byte, min(length, zeroStep))

	for length > 0 {
		step := min(length, uint64(len(zeros)))
		if _, err := h.WriteAt(zeros[:step], int64(offset)); err != nil {
			return fmt.Errorf("erasing: %w", err)
		}

		offset, length = offset+step, length-step
	}

	return nil
}

// What BLKPG does, and its number, which golang.org/x/sys does not have.
const (
	blkpg       = 0x1269
	blkpgAdd    = 1
	blkpgDelete = 2
	blkpgResize = 3
)

// partitionArgument is struct blkpg_partition of the kernel.
type partitionArgument struct {
	start, length int64
	number        int32
	names         [128]byte // not used by the kernel
	_             [4]byte
}

// AddPartition implements [Handle].
func (h handle) AddPartition(p Range) error { return h.partition("adding", blkpgAdd, p) }

// ResizePartition implements [Handle].
func (h handle) ResizePartition(p Range) error { return h.partition("resizing", blkpgResize, p) }

// DeletePartition implements [Handle].
func (h handle) DeletePartition(number int) error {
	err := h.partition("removing", blkpgDelete, Range{Number: number})
	if errors.Is(err, unix.ENXIO) {
		return nil
	}

	return err
}

func (h handle) partition(doing string, op int32, p Range) error {
	data := partitionArgument{start: int64(p.Offset), length: int64(p.Length), number: int32(p.Number)}
	argument := struct {
		op, flags, length int32
		data              unsafe.Pointer
	}{op: op, length: int32(unsafe.Sizeof(data)), data: unsafe.Pointer(&data)}

	return h.control(fmt.Sprintf("%s partition %d", doing, p.Number), blkpg, unsafe.Pointer(&argument))
}

func (h handle) control(doing string, request uintptr, argument unsafe.Pointer) error {
	return h.do(doing, func(fd uintptr) error {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, request, uintptr(argument)); errno != 0 {
			return errno
		}

		return nil
	})
}

// do calls f with the file descriptor, and again when a signal came between.
func (h handle) do(doing string, f func(fd uintptr) error) error {
	raw, err := h.SyscallConn()
	if err != nil {
		return fmt.Errorf("%s on %s: %w", doing, h.Name(), err)
	}

	var inner error

	err = raw.Control(func(fd uintptr) {
		for inner = f(fd); errors.Is(inner, unix.EINTR); inner = f(fd) {
		}
	})

	if err = errors.Join(err, inner); err == nil {
		return nil
	}

	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%s on %s: %w", doing, h.Name(), ErrInUse)
	}

	return fmt.Errorf("%s on %s: %w", doing, h.Name(), err)
}

// edge is how much at both ends of a device is erased to make it look empty:
// all file systems and partition tables have their heads or their copies there.
const edge = 1 << 20

// Forget erases both ends of a range, so that nothing is recognized in it any
// more. The data between stay.
func Forget(h Handle, offset, length uint64) error {
	if length <= 2*edge {
		return h.Zero(offset, length)
	}

	if err := h.Zero(offset, edge); err != nil {
		return err
	}

	return h.Zero(offset+length-edge, edge)
}
