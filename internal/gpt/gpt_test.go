package gpt

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
)

// memory is a disk that records every write.
type memory struct {
	data   []byte
	writes []write
}

type write struct {
	offset int64
	data   []byte
}

func (m *memory) ReadAt(p []byte, offset int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, offset)
}

func (m *memory) WriteAt(p []byte, offset int64) (int, error) {
	if offset < 0 || offset+int64(len(p)) > int64(len(m.data)) {
		return 0, io.ErrShortWrite
	}

	m.writes = append(m.writes, write{offset, bytes.Clone(p)})

	return copy(m.data[offset:], p), nil
}

const diskSize = 64 << 20

func newTable(t *testing.T, sectorSize int) *Table {
	t.Helper()

	table, err := New(GUIDOf("disk"), diskSize, sectorSize)
	if err != nil {
		t.Fatal(err)
	}

	add := func(label string, kind uuid.UUID, size int64, attributes uint64) {
		if _, err := table.Add(label, kind, GUIDOf(label), size, attributes); err != nil {
			t.Fatal(err)
		}
	}
	add(LabelEFI, TypeEFI, 20<<20, 0)
	add(LabelBIOS, TypeBIOSBoot, 1<<20, AttributeLegacyBootable)
	add(LabelMeta, TypeLinuxData, 1, 0)
	add(LabelEphemeral, TypeLinuxData, 0, 0)

	return table
}

func compare(t *testing.T, want, got *Table) {
	t.Helper()

	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Table{})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, sectorSize := range []int{512, 4096} {
		table := newTable(t, sectorSize)
		disk := &memory{data: make([]byte, diskSize)}

		copy(disk.data, "boot code")

		if err := table.Write(disk); err != nil {
			t.Fatal(err)
		}

		got, source, err := Read(disk, diskSize, sectorSize)
		if err != nil || source != Primary {
			t.Fatal(source, err)
		}

		compare(t, table, got)

		if !bytes.HasPrefix(disk.data, []byte("boot code")) {
			t.Error("the boot code was overwritten")
		}

		if !bytes.Equal(disk.data[510:512], []byte{0x55, 0xaa}) || disk.data[450] != 0xee {
			t.Error("no protective master boot record")
		}

		for _, p := range got.Partitions {
			if got.Offset(p)%Alignment != 0 || got.Size(p)%Alignment != 0 {
				t.Errorf("%s is not aligned: %+v", p.Label, p)
			}
		}
	}
}

// The type of an EFI system partition as it stands in the specification.
func TestByteOrder(t *testing.T) {
	want := []byte{0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b}
	if got := toDisk(TypeEFI); !bytes.Equal(got[:], want) {
		t.Errorf("%x, want %x", got, want)
	}
}

// Whatever single sector is lost, the table is still there.
func TestEitherCopyIsEnough(t *testing.T) {
	table := newTable(t, 512)
	clean := &memory{data: make([]byte, diskSize)}

	if err := table.Write(clean); err != nil {
		t.Fatal(err)
	}

	for sector := int64(0); sector < 40; sector++ {
		for _, at := range []int64{sector, diskSize/512 - 1 - sector} {
			damaged := &memory{data: bytes.Clone(clean.data)}

			copy(damaged.data[at*512:], bytes.Repeat([]byte{0xff}, 512))

			got, source, err := Read(damaged, diskSize, 512)
			if err != nil {
				t.Fatalf("sector %d: %v", at, err)
			}

			compare(t, table, got)

			if want := at == 1 || (at >= 2 && at < 34); (source == Backup) != want {
				t.Errorf("sector %d: read from copy %d", at, source)
			}
		}
	}
}

// A power cut between or within any two writes of a change leaves the old table
// or the new one.
func TestPowerCut(t *testing.T) {
	before := newTable(t, 512)
	disk := &memory{data: make([]byte, diskSize)}

	if err := before.Write(disk); err != nil {
		t.Fatal(err)
	}

	old := bytes.Clone(disk.data)
	after := newTable(t, 512)
	after.Remove(4)

	if _, err := after.Add(LabelState, TypeLinuxData, GUIDOf(LabelState), 5<<20, 0); err != nil {
		t.Fatal(err)
	}

	disk.writes = nil

	if err := after.Write(disk); err != nil {
		t.Fatal(err)
	}

	for n := range len(disk.writes) + 1 {
		for _, part := range []int{0, 1, 2} { // nothing, half or one byte less of write n
			cut := bytes.Clone(old)
			for _, w := range disk.writes[:n] {
				copy(cut[w.offset:], w.data)
			}

			if n < len(disk.writes) && part > 0 {
				w := disk.writes[n]
				copy(cut[w.offset:], w.data[:len(w.data)*part/2-part+1])
			}

			got, _, err := Read(&memory{data: cut}, diskSize, 512)
			if err != nil {
				t.Fatalf("cut at write %d, part %d: %v", n, part, err)
			}

			opts := cmpopts.IgnoreUnexported(Table{})
			if !cmp.Equal(got, before, opts) && !cmp.Equal(got, after, opts) {
				t.Errorf("cut at write %d, part %d: neither the old nor the new table", n, part)
			}
		}
	}
}

