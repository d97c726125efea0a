// Package crashtest shows what a power cut can leave of a disk. A [Disk] in
// memory records what is written to it, and [Disk.Crashes] replays that: every
// disk that there could be after a cut at some moment.
//
// The model is what block devices promise. A sector is written as a whole or
// not at all. What was written before a Sync that returned is on the disk; of
// what was written since, any part may be, in any order.
package crashtest

import (
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"

	"github.com/basalt-os/basalt/internal/blockdev"
)

// pageSize is the unit in which a disk takes memory, a multiple of all sizes of
// sectors.
const pageSize = 4096

// Disk is a disk in memory that takes space only where it was written. It
// implements [blockdev.Handle]; what the kernel would be told of partitions is
// in Partitions. It is not safe for concurrent use.
type Disk struct {
	Partitions map[int]blockdev.Range

	size, sector int64
	pages        map[int64]*[pageSize]byte // shared between disks, never changed
	start        map[int64]*[pageSize]byte // what pages was when recording began
	recording    bool
	epochs       [][]write // what was written between two Syncs
}

// write is one write; without data it writes zeros.
type write struct {
	offset, length int64
	data           []byte
}

// New is a disk of size bytes, all zeros, with sectors of so many bytes.
func New(size int64, sector int) *Disk {
	return &Disk{
		Partitions: map[int]blockdev.Range{}, size: size, sector: int64(sector), pages: map[int64]*[pageSize]byte{},
	}
}

// Record begins to record. What was written before is on the disk.
func (d *Disk) Record() {
	d.start, d.recording, d.epochs = maps.Clone(d.pages), true, [][]write{nil}
}

// Clone is another disk with the same content, which does not record.
func (d *Disk) Clone() *Disk { return d.with(d.pages) }

func (d *Disk) with(pages map[int64]*[pageSize]byte) *Disk {
	return &Disk{Partitions: maps.Clone(d.Partitions), size: d.size, sector: d.sector, pages: maps.Clone(pages)}
}

// ReadAt implements [io.ReaderAt].
func (d *Disk) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset > d.size {
		return 0, fmt.Errorf("reading at %d of a disk of %d bytes: %w", offset, d.size, io.EOF)
	}

	n := int(min(int64(len(p)), d.size-offset))

	for done := 0; done < n; {
		at := offset + int64(done)
		within := at % pageSize
		step := min(n-done, int(pageSize-within))

		if page := d.pages[at/pageSize]; page != nil {
			copy(p[done:done+step], page[within:])
		} else {
			clear(p[done : done+step])
		}

		done += step
	}

	if n < len(p) {
		return n, io.EOF
	}

	return n, nil
}

// WriteAt implements [io.WriterAt].
func (d *Disk) WriteAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset+int64(len(p)) > d.size {
		return 0, fmt.Errorf("writing at %d of a disk of %d bytes: %w", offset, d.size, io.ErrShortWrite)
	}

	d.note(write{offset, int64(len(p)), append([]byte{}, p...)})

	return len(p), nil
}

// Zero implements [blockdev.Handle].
func (d *Disk) Zero(offset, length uint64) error {
	if offset+length > uint64(d.size) {
		return fmt.Errorf("erasing at %d of a disk of %d bytes: %w", offset, d.size, io.ErrShortWrite)
	}

	d.note(write{int64(offset), int64(length), nil})

	return nil
}

func (d *Disk) note(w write) {
	if d.recording {
		last := len(d.epochs) - 1
		d.epochs[last] = append(d.epochs[last], w)
	}

	d.apply(w)
}

// apply changes the content. Pages are replaced, since others may share them.
func (d *Disk) apply(w write) {
	for done := int64(0); done < w.length; {
		at := w.offset + done
		within := at % pageSize
		step := min(w.length-done, pageSize-within)

		var page [pageSize]byte
		if old := d.pages[at/pageSize]; old != nil {
			page = *old
		}

		if w.data == nil {
			clear(page[within : within+step])
		} else {
			copy(page[within:], w.data[done:done+step])
		}

		if page == [pageSize]byte{} {
			delete(d.pages, at/pageSize)
		} else {
			d.pages[at/pageSize] = &page
		}

		done += step

		if w.data == nil && step == pageSize {
			done = d.skip(w, done)
		}
	}
}

