package uki

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Parts of a PE file that we touch, by their offsets.
const (
	dosHeaderSize   = 64
	dosNewHeader    = 0x3c // offset of the PE signature
	peSignature     = "PE\x00\x00"
	fileHeaderSize  = 20
	fileSections    = 2  // number of sections
	fileOptional    = 16 // size of the optional header
	optionalMagic   = 0x20b
	optionalInit    = 8 // size of initialized data
	optionalAlign   = 32
	optionalFile    = 36 // file alignment
	optionalImage   = 56 // size of the image in memory
	optionalHeaders = 60
	optionalSum     = 64
	optionalDirs    = 108 // number of data directories
	optionalDirAt   = 112
	directorySize   = 8
	certificates    = 4 // data directory of signatures
	sectionSize     = 40
	maxSections     = 96
	maxAlignment    = 1 << 16
)

// Characteristics of sections.
const (
	sectionCode    = 0x00000020
	sectionData    = 0x00000040
	sectionExecute = 0x20000000
	sectionRead    = 0x40000000
)

// image is a PE file taken apart.
type image struct {
	head      []byte // everything before the section table
	optional  int    // offset of the optional header in head
	align     uint32 // of sections in memory
	fileAlign uint32
	sections  []section
}

// section is a part of a program. Its content is data or, in an image of which
// only the headers were read, a range of the file.
type section struct {
	header       [sectionSize]byte
	data         []byte // as it is in the file, without what only pads it
	offset, size int64  // in the file that was read
}

func (s *section) name() string {
	return string(bytes.TrimRight(s.header[:8], "\x00"))
}

func (s *section) field(i int) uint32 { return binary.LittleEndian.Uint32(s.header[8+4*i:]) }

func (s *section) set(i int, value uint32) {
	binary.LittleEndian.PutUint32(s.header[8+4*i:], value)
}

// Fields of a section header.
const (
	virtualSize = iota
	virtualAddress
	rawSize
	rawOffset
)

const characteristics = 7

// maxHead is how much at the beginning of a file is looked at for its headers.
const maxHead = 64 << 10

// parsePE takes a 64-bit PE file apart. Signatures at its end are dropped.
func parsePE(data []byte) (*image, error) {
	img, err := parseHead(data, int64(len(data)))
	if err != nil {
		return nil, err
	}

	for i := range img.sections {
		s := &img.sections[i]
		s.data = data[s.offset : s.offset+s.size]
	}

	return img, nil
}

// parseHead reads the headers of a PE file of size bytes from its beginning.
func parseHead(data []byte, size int64) (*image, error) {
	if len(data) < dosHeaderSize || data[0] != 'M' || data[1] != 'Z' {
		return nil, fmt.Errorf("%w: no MZ signature", ErrNotPE)
	}

	at := int64(binary.LittleEndian.Uint32(data[dosNewHeader:]))
	optional := at + int64(len(peSignature)) + fileHeaderSize

	if optional+optionalDirAt > int64(len(data)) || string(data[at:at+4]) != peSignature {
		return nil, fmt.Errorf("%w: no PE signature", ErrNotPE)
	}

	file := data[at+4:]
	count := int64(binary.LittleEndian.Uint16(file[fileSections:]))
	table := optional + int64(binary.LittleEndian.Uint16(file[fileOptional:]))

	if binary.LittleEndian.Uint16(data[optional:]) != optionalMagic || table < optional+optionalDirAt ||
		count > maxSections || table+count*sectionSize > int64(len(data)) {
		return nil, fmt.Errorf("%w: not a 64-bit image", ErrNotPE)
	}

	img := &image{
		head:      bytes.Clone(data[:table]),
		optional:  int(optional),
		align:     binary.LittleEndian.Uint32(data[optional+optionalAlign:]),
		fileAlign: binary.LittleEndian.Uint32(data[optional+optionalFile:]),
	}

	if !powerOfTwo(img.align) || !powerOfTwo(img.fileAlign) {
		return nil, fmt.Errorf("%w: alignment of %d and %d bytes", ErrNotPE, img.align, img.fileAlign)
	}

	for i := range count {
		s := section{header: [sectionSize]byte(data[table+i*sectionSize:])}
		s.offset, s.size = int64(s.field(rawOffset)), int64(s.field(rawSize))

		if virtual := int64(s.field(virtualSize)); virtual > 0 {
			s.size = min(s.size, virtual)
		}

		if s.size == 0 {
			s.offset = 0
		}

		if s.offset+s.size > size {
			return nil, fmt.Errorf("%w: section %q is cut off", ErrNotPE, s.name())
		}

		img.sections = append(img.sections, s)
	}

	return img, nil
}

