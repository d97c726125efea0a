package bootloader

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/uki"
)

// Options say what is known about the system that runs.
type Options struct {
	// Variables are those of the firmware.
	Variables Variables
	// Running is the version of the system that runs. By it the entry is found
	// on machines whose firmware has no variables after it has started a system.
	Running string
	// Booted is the ID of the entry that runs, if that is known for sure, as
	// after kexec, which firmware knows nothing of.
	Booted string
	// Cmdline is the kernel's command line, in which GRUB says which entry runs.
	Cmdline string
}

// Partition is the system partition of a disk.
type Partition struct {
	fat.Disk

	GUID uuid.UUID
	Size int64 // bytes
}

// systemdBoot is systemd-boot on a system partition.
type systemdBoot struct {
	partition Partition
	options   Options
}

// The configuration of systemd-boot, and its path on a system partition.
const (
	ConfigFile = "loader/loader.conf"
	Config     = "timeout 5\neditor no\nauto-entries no\n"

	maxConfig = 64 << 10
)

// defaultPattern finds the choice of an entry in the configuration.
var defaultPattern = regexp.MustCompile(`(?m)^\s*(default|preferred)\s`)

// candidate is an image and what is known about its file.
type candidate struct {
	image

	size    int64
	problem string
}

// images are the images in the order in which systemd-boot would start them,
// and behind them those that it cannot.
func images(v *fat.Volume) ([]candidate, error) {
	list, err := v.List(uki.Folder)
	if errors.Is(err, fat.ErrNotExist) {
		return nil, nil
	}

	if err != nil {
		return nil, err
	}

	var found []candidate

	for _, info := range list {
		i, ok := parseFile(info.Name)
		if !ok || info.Folder {
			continue
		}

		c := candidate{image: i, size: info.Size}

		if release, err := describe(v, info.Name); err != nil {
			c.problem = err.Error()
		} else {
			c.image = i.described(release)
		}

		found = append(found, c)
	}

	slices.SortStableFunc(found, func(a, b candidate) int {
		if (a.problem == "") != (b.problem == "") {
			return len(a.problem) - len(b.problem)
		}

		return compareImages(a.image, b.image)
	})

	return found, nil
}

func describe(v *fat.Volume, file string) (map[string]string, error) {
	f, err := openImage(v, file)
	if err != nil {
		return nil, err
	}

	return f.OSRelease()
}

// openImage opens an image by the name of its file.
func openImage(v *fat.Volume, file string) (*uki.File, error) {
	content, err := v.Open(path.Join(uki.Folder, file))
	if err != nil {
		return nil, err
	}

	return uki.Open(content, content.Size())
}

// State implements [Loader].
func (l *systemdBoot) State() (State, error) {
	v, err := l.partition.open(false)
	if err != nil {
		return State{}, err
	}

	return l.state(v)
}

func (l *systemdBoot) state(v *fat.Volume) (State, error) {
	found, err := images(v)
	if err != nil {
		return State{}, fmt.Errorf("reading the system partition: %w", err)
	}

	s := State{Kind: SystemdBoot}

	// What is damaged cannot be added to, but may well boot.
	if s.Free, err = v.Free(); err != nil && !errors.Is(err, fat.ErrDamaged) {
		return State{}, fmt.Errorf("reading the system partition: %w", err)
	}

	for i, c := range found {
		s.Entries = append(s.Entries, Entry{
			ID: c.id, Version: c.version, Size: c.size, Counted: c.counted, Left: c.left, Done: c.done,
			Next: i == 0 && c.problem == "", Problem: c.problem,
		})
	}

	booted, err := l.booted(s)
	if err != nil {
		return State{}, err
	}

	for i := range s.Entries {
		e := &s.Entries[i]
		e.Booted = booted != "" && strings.EqualFold(e.ID, booted)
	}

	return s, nil
}

