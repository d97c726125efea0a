package bootloader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/grub"
	"github.com/basalt-os/basalt/internal/uki"
)

// How GRUB's menu looks.
const (
	// MenuTimeout is how long boot menus are shown, in seconds.
	MenuTimeout = 5

	maxMenu = 64 << 10
	maxEnv  = 4096
)

// menuEntry finds the entries of a menu.
var menuEntry = regexp.MustCompile(`(?m)^menuentry .* --id '([^']+)' `)

// grubLoader is GRUB on a system partition. Its images have no counters in their
// names: what is counted is in GRUB's environment, see package grub. Each change
// of that is one write of one sector, and so is each new menu.
type grubLoader struct {
	partition Partition
	options   Options
}

// NewGRUB makes a system partition with GRUB's menu and one version of the
// system, which is not counted. GRUB itself is not there but at the disk's
// beginning, see [grub.Install].
func NewGRUB(ctx context.Context, partition *blockdev.Section, sectorSize int, image Image, progress func(string)) error {
	name, err := uki.Name{Version: image.Version}.File()
	if err != nil {
		return err
	}

	v, err := newVolume(partition, sectorSize)
	if err != nil {
		return err
	}

	if err := writeImage(ctx, v, name, name, image, progress); err != nil {
		return err
	}

	if err := writeMenu(v, name); err != nil {
		return err
	}

	return writeEnv(v, grub.State{Good: name})
}

// grubState is what is on the disk.
type grubState struct {
	State

	env   grub.State
	files map[string]string // of the entries, by ID
}

// State implements [Loader].
func (l *grubLoader) State() (State, error) {
	v, err := l.partition.open(false)
	if err != nil {
		return State{}, err
	}

	s, err := l.state(v)

	return s.State, err
}

func (l *grubLoader) state(v *fat.Volume) (grubState, error) {
	found, err := images(v)
	if err != nil {
		return grubState{}, fmt.Errorf("reading the system partition: %w", err)
	}

	s := grubState{State: State{Kind: GRUB}, files: map[string]string{}}

	if s.Free, err = v.Free(); err != nil && !errors.Is(err, fat.ErrDamaged) {
		return grubState{}, fmt.Errorf("reading the system partition: %w", err)
	}

	menu, err := readMenu(v)
	if err != nil {
		return grubState{}, err
	}

	if s.env, err = readEnv(v); err != nil {
		return grubState{}, err
	}

	next := s.env.Next()
	if !slices.Contains(menu, next) && len(menu) > 0 {
		next = menu[0] // as GRUB does
	}

	booted := l.options.Booted
	if booted == "" {
		booted = grub.Booted(l.options.Cmdline)
	}

	for _, c := range found {
		e := Entry{ID: c.file, Version: c.version, Size: c.size, Booted: c.file == booted, Problem: c.problem}

		if c.file == s.env.Trial {
			e.Counted, e.Left, e.Done = true, s.env.Tries, max(0, Tries-s.env.Tries)
		}

		if e.Problem == "" && !slices.Contains(menu, e.ID) {
			e.Problem = "it is not in the boot menu"
		}

		e.Next = e.ID == next && e.Problem == ""
		s.files[e.ID] = c.file
		s.Entries = append(s.Entries, e)
	}

	rank := func(e Entry) int {
		switch {
		case e.Next:
			return 0
		case e.ID == s.env.Good:
			return 1
		case e.Problem == "":
			return 2
		default:
			return 3
		}
	}

	slices.SortStableFunc(s.Entries, func(a, b Entry) int { return rank(a) - rank(b) })

	return s, nil
}

// Open implements [Loader].
func (l *grubLoader) Open(id string) (*uki.File, error) { return l.partition.image(id) }

// Add implements [Loader].
func (l *grubLoader) Add(ctx context.Context, img Image, force bool, progress func(string)) (Entry, error) {
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

	name, err := a.name.Blessed().File()
	if err != nil {
		return Entry{}, err
	}

	if err := l.add(ctx, v, a, name); err != nil {
		return Entry{}, err
	}

	if s, err = l.state(v); err != nil {
		return Entry{}, err
	}

	return s.Find(name)
}

// add does the work, in an order in which the version that runs stays the next
// one until the new one is complete and in the menu. Until then the new one
// counts as given up, so that nothing starts it as a good one after a power cut.
func (l *grubLoader) add(ctx context.Context, v *fat.Volume, a addition, name string) error {
	env := grub.State{Good: a.keep.ID, Trial: name}
	if err := writeEnv(v, env); err != nil {
		return err
	}

	written := func() error {
		_, err := menuEntryOf(v, newImage)

		return err
	}

	err := a.stage(ctx, v, name, written, func(e Entry) error { return v.Remove(path.Join(uki.Folder, e.ID)) })
	if err != nil {
		return err
	}

	if err := v.Rename(path.Join(uki.Folder, newImage), path.Join(uki.Folder, name)); err != nil {
		return err
	}

	// The version to go back to is the first: GRUB starts that when it cannot
	// read its variables.
	if err := writeMenu(v, a.keep.ID, name); err != nil {
		return err
	}

	if a.keep.ID == "" {
		return writeEnv(v, grub.State{Good: name})
	}

	env.Tries = Tries

	return writeEnv(v, env)
}

