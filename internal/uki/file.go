package uki

import (
	"bufio"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// File is an image in a file, of which only the headers were read.
type File struct {
	// Architecture is the one that the image is for, as Go names it.
	Architecture string
	// Signed says that firmware can check who made the image. It does not say
	// that anybody did.
	Signed bool

	r     io.ReaderAt
	image *image
}

// Open reads the headers of an image of size bytes. It refuses what is cut off,
// has no kernel, or a kernel for another architecture.
func Open(r io.ReaderAt, size int64) (*File, error) {
	img, err := openPE(r, size)
	if err != nil {
		return nil, fmt.Errorf("opening a unified kernel image: %w", err)
	}

	f := &File{r: r, image: img, Architecture: img.architecture(), Signed: img.signed()}

	kernel, err := f.Section(Linux)
	if err != nil {
		return nil, fmt.Errorf("opening a unified kernel image: %w", err)
	}

	if _, err := f.Section(Initrd); err != nil {
		return nil, fmt.Errorf("opening a unified kernel image: %w", err)
	}

	inner, err := openPE(kernel, kernel.Size())
	if err != nil {
		return nil, fmt.Errorf("opening the kernel of a unified kernel image: %w", err)
	}

	if inner.machine() != img.machine() {
		return nil, fmt.Errorf("opening a unified kernel image: %w: a kernel for %s in a stub for %s",
			ErrArchitecture, inner.architecture(), f.Architecture)
	}

	return f, nil
}

// Program is what the headers of a program for firmware say, such as a boot
// loader or an image.
type Program struct {
	Architecture string // as Go names it
	Signed       bool   // firmware can check who made it
}

// Inspect reads the headers of a program for firmware. It refuses programs that
// are cut off.
func Inspect(r io.ReaderAt, size int64) (Program, error) {
	img, err := openPE(r, size)
	if err != nil {
		return Program{}, fmt.Errorf("opening a program for firmware: %w", err)
	}

	return Program{Architecture: img.architecture(), Signed: img.signed()}, nil
}

func openPE(r io.ReaderAt, size int64) (*image, error) {
	head := make([]byte, max(0, min(size, maxHead)))
	if _, err := r.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}

	return parseHead(head, size)
}

func (img *image) architecture() string {
	switch machine := img.machine(); machine {
	case pe.IMAGE_FILE_MACHINE_AMD64:
		return "amd64"
	case pe.IMAGE_FILE_MACHINE_ARM64:
		return "arm64"
	default:
		return fmt.Sprintf("machine %#x", machine)
	}
}

// signed says whether there is a signature.
func (img *image) signed() bool {
	optional := img.head[img.optional:]
	at := optionalDirAt + certificates*directorySize

	return binary.LittleEndian.Uint32(optional[optionalDirs:]) > certificates && len(optional) >= at+directorySize &&
		binary.LittleEndian.Uint32(optional[at+4:]) > 0
}

// Section is the content of a section, without those of profiles. It fails with
// ErrNotUKI when there is none.
func (f *File) Section(name Section) (*io.SectionReader, error) {
	for _, s := range f.image.sections {
		if s.name() == string(profile) {
			break
		}

		if s.name() == string(name) && s.size > 0 {
			return io.NewSectionReader(f.r, s.offset, s.size), nil
		}
	}

	return nil, fmt.Errorf("%w: section %s is missing", ErrNotUKI, name)
}

// maxText is the largest section that is read as text.
const maxText = 64 << 10

// Text is the content of a section that is text, without zeros and spaces around
// it.
func (f *File) Text(name Section) (string, error) {
	s, err := f.Section(name)
	if err != nil {
		return "", err
	}

	if s.Size() > maxText {
		return "", fmt.Errorf("%w: section %s has %d bytes", ErrNotUKI, name, s.Size())
	}

	data := make([]byte, s.Size())
	if _, err := io.ReadFull(s, data); err != nil {
		return "", fmt.Errorf("reading section %s: %w", name, err)
	}

	text, _, _ := strings.Cut(string(data), "\x00")

	return strings.TrimSpace(text), nil
}

// OSRelease is what the image says about the system in it, by the names of
// os-release(5).
func (f *File) OSRelease() (map[string]string, error) {
	text, err := f.Text(OSRelease)
	if err != nil {
		return nil, err
	}

	values := map[string]string{}
	scanner := bufio.NewScanner(strings.NewReader(text))

	for scanner.Scan() {
		key, value, ok := strings.Cut(strings.TrimSpace(scanner.Text()), "=")
		if !ok || strings.HasPrefix(key, "#") {
			continue
		}

		if unquoted, err := strconv.Unquote(value); err == nil {
			value = unquoted
		}

		values[key] = strings.Trim(value, "'")
	}

	return values, scanner.Err()
}

// Rewrite is the image with other command lines: that of the image itself and
// those of its profiles, each changed by edit. It returns the new image and its
// size. Signed images cannot be changed.
func (f *File) Rewrite(edit func(cmdline string) string) (io.Reader, int64, error) {
	if f.Signed {
		return nil, 0, fmt.Errorf("changing the command line: %w, and would not be any more", ErrSigned)
	}

	if _, err := f.Section(Cmdline); err != nil {
		return nil, 0, fmt.Errorf("changing the command line: %w", err)
	}

	img := *f.image
	img.head, img.sections = slices.Clone(img.head), slices.Clone(img.sections)

	for i := range img.sections {
		if img.sections[i].name() != string(Cmdline) {
			continue
		}

		old := make([]byte, min(img.sections[i].size, maxText))
		if _, err := f.r.ReadAt(old, img.sections[i].offset); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, fmt.Errorf("reading section %s: %w", Cmdline, err)
		}

		text, _, _ := strings.Cut(string(old), "\x00")

		if err := img.resize(i, []byte(edit(strings.TrimSpace(text)))); err != nil {
			return nil, 0, err
		}
	}

	head, size, err := img.layout()
	if err != nil {
		return nil, 0, err
	}

	parts := []io.Reader{strings.NewReader(string(head))}

	for _, s := range img.sections {
		var content io.Reader = io.NewSectionReader(f.r, s.offset, s.size)
		if s.data != nil {
			content = strings.NewReader(string(s.data))
		}

		parts = append(parts, content, io.LimitReader(zeros{}, img.padding(s)))
	}

	return io.MultiReader(parts...), size, nil
}

// resize gives a section another content. Those behind it in memory move when it
// needs more room, unless they are parts of the program that know their place.
func (img *image) resize(at int, data []byte) error {
	s := &img.sections[at]
	room := func() uint64 { return roundUp(uint64(max(s.field(virtualSize), s.field(rawSize))), uint64(img.align)) }
	before := room()

	s.data, s.size = data, int64(len(data))
	s.set(virtualSize, uint32(len(data)))
	s.set(rawSize, uint32(len(data)))

	after := room()
	if after <= before {
		return nil
	}

	optional := img.head[img.optional:]
	for i := optionalDirAt; i+directorySize <= len(optional); i += directorySize {
		if binary.LittleEndian.Uint32(optional[i:]) > s.field(virtualAddress) {
			return fmt.Errorf("changing section %s: %d bytes do not fit before the parts of the program behind it", s.name(), len(data))
		}
	}

	for i := range img.sections {
		other := &img.sections[i]
		if address := other.field(virtualAddress); address > s.field(virtualAddress) {
			other.set(virtualAddress, address+uint32(after-before))
		}
	}

	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)

	return len(p), nil
}
