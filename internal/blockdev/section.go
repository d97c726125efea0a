package blockdev

import (
	"fmt"
	"io"
)

// Section is a range of a device, such as a partition, that is used through the
// device itself. What is written through it is seen by all who use the device in
// that way, though not at once by those who have opened the partition.
type Section struct {
	h              Handle
	offset, length int64
}

// NewSection is the range of a device.
func NewSection(h Handle, offset, length int64) *Section { return &Section{h, offset, length} }

// Size is the length in bytes.
func (s *Section) Size() int64 { return s.length }

// ReadAt implements [io.ReaderAt].
func (s *Section) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset >= s.length {
		return 0, io.EOF
	}

	if int64(len(p)) <= s.length-offset {
		return s.h.ReadAt(p, s.offset+offset)
	}

	n, err := s.h.ReadAt(p[:s.length-offset], s.offset+offset)
	if err == nil {
		err = io.EOF
	}

	return n, err
}

// WriteAt implements [io.WriterAt].
func (s *Section) WriteAt(p []byte, offset int64) (int, error) {
	if offset < 0 || int64(len(p)) > s.length-offset {
		return 0, fmt.Errorf("writing %d bytes at %d of a range of %d: %w", len(p), offset, s.length, io.ErrShortWrite)
	}

	return s.h.WriteAt(p, s.offset+offset)
}

// Zero makes a part of the range read as zeros.
func (s *Section) Zero(offset, length int64) error {
	if offset < 0 || length < 0 || length > s.length-offset {
		return fmt.Errorf("erasing %d bytes at %d of a range of %d: %w", length, offset, s.length, io.ErrShortWrite)
	}

	return s.h.Zero(uint64(s.offset+offset), uint64(length))
}

// Sync returns once everything written to the device is on it.
func (s *Section) Sync() error { return s.h.Sync() }