func powerOfTwo(n uint32) bool { return n > 0 && n <= maxAlignment && n&(n-1) == 0 }

// find is the first section with the name, or nil.
func (img *image) find(name string) *section {
	i := slices.IndexFunc(img.sections, func(s section) bool { return s.name() == name })
	if i < 0 {
		return nil
	}

	return &img.sections[i]
}

// end is the first free address in memory.
func (img *image) end() uint64 {
	var end uint64

	for _, s := range img.sections {
		end = max(end, uint64(s.field(virtualAddress))+uint64(max(s.field(virtualSize), s.field(rawSize))))
	}

	return roundUp(end, uint64(img.align))
}

// add puts a section behind all others.
func (img *image) add(name string, data []byte, flags uint32) error {
	at := img.end()

	if len(name) > 8 || !strings.HasPrefix(name, ".") {
		return fmt.Errorf("adding section %q: the name is no section name", name)
	}

	if at+uint64(len(data)) > 1<<31 || len(img.sections) == maxSections {
		return fmt.Errorf("adding section %s: the image is too large", name)
	}

	s := section{data: data, size: int64(len(data))}
	copy(s.header[:8], name)
	s.set(virtualSize, uint32(len(data)))
	s.set(virtualAddress, uint32(at))
	s.set(characteristics, flags)
	img.sections = append(img.sections, s)

	return nil
}

// bytes puts the file together.
func (img *image) bytes() ([]byte, error) {
	head, size, err := img.layout()
	if err != nil {
		return nil, err
	}

	out := append(make([]byte, 0, size), head...)

	for _, s := range img.sections {
		out = append(out, s.data...)
		out = append(out, make([]byte, img.padding(s))...)
	}

	return out, nil
}

// layout gives all sections their places in a file, one after the other. It
// returns the headers, which the sections follow, each with its padding, and the
// size of the file.
func (img *image) layout() (head []byte, size int64, err error) {
	headers := roundUp(uint64(len(img.head)+len(img.sections)*sectionSize), uint64(img.fileAlign))

	for _, s := range img.sections {
		if uint64(s.field(virtualAddress)) < headers {
			return nil, 0, fmt.Errorf("assembling a PE file: no room for %d section headers", len(img.sections))
		}
	}

	img.finishHead(headers)

	head = append(head, img.head...)
	size = int64(headers)

	for i := range img.sections {
		s := &img.sections[i]
		raw := s.size + img.padding(*s)
		s.set(rawSize, uint32(raw))
		s.set(rawOffset, uint32(size))

		if raw == 0 {
			s.set(rawOffset, 0)
		}

		head = append(head, s.header[:]...)
		size += raw
	}

	return append(head, make([]byte, headers-uint64(len(head)))...), size, nil
}

// padding is how many bytes follow a section in the file.
func (img *image) padding(s section) int64 {
	return int64(roundUp(uint64(s.size), uint64(img.fileAlign))) - s.size
}

// finishHead makes the headers agree with the sections. The checksum is zero,
// which means that there is none; firmware does not look at it.
func (img *image) finishHead(headers uint64) {
	var initialized uint64

	for _, s := range img.sections {
		if s.field(characteristics)&sectionData != 0 {
			initialized += uint64(s.size + img.padding(s))
		}
	}

	optional := img.head[img.optional:]
	binary.LittleEndian.PutUint32(optional[optionalInit:], uint32(initialized))
	binary.LittleEndian.PutUint32(optional[optionalImage:], uint32(img.end()))
	binary.LittleEndian.PutUint32(optional[optionalHeaders:], uint32(headers))
	binary.LittleEndian.PutUint32(optional[optionalSum:], 0)

	if signature := optionalDirAt + certificates*directorySize; binary.LittleEndian.Uint32(optional[optionalDirs:]) > certificates &&
		len(optional) >= signature+directorySize {
		clear(optional[signature : signature+directorySize])
	}

	binary.LittleEndian.PutUint16(img.head[img.optional-fileHeaderSize+fileSections:], uint16(len(img.sections)))
}

func roundUp(n, unit uint64) uint64 { return (n + unit - 1) / unit * unit }