// booted is the ID of the entry that runs, empty when the system was not booted
// from this disk.
func (l *systemdBoot) booted(s State) (string, error) {
	if l.options.Booted != "" {
		return l.options.Booted, nil
	}

	from, err := readText(l.options.Variables, loaderVariable("LoaderDevicePartUUID"))

	switch {
	case errors.Is(err, ErrNoVariable):
		// Firmware that forgets its variables: the version must do.
		byVersion := func(e Entry) bool { return e.Version == l.options.Running && e.Problem == "" }
		if i := slices.IndexFunc(s.Entries, byVersion); i >= 0 && l.options.Running != "" {
			return s.Entries[i].ID, nil
		}

		return "", nil
	case err != nil:
		return "", err
	case !strings.EqualFold(from, l.partition.GUID.String()):
		return "", nil // another disk
	}

	selected, err := readText(l.options.Variables, loaderVariable("LoaderEntrySelected"))
	if errors.Is(err, ErrNoVariable) {
		return "", nil
	}

	// An image can have several ways to be booted, each an entry of its own.
	selected, _, _ = strings.Cut(selected, "@")

	return selected, err
}

// Open implements [Loader].
func (l *systemdBoot) Open(id string) (*uki.File, error) { return l.partition.image(id) }

// Add implements [Loader].
func (l *systemdBoot) Add(ctx context.Context, img Image, force bool, progress func(string)) (Entry, error) {
	v, err := l.partition.open(true)
	if err != nil {
		return Entry{}, err
	}

	if err := discard(v); err != nil {
		return Entry{}, err
	}

	s, err := l.state(v)
	if err != nil {
		return Entry{}, err
	}

	a, err := s.admit(v, img, force, progress)
	if err != nil {
		return Entry{}, err
	}

	if err := l.forgetChoices(v); err != nil {
		return Entry{}, err
	}

	return l.add(ctx, v, a)
}

// add does the work, in an order in which the version that runs stays the next
// one until the new one is complete, and becomes it again when the new one is
// given up.
func (l *systemdBoot) add(ctx context.Context, v *fat.Volume, a addition) (Entry, error) {
	file, err := a.name.File()
	if err != nil {
		return Entry{}, err
	}

	written := func() error { return nil } // enlist reads it
	if err := a.stage(ctx, v, file, written, func(e Entry) error { return remove(v, e) }); err != nil {
		return Entry{}, err
	}

	if err := l.enlist(v, file, a.keep, a.known); err != nil {
		return Entry{}, err
	}

	return l.find(v, a.name.Blessed())
}

// enlist makes the new image an entry, and the first in line.
func (l *systemdBoot) enlist(v *fat.Volume, file string, keep Entry, known bool) error {
	release, err := describe(v, newImage)
	if err != nil {
		return errors.Join(err, discard(v))
	}

	parsed, _ := parseFile(file)
	fresh := parsed.described(release)

	if !known {
		return v.Rename(path.Join(uki.Folder, newImage), path.Join(uki.Folder, file))
	}

	old, err := l.imageOf(v, keep.ID)
	if err != nil {
		return err
	}

	// Whether the old version must step back for the new one to be started.
	clean := old
	clean.counted, clean.left, clean.done = false, 0, 0
	newest := compareImages(fresh, clean) < 0

	if newest || keep.OnTrial() {
		if err := recount(v, old, false, 0, 0); err != nil {
			return err
		}
	}

	if err := v.Rename(path.Join(uki.Folder, newImage), path.Join(uki.Folder, file)); err != nil {
		return err
	}

	if newest {
		return nil
	}

	return l.recount(v, keep.ID, true, 0, 0)
}

// Bless implements [Loader].
func (l *systemdBoot) Bless(id string) error {
	v, err := l.partition.open(true)
	if err != nil {
		return err
	}

	return l.recount(v, id, false, 0, 0)
}

