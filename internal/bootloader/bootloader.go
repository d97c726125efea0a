// Package bootloader knows the boot loaders of installed machines: which
// versions of the system are on a disk, which one runs, and which one comes
// next. It adds a version beside the one that runs, commits it, goes back, and
// does each so that a power cut at any moment leaves a machine that boots.
//
// There are two boot loaders. systemd-boot starts unified kernel images on
// machines with UEFI, see [Loader] and the rules in order.go. GRUB starts kernels
// on machines with BIOS. Both count: a new version gets a few tries, and is
// passed over once they are used up, unless the running system has said that it
// is good.
package bootloader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/basalt-os/basalt/internal/uki"
)

// Kind says which boot loader it is, with the name that the wire has.
type Kind string

// The boot loaders.
const (
	SystemdBoot Kind = "sd-boot"
	GRUB        Kind = "grub"
)

// Errors of this package.
var (
	// ErrNone says that a disk has no boot loader that we know.
	ErrNone = errors.New("no boot loader")
	// ErrNotFound says that a boot loader has no such entry.
	ErrNotFound = errors.New("no such boot entry")
	// ErrOnTrial says that the running version has not been found good yet, so
	// there must not be another new one.
	ErrOnTrial = errors.New("the running version is still on trial")
	// ErrNoSpace says that a version does not fit beside the running one.
	ErrNoSpace = errors.New("not enough space for another version")
	// ErrBad says that a version was given up.
	ErrBad = errors.New("the version was tried and did not work")
)

// Entry is a version of the system that the boot loader can start.
type Entry struct {
	// ID names it, whatever its counter: "Basalt-0.2.0~1.efi", or a letter.
	ID      string
	Version string
	Size    int64 // bytes on the disk
	Booted  bool  // it runs now
	Next    bool  // the boot loader starts it next, if nobody chooses otherwise

	// Counted says that the boot loader counts how often it starts the entry.
	// Left is how often it will yet, Done how often it has.
	Counted    bool
	Left, Done int

	// Problem says why the boot loader cannot start it; empty when it can.
	Problem string
}

// Bad says that the entry was started so often without being found good that
// the boot loader gave it up.
func (e Entry) Bad() bool { return e.Counted && e.Left == 0 && e.Done > 0 }

// Demoted says that the entry is good and comes last all the same, because an
// older version shall come first.
func (e Entry) Demoted() bool { return e.Counted && e.Left == 0 && e.Done == 0 }

// Good says that the entry was found good once.
func (e Entry) Good() bool { return e.Problem == "" && (!e.Counted || e.Demoted()) }

// OnTrial says that the boot loader still counts, or has given up.
func (e Entry) OnTrial() bool { return e.Counted && !e.Demoted() }

// State is what a boot loader has, the first entry first in line.
type State struct {
	Kind    Kind
	Entries []Entry
	Free    int64 // bytes for another version, beside those that are there
}

// Booted is the entry that runs, if it is one of this disk.
func (s State) Booted() (Entry, bool) { return s.where(func(e Entry) bool { return e.Booted }) }

// Next is the entry that the boot loader starts next.
func (s State) Next() (Entry, bool) { return s.where(func(e Entry) bool { return e.Next }) }

// Settled is the entry that runs, if it is also the next one and the boot loader
// counts nothing: whoever starts it again past the boot loader gets what the boot
// loader would start.
func (s State) Settled() (Entry, bool) {
	return s.where(func(e Entry) bool { return e.Booted && e.Next && !e.OnTrial() })
}

// Other is the entry to go back to: not the one that runs, and preferably a good
// one.
func (s State) Other() (Entry, bool) {
	other := func(e Entry) bool { return !e.Booted && e.Problem == "" }

	if e, ok := s.where(func(e Entry) bool { return other(e) && e.Good() }); ok {
		return e, ok
	}

	return s.where(other)
}

// Returned is the entry that was given up, if another one runs because of that.
func (s State) Returned() (Entry, bool) {
	if booted, ok := s.Booted(); !ok || booted.Bad() {
		return Entry{}, false
	}

	return s.where(Entry.Bad)
}

// Find finds an entry by its ID.
func (s State) Find(id string) (Entry, error) {
	e, ok := s.where(func(e Entry) bool { return e.ID == id })
	if !ok {
		return e, fmt.Errorf("%w: %s", ErrNotFound, id)
	}

	return e, nil
}

func (s State) where(holds func(Entry) bool) (Entry, bool) {
	i := slices.IndexFunc(s.Entries, holds)
	if i < 0 {
		return Entry{}, false
	}

	return s.Entries[i], true
}

// Image is a new version: a unified kernel image.
type Image struct {
	Version string // as it can stand in a file name
	Size    int64  // bytes
	// Content is read once, to its end. When reading fails, nothing has changed.
	Content io.Reader
}

// Loader is the boot loader of a disk. Every method reads what is on the disk
// anew; a change is on the disk when the method returns, and a power cut before
// leaves the old state or the new one. It is not safe for concurrent use, also
// not by two processes: whoever changes something holds the disk's lock.
type Loader interface {
	// State is what is there now.
	State() (State, error)
	// Open opens the image of an entry, for as long as the disk is open. It fails
	// with ErrNotFound, and with what is wrong with the image.
	Open(id string) (*uki.File, error)
	// Add writes a new version beside the one that runs and makes it the next
	// one, with [Tries]. All others are removed, before or after, as space
	// demands. It fails with ErrNoSpace before anything is written, and with
	// ErrOnTrial when the running version has not been blessed; force blesses
	// it. It tells what it does in lines for people.
	Add(ctx context.Context, image Image, force bool, progress func(string)) (Entry, error)
	// Bless ends the counting of an entry, which then stays the first in line.
	Bless(id string) error
	// Activate makes an entry the next one. One that was never found good gets
	// new tries; it fails with ErrBad when these were used up, unless forced.
	Activate(id string, force bool) error
	// GiveUp ends the tries of an entry that is on trial, so that another one is
	// next.
	GiveUp(id string) error
}

// Tries is how often the boot loader starts a new version before it gives it up.
const Tries = 3

// Running is the entry that a new version is put beside: the one that runs, or,
// on a disk that was not booted from, the one that would.
func (s State) Running() (Entry, bool) {
	if e, ok := s.Booted(); ok {
		return e, ok
	}

	return s.Next()
}