func TestGrow(t *testing.T) {
	table := newTable(t, 512)
	disk := &memory{data: make([]byte, diskSize)}

	if err := table.Write(disk); err != nil {
		t.Fatal(err)
	}

	const larger = diskSize * 2

	disk.data = append(disk.data, make([]byte, diskSize)...)

	got, _, err := Read(disk, larger, 512)
	if err != nil {
		t.Fatal(err)
	}

	last, _ := got.Find(LabelEphemeral)
	before := got.Size(last)

	for _, c := range []struct {
		number int
		limit  int64
		want   bool
	}{{1, 0, false}, {last.Number, before + 1, true}, {last.Number, before, false}, {last.Number, 0, true}, {last.Number, 0, false}} {
		if changed, err := got.Grow(c.number, c.limit); err != nil || changed != c.want {
			t.Errorf("grow %+v: %v, %v", c, changed, err)
		}
	}

	if last, _ = got.Find(LabelEphemeral); got.Size(last) < before+diskSize-Alignment {
		t.Errorf("grew from %d to %d bytes", before, got.Size(last))
	}

	if _, err := got.Grow(9, 0); !errors.Is(err, ErrInvalid) {
		t.Errorf("growing a partition that is not there: %v", err)
	}

	if err := got.Write(disk); err != nil {
		t.Fatal(err)
	}

	again, source, err := Read(disk, larger, 512)
	if err != nil || source != Primary {
		t.Fatal(source, err)
	}

	compare(t, got, again)

	if err := again.Resize(diskSize); !errors.Is(err, ErrInvalid) {
		t.Errorf("shrinking under a partition: %v", err)
	}
}

func TestGapsAreReused(t *testing.T) {
	table := newTable(t, 512)
	meta, _ := table.Find(LabelMeta)
	table.Remove(meta.Number)

	p, err := table.Add("r-data", TypeLinuxData, GUIDOf("r-data"), 1<<20, 0)
	if err != nil || p.Number != meta.Number || p.First != meta.First {
		t.Errorf("%+v, %v; want the place of %+v", p, err, meta)
	}

	if _, err := table.Add("u-more", TypeLinuxData, GUIDOf("u-more"), 0, 0); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a full disk took a partition: %v", err)
	}
}

func TestInvalid(t *testing.T) {
	for name, change := range map[string]func(*Table){
		"overlap":      func(t *Table) { t.Partitions[1].First = t.Partitions[0].Last },
		"number":       func(t *Table) { t.Partitions[1].Number = 1 },
		"number range": func(t *Table) { t.Partitions[1].Number = 129 },
		"no type":      func(t *Table) { t.Partitions[0].Type = uuid.Nil },
		"beyond":       func(t *Table) { t.Partitions[3].Last = t.Sectors },
		"label":        func(t *Table) { t.Partitions[0].Label = strings.Repeat("x", 37) },
		"label text":   func(t *Table) { t.Partitions[0].Label = "a\x00b" },
	} {
		table := newTable(t, 512)
		change(table)

		disk := &memory{data: make([]byte, diskSize)}
		if err := table.Write(disk); !errors.Is(err, ErrInvalid) || len(disk.writes) > 0 {
			t.Errorf("%s: %v after %d writes", name, err, len(disk.writes))
		}
	}

	if _, err := New(uuid.New(), 16<<10, 512); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a table on a tiny disk: %v", err)
	}

	if _, err := New(uuid.New(), diskSize, 1000); !errors.Is(err, ErrInvalid) {
		t.Errorf("strange sectors: %v", err)
	}
}

func TestNoTable(t *testing.T) {
	for _, size := range []int64{0, 512, 1024, 1 << 20} {
		if _, _, err := Read(&memory{data: make([]byte, size)}, size, 512); !errors.Is(err, ErrNoTable) {
			t.Errorf("%d bytes of nothing: %v", size, err)
		}
	}

	table := newTable(t, 512)
	disk := &memory{data: make([]byte, diskSize)}

	if err := table.Write(disk); err != nil {
		t.Fatal(err)
	}

	disk.data[512+60]++
	disk.data[diskSize-512+60]++

	if _, _, err := Read(disk, diskSize, 512); !errors.Is(err, ErrDamaged) {
		t.Errorf("two damaged copies: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	const size = 4 << 20

	table, err := New(GUIDOf("disk"), size, 512)
	if err != nil {
		f.Fatal(err)
	}

	if _, err := table.Add(LabelMeta, TypeLinuxData, GUIDOf(LabelMeta), 1<<20, 0); err != nil {
		f.Fatal(err)
	}

	disk := &memory{data: make([]byte, size)}
	if err := table.Write(disk); err != nil {
		f.Fatal(err)
	}

	f.Add(disk.data[512:1024], disk.data[1024:1024+256])
	f.Fuzz(func(t *testing.T, head, entries []byte) {
		fuzzed := &memory{data: make([]byte, size)}
		copy(fuzzed.data[512:1024], head)
		copy(fuzzed.data[1024:34*512], entries)

		got, _, err := Read(fuzzed, size, 512)
		if err != nil {
			return
		}

		// What was read can be written and is the same again.
		if err := got.Write(fuzzed); err != nil {
			t.Fatalf("writing what was read: %v", err)
		}

		again, _, err := Read(fuzzed, size, 512)
		if err != nil {
			t.Fatalf("reading what was written: %v", err)
		}

		compare(t, got, again)
	})
}
