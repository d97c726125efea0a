// Package grub is what a machine without UEFI needs from its boot loader, GRUB:
// the menu, the block of variables in which GRUB counts how often it started a
// new version, and the places on a disk where its parts must be.
//
// # How a machine with BIOS boots
//
// The EFI system partition is the machine's only boot partition, whatever its
// firmware, and holds the same unified kernel images. GRUB starts them too: it
// takes kernel and initramfs out of the file where the menu says that they are.
// Beside the images it has two files:
//
//   - grub/grub.cfg, the menu, made by [Menu.Render]. It is written anew when an
//     image comes or goes: to another name, and then renamed.
//   - grub/grubenv, 1024 bytes, made by [State.Encode]. GRUB writes it in place,
//     and so may the node; what changes is in its first sector.
//
// # Tries
//
// The node that has written a new image sets Trial to it and Tries to three.
// Each time that GRUB is about to start it, it writes a number that is one
// smaller; when the number cannot be written, or is zero already, GRUB starts
// the entry that is Good. So a new version whose kernel panics, or that hangs
// and is restarted by a watchdog, is started three times at most. A node that is
// content sets Good to the version that it is and clears Trial.
//
// [Booted] tells a node which entry it was started from.
package grub

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/uki"
)

// Files on the EFI system partition.
const (
	MenuFile = "grub/grub.cfg"
	EnvFile  = "grub/grubenv"
)

// DefaultTries is how often a new image is started before GRUB goes back.
const DefaultTries = uki.DefaultTries

// Names of the variables in the environment block.
const (
	varGood  = "good"
	varTrial = "trial"
	varTries = "tries"
	maxTries = 9
)

// sector is what GRUB counts places in a file by, in bytes.
const sector = 512

// bootedArgument tells the started system which entry it is.
const bootedArgument = "basalt.entry"

// ErrMenu says that a menu cannot be written.
var ErrMenu = errors.New("bad boot menu")

// Extent is a part of a file, in bytes.
type Extent struct{ Offset, Size int64 }

// Entry is an image in the menu.
type Entry struct {
	ID      string // the image's file name: "Basalt-0.1.0.efi"
	Title   string // for the menu
	File    string // path on the partition: "EFI/Linux/Basalt-0.1.0.efi"
	Kernel  Extent // in the file, beginning at a multiple of 512
	Initrd  Extent // the same
	Cmdline string // of the kernel
}

// Menu is what grub.cfg says.
type Menu struct {
	Entries []Entry // the first is started when GRUB cannot read its variables
	Timeout int     // seconds
	Serial  bool    // show it on the first serial port as well
}

var (
	idPattern   = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z.~+_-]{0,127}$`)
	pathPattern = regexp.MustCompile(`^[0-9A-Za-z][0-9A-Za-z./~+_-]*$`)
)

// NewEntry describes a unified kernel image of size bytes that lies as file name
// in the folder of images.
func NewEntry(name string, r io.ReaderAt, size int64) (Entry, error) {
	e, err := describe(name, r, size)
	if err != nil {
		return Entry{}, fmt.Errorf("describing %s for the boot menu: %w", name, err)
	}

	return e, e.check()
}

func describe(name string, r io.ReaderAt, size int64) (Entry, error) {
	e := Entry{ID: name, Title: name, File: uki.Folder + "/" + name}

	image, err := uki.Open(r, size)
	if err != nil {
		return e, err
	}

	if e.Kernel, err = extent(image, uki.Linux); err != nil {
		return e, err
	}

	if e.Initrd, err = extent(image, uki.Initrd); err != nil {
		return e, err
	}

	if e.Cmdline, err = image.Text(uki.Cmdline); err != nil {
		return e, err
	}

	release, err := image.OSRelease()
	if title := release["PRETTY_NAME"]; title != "" {
		e.Title = title
	}

	return e, err
}

// extent is where a section lies in the file.
func extent(image *uki.File, name uki.Section) (Extent, error) {
	s, err := image.Section(name)
	if err != nil {
		return Extent{}, err
	}

	_, offset, size := s.Outer()

	return Extent{offset, size}, nil
}

func (e Entry) check() error {
	switch {
	case !idPattern.MatchString(e.ID) || !pathPattern.MatchString(e.File) || strings.Contains(e.File, ".."):
		return fmt.Errorf("%w: %q in %q is no name", ErrMenu, e.ID, e.File)
	case strings.ContainsAny(e.Title, "'\n\x00") || strings.ContainsAny(e.Cmdline, "'\n\x00"):
		return fmt.Errorf("%w: %s: a quote or a new line in its title or its command line", ErrMenu, e.ID)
	}

	for _, part := range []Extent{e.Kernel, e.Initrd} {
		if part.Offset <= 0 || part.Size <= 0 || part.Offset%sector != 0 {
			return fmt.Errorf("%w: %s: a part at %d with %d bytes", ErrMenu, e.ID, part.Offset, part.Size)
		}
	}

	return nil
}

// head is the menu's beginning. GRUB's language has no arithmetic. Nobody can
// get to GRUB's command line or change an entry: there is no such user.
const head = `# The boot menu of a machine without UEFI. The system writes this file.
set superusers="nobody"
set timeout=%d
%sload_env good trial tries
set default="${good}"
set fallback="${good}"
set left=""
if [ -n "${trial}" ]; then
%s  if [ -n "${left}" ]; then
    set tries="${left}"
    if save_env tries; then
      set default="${trial}"
    fi
  fi
fi
`

const serial = `serial --unit=0 --speed=115200
terminal_input console serial
terminal_output console serial
`

// Render returns the content of the file [MenuFile].
func (m Menu) Render() ([]byte, error) {
	var out, count bytes.Buffer

	for i := 1; i <= maxTries; i++ {
		fmt.Fprintf(&count, "  if [ \"${tries}\" = \"%d\" ]; then set left=\"%d\"; fi\n", i, i-1)
	}

	console := ""
	if m.Serial {
		console = serial
	}

	fmt.Fprintf(&out, head, m.Timeout, console, &count)

	for i, e := range m.Entries {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("writing the boot menu: %w", err)
		}

		if slices.ContainsFunc(m.Entries[:i], func(other Entry) bool { return other.ID == e.ID }) {
			return nil, fmt.Errorf("writing the boot menu: %w: %s is there twice", ErrMenu, e.ID)
		}

		fmt.Fprintf(&out, `
menuentry '%s' --id '%s' --unrestricted {
  echo 'Starting %s ...'
  loopback uki '/%s'
  linux %s '%s=%s' %s
  initrd %s
}
`, e.Title, e.ID, e.Title, e.File, e.Kernel.blocks(), bootedArgument, e.ID, quoted(e.Cmdline), e.Initrd.blocks())
	}

	return out.Bytes(), nil
}

// blocks names a part of the file in GRUB's way: first sector and count.
func (e Extent) blocks() string {
	return fmt.Sprintf("(uki)%d+%d", e.Offset/sector, (e.Size+sector-1)/sector)
}

// quoted is a command line word by word, so that GRUB changes nothing in it.
func quoted(cmdline string) string {
	words := strings.Fields(cmdline)
	for i, word := range words {
		words[i] = "'" + word + "'"
	}

	return strings.Join(words, " ")
}

// Booted is the ID of the entry that a system was started from, as the kernel's
// command line says it, or "" when it was not started by GRUB.
func Booted(cmdline string) string {
	for word := range strings.FieldsSeq(cmdline) {
		if id, ok := strings.CutPrefix(word, bootedArgument+"="); ok {
			return id
		}
	}

	return ""
}
