package bootloader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/uki"
)

// newImage is the name of an image while it is written, which no boot loader
// looks at.
const newImage = "new.tmp"

// open opens the file system, and puts it in order if it is to be changed.
func (p Partition) open(change bool) (*fat.Volume, error) {
	v, err := fat.Open(p.Disk, p.Size)
	if err == nil && change {
		err = v.Heal()
	}

	if err != nil {
		return nil, fmt.Errorf("opening the system partition: %w", err)
	}

	return v, nil
}

// image opens the image of an entry.
func (p Partition) image(id string) (*uki.File, error) {
	v, err := p.open(false)
	if err != nil {
		return nil, err
	}

	found, err := images(v)
	if err != nil {
		return nil, err
	}

	i := slices.IndexFunc(found, func(c candidate) bool { return strings.EqualFold(c.id, id) })
	if i < 0 {
		return nil, fmt.Errorf("%w: %s", ErrNotFound, id)
	}

	return openImage(v, found[i].file)
}

// addition is a version to be added whose preconditions hold.
type addition struct {
	Image

	name     uki.Name
	keep     Entry // without an ID when there is none
	known    bool  // there is one
	others   []Entry
	progress func(string)
}

// admit checks whether a version can be added. It changes nothing.
func (s State) admit(v *fat.Volume, img Image, force bool, progress func(string)) (addition, error) {
	keep, known := s.Running()
	if known && keep.OnTrial() && !force {
		return addition{}, fmt.Errorf("%w: %s; wait until it is committed, go back, or force the upgrade", ErrOnTrial, keep.ID)
	}

	name, err := fresh(keep, img)
	if err != nil {
		return addition{}, err
	}

	others, err := s.makeRoom(v, keep, img.Size)

	return addition{Image: img, name: name, keep: keep, known: known, others: others, progress: progress}, err
}

// stage writes the image as newImage, has it checked, and has the other images
// removed: after that, or before if there is no room else. People are told of it
// as file.
func (a addition) stage(ctx context.Context, v *fat.Volume, file string, check func() error, remove func(Entry) error) error {
	free, err := v.Free()
	if err != nil {
		return err
	}

	others := a.others

	drop := func() error {
		for _, e := range others {
			a.progress(fmt.Sprintf("removing %s", e.ID))

			if err := remove(e); err != nil {
				return err
			}
		}

		others = nil

		return nil
	}

	if need(v, a.Size) > free {
		if err := drop(); err != nil {
			return err
		}
	}

	err = writeImage(ctx, v, newImage, file, a.Image, a.progress)
	if err == nil {
		err = check()
	}

	if err != nil {
		return errors.Join(err, discard(v))
	}

	return drop()
}

// writeImage writes an image under a name; people are told of it under another.
func writeImage(ctx context.Context, v *fat.Volume, name, shown string, image Image, progress func(string)) error {
	progress(fmt.Sprintf("writing %s, %s", shown, megabytes(image.Size)))

	return v.Create(path.Join(uki.Folder, name), image.Size, reader{ctx, image.Content})
}

// fresh is a name for a new image, which the one that stays does not have.
func fresh(keep Entry, img Image) (uki.Name, error) {
	var names []uki.Name
	if name, err := uki.ParseName(keep.ID); err == nil {
		names = append(names, name)
	}

	name := uki.Fresh(img.Version, names)
	_, err := name.File()

	return name, err
}

// need is how much space an image takes, with what its folder may grow by.
func need(v *fat.Volume, size int64) int64 { return v.SizeOf(size) + 2*v.SizeOf(1) }

// makeRoom says which entries go for a new one of size bytes, if it fits.
func (s State) makeRoom(v *fat.Volume, keep Entry, size int64) ([]Entry, error) {
	var others []Entry

	room := s.Free

	for _, e := range s.Entries {
		if e.ID != keep.ID {
			others = append(others, e)
			room += v.SizeOf(e.Size)
		}
	}

	if need(v, size) > room {
		return nil, fmt.Errorf("%w: the system partition has room for %s beside %s, and the new version needs %s",
			ErrNoSpace, megabytes(room), keep.ID, megabytes(need(v, size)))
	}

	return others, nil
}

// discard removes what is left of an image that was not written to its end.
func discard(v *fat.Volume) error {
	err := v.Remove(path.Join(uki.Folder, newImage))
	if errors.Is(err, fat.ErrNotExist) {
		return nil
	}

	return err
}

func megabytes(bytes int64) string {
	const mega = 1 << 20

	return fmt.Sprintf("%d MiB", (bytes+mega-1)/mega)
}

// reader stops reading when its context ends.
type reader struct {
	ctx context.Context
	r   io.Reader
}

// Read implements [io.Reader].
func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}

	return r.r.Read(p)
}