// Activate implements [Loader].
func (l *systemdBoot) Activate(id string, force bool) error {
	v, err := l.partition.open(true)
	if err != nil {
		return err
	}

	s, err := l.state(v)
	if err != nil {
		return err
	}

	e, err := s.Find(id)

	switch {
	case err != nil:
		return err
	case e.Problem != "":
		return fmt.Errorf("%w: %s: %s", ErrBad, id, e.Problem)
	case e.Bad() && !force:
		return fmt.Errorf("%w: %s", ErrBad, id)
	}

	if err := l.forgetChoices(v); err != nil {
		return err
	}

	if e.Good() {
		err = l.recount(v, id, false, 0, 0)
	} else {
		err = l.recount(v, id, true, Tries, 0)
	}

	if err != nil {
		return err
	}

	return l.demoteBefore(v, id)
}

// demoteBefore makes all entries step back that come before one.
func (l *systemdBoot) demoteBefore(v *fat.Volume, id string) error {
	found, err := images(v)
	if err != nil {
		return err
	}

	// From the last to the first: a power cut in between leaves the first.
	at := slices.IndexFunc(found, func(c candidate) bool { return c.id == id })
	for i := at - 1; i >= 0; i-- {
		done := found[i].done

		if !found[i].counted {
			done = 0 // it is good, and stays so
		} else {
			done = max(done, 1)
		}

		if err := recount(v, found[i].image, true, 0, done); err != nil {
			return err
		}
	}

	return nil
}

// GiveUp implements [Loader].
func (l *systemdBoot) GiveUp(id string) error {
	v, err := l.partition.open(true)
	if err != nil {
		return err
	}

	i, err := l.imageOf(v, id)

	switch {
	case err != nil:
		return err
	case !i.counted:
		return fmt.Errorf("giving up %s: it is not on trial", id)
	case i.left == 0:
		return nil
	}

	return recount(v, i, true, 0, max(i.done, 1))
}

func (l *systemdBoot) imageOf(v *fat.Volume, id string) (image, error) {
	found, err := images(v)
	if err != nil {
		return image{}, err
	}

	i := slices.IndexFunc(found, func(c candidate) bool { return c.id == id })
	if i < 0 {
		return image{}, fmt.Errorf("%w: %s", ErrNotFound, id)
	}

	return found[i].image, nil
}

func (l *systemdBoot) recount(v *fat.Volume, id string, counted bool, left, done int) error {
	i, err := l.imageOf(v, id)
	if err != nil {
		return err
	}

	return recount(v, i, counted, left, done)
}

// recount gives an image another counter, by another name for its file.
func recount(v *fat.Volume, i image, counted bool, left, done int) error {
	to := fileName(i.id, counted, left, done)
	if to == i.file {
		return nil
	}

	return v.Rename(path.Join(uki.Folder, i.file), path.Join(uki.Folder, to))
}

// find is the entry of an image that was just written.
func (l *systemdBoot) find(v *fat.Volume, name uki.Name) (Entry, error) {
	id, err := name.File()
	if err != nil {
		return Entry{}, err
	}

	s, err := l.state(v)
	if err != nil {
		return Entry{}, err
	}

	return s.Find(id)
}

// forgetChoices takes away what would make systemd-boot start an entry whatever
// its counter says.
func (l *systemdBoot) forgetChoices(v *fat.Volume) error {
	for _, choice := range choices() {
		if err := l.options.Variables.Delete(choice); err != nil {
			return fmt.Errorf("making the boot loader choose by itself: %w", err)
		}
	}

	text, err := v.ReadFile(ConfigFile, maxConfig)
	if err == nil && !defaultPattern.Match(text) {
		return nil
	}

	if err != nil && !errors.Is(err, fat.ErrNotExist) {
		return fmt.Errorf("reading the boot loader's configuration: %w", err)
	}

	return v.Create(ConfigFile, int64(len(Config)), strings.NewReader(Config))
}

// remove removes an image, by whatever name it has now.
func remove(v *fat.Volume, e Entry) error {
	return v.Remove(path.Join(uki.Folder, fileName(e.ID, e.Counted, e.Left, e.Done)))
}