// skip goes on to the next page that has something to erase.
func (d *Disk) skip(w write, done int64) int64 {
	if w.length-done < int64(len(d.pages))*pageSize {
		return done
	}

	end := (w.offset + w.length) / pageSize
	for number := range d.pages {
		if number >= (w.offset+done)/pageSize && number < end {
			delete(d.pages, number)
		}
	}

	return max(done, end*pageSize-w.offset)
}

// Size implements [blockdev.Handle].
func (d *Disk) Size() (uint64, error) { return uint64(d.size), nil }

// Sync implements [blockdev.Handle].
func (d *Disk) Sync() error {
	if d.recording && len(d.epochs[len(d.epochs)-1]) > 0 {
		d.epochs = append(d.epochs, nil)
	}

	return nil
}

// Lock implements [blockdev.Handle].
func (d *Disk) Lock() error { return nil }

// Close implements [blockdev.Handle].
func (d *Disk) Close() error { return nil }

// AddPartition implements [blockdev.Handle].
func (d *Disk) AddPartition(p blockdev.Range) error {
	d.Partitions[p.Number] = p

	return nil
}

// ResizePartition implements [blockdev.Handle].
func (d *Disk) ResizePartition(p blockdev.Range) error { return d.AddPartition(p) }

// DeletePartition implements [blockdev.Handle].
func (d *Disk) DeletePartition(number int) error {
	delete(d.Partitions, number)

	return nil
}

// Crashes are the disks that a power cut since Record could have left, each
// with a name that says which: for the time between any two Syncs the writes up
// to each moment, and some of them regardless of their order. Where there are
// too many moments, or ways to choose, so many are taken, the same for the same
// seed. The last is the disk as it is.
func (d *Disk) Crashes(seed uint64, choices int) iter.Seq2[string, *Disk] {
	return func(yield func(string, *Disk) bool) {
		random := rand.New(rand.NewPCG(seed, 0))
		durable := d.with(d.start)

		for i, epoch := range d.epochs {
			units := d.split(epoch)

			for _, upTo := range moments(len(units), choices) {
				disk := durable.Clone()
				for _, w := range units[:upTo] {
					disk.apply(w)
				}

				if !yield(fmt.Sprintf("after sync %d and %d of %d sectors", i, upTo, len(units)), disk) {
					return
				}
			}

			for choice, pick := range picks(random, len(units), choices) {
				disk := durable.Clone()

				for j, w := range units {
					if pick(j) {
						disk.apply(w)
					}
				}

				if !yield(fmt.Sprintf("after sync %d, seed %d, choice %d of %d sectors", i, seed, choice, len(units)), disk) {
					return
				}
			}

			for _, w := range units {
				durable.apply(w)
			}
		}

		yield("complete", d.Clone())
	}
}

// moments are numbers from 0 to n, all or so many.
func moments(n, most int) []int {
	var result []int

	for i := range min(n+1, most) {
		result = append(result, i*n/max(1, min(n, most-1)))
	}

	return result
}

// picks choose among n units: in all ways if there are not many more than
// choices, or else in so many random ones, from hardly any to nearly all.
func picks(random *rand.Rand, n, choices int) iter.Seq2[int, func(int) bool] {
	return func(yield func(int, func(int) bool) bool) {
		if n < 2 {
			return // these are moments already
		}

		if n < 20 && 1<<n <= 2*choices {
			for set := range 1 << n {
				if !yield(set, func(unit int) bool { return set>>unit&1 == 1 }) {
					return
				}
			}

			return
		}

		for choice := range choices {
			odds := random.Float64()

			if !yield(choice, func(int) bool { return random.Float64() < odds }) {
				return
			}
		}
	}
}

// longErase is the length from which on an erased range counts as a few units.
const longErase = 1 << 20

// split cuts writes into what is written as a whole.
func (d *Disk) split(writes []write) []write {
	var units []write

	for _, w := range writes {
		unit := d.sector
		if w.data == nil && w.length > longErase {
			unit = (w.length/4 + pageSize) / pageSize * pageSize
		}

		for done := int64(0); done < w.length; {
			step := min(w.length-done, unit-(w.offset+done)%unit)
			part := write{offset: w.offset + done, length: step}

			if w.data != nil {
				part.data = w.data[done : done+step]
			}

			units = append(units, part)
			done += step
		}
	}

	return units
}