// Bless implements [Loader].
func (l *grubLoader) Bless(id string) error {
	return l.change(id, func(s grubState, e Entry) (grub.State, error) {
		if !e.Counted {
			return s.env, nil
		}

		return grub.State{Good: id}, nil
	})
}

// Activate implements [Loader].
func (l *grubLoader) Activate(id string, force bool) error {
	return l.change(id, func(s grubState, e Entry) (grub.State, error) {
		switch {
		case e.Problem != "":
			return s.env, fmt.Errorf("%w: %s: %s", ErrBad, id, e.Problem)
		case e.Bad() && !force:
			return s.env, fmt.Errorf("%w: %s", ErrBad, id)
		case e.Good():
			// One that was on trial is given up with that.
			return grub.State{Good: id, Trial: s.env.Trial}, nil
		default:
			return grub.State{Good: s.env.Good, Trial: id, Tries: Tries}, nil
		}
	})
}

// GiveUp implements [Loader].
func (l *grubLoader) GiveUp(id string) error {
	return l.change(id, func(s grubState, e Entry) (grub.State, error) {
		if !e.Counted {
			return s.env, fmt.Errorf("giving up %s: it is not on trial", id)
		}

		return grub.State{Good: s.env.Good, Trial: id}, nil
	})
}

// change changes the environment for an entry, and puts the good version first
// in the menu after that.
func (l *grubLoader) change(id string, decide func(grubState, Entry) (grub.State, error)) error {
	v, err := l.partition.open(true)
	if err != nil {
		return err
	}

	s, err := l.state(v)
	if err != nil {
		return err
	}

	e, err := s.Find(id)
	if err != nil {
		return err
	}

	env, err := decide(s, e)
	if err != nil {
		return err
	}

	if env != s.env {
		if err := writeEnv(v, env); err != nil {
			return err
		}
	}

	menu, err := readMenu(v)
	if err != nil || len(menu) == 0 || menu[0] == env.Good || !slices.Contains(menu, env.Good) {
		return err
	}

	ids := []string{env.Good}

	for _, e := range s.Entries {
		if e.ID != env.Good && e.Problem == "" {
			ids = append(ids, e.ID)
		}
	}

	return writeMenu(v, ids...)
}

// readMenu is the IDs of the menu's entries.
func readMenu(v *fat.Volume) ([]string, error) {
	text, err := v.ReadFile(grub.MenuFile, maxMenu)
	if err != nil {
		return nil, fmt.Errorf("reading the boot menu: %w", err)
	}

	var ids []string
	for _, match := range menuEntry.FindAllSubmatch(text, -1) {
		ids = append(ids, string(match[1]))
	}

	return ids, nil
}

// writeMenu writes a menu of images. An empty ID is left out.
func writeMenu(v *fat.Volume, ids ...string) error {
	menu := grub.Menu{Timeout: MenuTimeout}

	for _, id := range ids {
		if id == "" {
			continue
		}

		e, err := menuEntryOf(v, id)
		if err != nil {
			return err
		}

		menu.Entries = append(menu.Entries, e)
		menu.Serial = menu.Serial || strings.Contains(e.Cmdline, "console=ttyS0")
	}

	text, err := menu.Render()
	if err != nil {
		return err
	}

	return v.Create(grub.MenuFile, int64(len(text)), bytes.NewReader(text))
}

func menuEntryOf(v *fat.Volume, file string) (grub.Entry, error) {
	content, err := v.Open(path.Join(uki.Folder, file))
	if err != nil {
		return grub.Entry{}, err
	}

	return grub.NewEntry(file, content, content.Size())
}

// readEnv reads GRUB's environment. One that is damaged or missing is empty, as
// it is for GRUB, which then starts the first of the menu.
func readEnv(v *fat.Volume) (grub.State, error) {
	data, err := v.ReadFile(grub.EnvFile, maxEnv)
	if err == nil {
		var s grub.State
		if s, err = grub.DecodeState(data); err == nil {
			return s, nil
		}
	}

	if errors.Is(err, fat.ErrNotExist) || errors.Is(err, grub.ErrEnv) {
		return grub.State{}, nil
	}

	return grub.State{}, fmt.Errorf("reading GRUB's environment: %w", err)
}

func writeEnv(v *fat.Volume, s grub.State) error {
	data, err := s.Encode()
	if err != nil {
		return err
	}

	return v.Create(grub.EnvFile, int64(len(data)), bytes.NewReader(data))
}

// UpdateGRUB replaces GRUB itself with the parts boot.img and core.img, in one
// step: the new core goes where the old one is not, and the disk's first sector
// then says so. It writes nothing when the disk has these parts.
func UpdateGRUB(disk blockdev.Handle, sectorSize int, boot, core []byte) error {
	size, err := disk.Size()
	if err != nil {
		return err
	}

	table, _, err := gpt.Read(disk, int64(size), sectorSize)
	if err != nil {
		return err
	}

	p, ok := table.Find(gpt.LabelBIOS)
	if !ok {
		return fmt.Errorf("replacing the boot loader: %w: the disk has no partition %s", ErrNone, gpt.LabelBIOS)
	}

	return grub.Install(disk, p.First, p.Last, boot, core)
}
