// Package uki makes and reads unified kernel images: a kernel, its command line
// and its initramfs in one program that firmware starts. The program is
// systemd's stub, a small PE file, with the parts added as sections.
//
// It also knows how the files are named on the EFI system partition, where the
// name carries the boot loader's counter of tries.
package uki

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Section names a part of an image.
type Section string

// The parts, in the order in which they are in an image.
const (
	SBAT      Section = ".sbat"    // versions for revocation, one line each
	OSRelease Section = ".osrel"   // os-release(5)
	Cmdline   Section = ".cmdline" // of the kernel
	Uname     Section = ".uname"   // the kernel's release
	Splash    Section = ".splash"  // a BMP picture
	PCRPublic Section = ".pcrpkey" // key that signs expected measurements, PEM
	Linux     Section = ".linux"   // the kernel, itself a PE file
	Initrd    Section = ".initrd"
	PCRSigned Section = ".pcrsig" // signed measurements, JSON
	profile   Section = ".profile"
)

// order is the order of the parts before and after profiles.
func order() []Section {
	return []Section{OSRelease, Cmdline, Uname, Splash, PCRPublic, Linux, Initrd, PCRSigned}
}

// Errors of this package.
var (
	// ErrNotPE says that data is no PE file, or not a whole one.
	ErrNotPE = errors.New("not a PE file")
	// ErrNotUKI says that a PE file is no unified kernel image.
	ErrNotUKI = errors.New("not a unified kernel image")
	// ErrSigned says that an image cannot be changed because it is signed.
	ErrSigned = errors.New("the image is signed")
	// ErrArchitecture says that an image is for other processors.
	ErrArchitecture = errors.New("the image is for another architecture")
)

// Profile is another way to boot the same image, which the boot menu shows as
// an entry of its own.
type Profile struct {
	ID      string // a word, "main" for the first
	Title   string // for the menu; may be empty
	Cmdline string // instead of the image's; empty to keep it
}

// Image is what to put together.
type Image struct {
	Stub     []byte // systemd's stub for the architecture
	Sections map[Section][]byte
	Profiles []Profile // the first describes the image itself
}

// Build puts an image together. The same input gives the same bytes. Linux and
// Initrd must be there, and the kernel must be for the stub's architecture.
func Build(in Image) ([]byte, error) {
	img, err := parsePE(in.Stub)
	if err != nil {
		return nil, fmt.Errorf("reading the stub: %w", err)
	}

	if err := in.check(img); err != nil {
		return nil, err
	}

	if err := img.mergeSBAT(in.Sections[SBAT]); err != nil {
		return nil, err
	}

	for _, name := range order() {
		if data, ok := in.Sections[name]; ok {
			if err := img.add(string(name), data, flags(name)); err != nil {
				return nil, err
			}
		}
	}

	for _, p := range in.Profiles {
		if err := img.addProfile(p); err != nil {
			return nil, err
		}
	}

	return img.bytes()
}

func (in Image) check(stub *image) error {
	for name := range in.Sections {
		if name != SBAT && !slices.Contains(order(), name) {
			return fmt.Errorf("building a unified kernel image: there is no section %q", name)
		}
	}

	for _, name := range []Section{Linux, Initrd} {
		if len(in.Sections[name]) == 0 {
			return fmt.Errorf("building a unified kernel image: %w: section %s is missing", ErrNotUKI, name)
		}
	}

	kernel, err := parsePE(in.Sections[Linux])
	if err != nil {
		return fmt.Errorf("reading the kernel: %w", err)
	}

	if kernel.machine() != stub.machine() {
		return fmt.Errorf("building a unified kernel image: %w: machine %#x in a stub for %#x",
			ErrArchitecture, kernel.machine(), stub.machine())
	}

	return nil
}

// machine is the processor that a PE file is for.
func (img *image) machine() uint16 {
	return binary.LittleEndian.Uint16(img.head[img.optional-fileHeaderSize:])
}

// flags of the kernel allow to run it in place, as old kernels are.
func flags(name Section) uint32 {
	if name == Linux {
		return sectionCode | sectionExecute | sectionRead
	}

	return sectionData | sectionRead
}

// mergeSBAT adds lines to those of the stub. They are in a section with a place
// of its own, so they must fit into what pads it.
func (img *image) mergeSBAT(lines []byte) error {
	s := img.find(string(SBAT))

	switch {
	case len(lines) == 0:
		return nil
	case s == nil:
		return img.add(string(SBAT), lines, flags(SBAT))
	}

	// The first line of every SBAT is the same; the stub's is enough.
	own := bytes.TrimRight(s.data, "\x00")
	for line := range bytes.Lines(lines) {
		if !bytes.HasPrefix(line, []byte("sbat,")) {
			own = slices.Concat(own, line)
		}
	}

	if uint64(len(own)) > roundUp(uint64(s.field(rawSize)), uint64(img.align)) {
		return fmt.Errorf("adding to section %s: %d bytes do not fit", SBAT, len(own))
	}

	s.data, s.size = own, int64(len(own))
	s.set(virtualSize, uint32(len(own)))

	return nil
}

func (img *image) addProfile(p Profile) error {
	if p.ID == "" || strings.ContainsAny(p.ID+p.Title, "\n\x00") {
		return fmt.Errorf("adding a profile: %q %q is no name", p.ID, p.Title)
	}

	text := "ID=" + p.ID + "\n"
	if p.Title != "" {
		text += "TITLE=" + p.Title + "\n"
	}

	if err := img.add(string(profile), []byte(text), flags(profile)); err != nil {
		return err
	}

	if p.Cmdline == "" {
		return nil
	}

	return img.add(string(Cmdline), []byte(p.Cmdline), flags(Cmdline))
}

// Read gives the sections of an image, without those of its profiles. They
// share data's memory. It refuses what is cut off or has no kernel.
func Read(data []byte) (map[Section][]byte, error) {
	img, err := parsePE(data)
	if err != nil {
		return nil, fmt.Errorf("reading a unified kernel image: %w", err)
	}

	found := map[Section][]byte{}

	for _, s := range img.sections {
		name := Section(s.name())
		if name == profile {
			break
		}

		if _, twice := found[name]; !twice && (name == SBAT || slices.Contains(order(), name)) {
			found[name] = s.data
		}
	}

	if len(found[Linux]) == 0 || len(found[Initrd]) == 0 {
		return nil, fmt.Errorf("reading a unified kernel image: %w: no kernel or no initramfs", ErrNotUKI)
	}

	kernel, err := parsePE(found[Linux])
	if err != nil {
		return nil, fmt.Errorf("reading the kernel of a unified kernel image: %w", err)
	}

	if kernel.machine() != img.machine() {
		return nil, fmt.Errorf("reading a unified kernel image: %w", ErrArchitecture)
	}

	return found, nil
}
