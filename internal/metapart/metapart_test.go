package metapart

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// memory is a partition that records its writes, each of which it also tears
// into pieces for the tests of power cuts.
type memory struct {
	data   []byte
	writes []record
	limit  int // fail after so many writes when not negative
}

type record struct {
	offset int64
	data   []byte
}

func newMemory() *memory { return &memory{data: make([]byte, 1<<20), limit: -1} }

func (m *memory) ReadAt(p []byte, offset int64) (int, error) {
	return bytes.NewReader(m.data).ReadAt(p, offset)
}

var errBroken = errors.New("the disk is broken")

func (m *memory) WriteAt(p []byte, offset int64) (int, error) {
	if m.limit == len(m.writes) {
		return 0, errBroken
	}

	m.writes = append(m.writes, record{offset, bytes.Clone(p)})

	return copy(m.data[offset:], p), nil
}

func open(t *testing.T, disk Disk, want map[Key][]byte, health Health) {
	t.Helper()

	got, found, err := Open(disk)
	if err != nil || found != health {
		t.Fatalf("health %d, %v; want %d", found, err, health)
	}

	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("values (-want +got):\n%s", diff)
	}
}

func TestRoundTrip(t *testing.T) {
	disk := newMemory()
	open(t, disk, nil, Blank)
	open(t, disk, nil, Good)

	values := map[Key][]byte{
		KeyUpgrade: []byte("A"), KeyMetalNetwork: []byte("addresses: []\n"), KeyUserReserved1: {}, 4711: bytes.Repeat([]byte{0}, 100),
	}
	if err := Write(disk, values); err != nil {
		t.Fatal(err)
	}

	disk.writes = nil
	open(t, disk, values, Good)

	if len(disk.writes) > 0 {
		t.Error("opening a good partition wrote to it")
	}

	encoded, err := Encode(values)
	if err != nil || !bytes.Equal(encoded, disk.data[:Size]) {
		t.Errorf("a new partition differs from a written one, %v", err)
	}

	if err := Format(disk); err != nil {
		t.Fatal(err)
	}

	open(t, disk, nil, Good)
}

// The format byte by byte, as other programs write it.
func TestFormat(t *testing.T) {
	data := make([]byte, 256*1024)
	binary.BigEndian.PutUint32(data[0:], 0x5a4b3c2d)
	binary.BigEndian.PutUint32(data[4:], 0x0a)
	binary.BigEndian.PutUint32(data[8:], 3)
	copy(data[12:], "abc")
	binary.BigEndian.PutUint32(data[len(data)-4:], 0xa5b4c3d2)
	sum := sha256.Sum256(data)
	copy(data[len(data)-0x24:], sum[:])

	disk := newMemory()
	copy(disk.data, data)
	copy(disk.data[len(data):], data)
	open(t, disk, map[Key][]byte{KeyMetalNetwork: []byte("abc")}, Good)
}

// Any damage in one copy is found and healed.
func TestHeal(t *testing.T) {
	values := map[Key][]byte{KeyUpgrade: []byte("B")}

	for i := range copies {
		for _, at := range []int{0, 5, 12, 5000, copySize - 40, copySize - 20, copySize - 1} {
			disk := newMemory()
			if err := Write(disk, values); err != nil {
				t.Fatal(err)
			}

			disk.data[i*copySize+at] ^= 0x40
			disk.writes = nil
			open(t, disk, values, Healed)

			if disk.writes[0].offset != int64(i)*copySize {
				t.Errorf("copy %d: the good copy was written first", i)
			}

			open(t, disk, values, Good)
		}
	}
}

func TestDamaged(t *testing.T) {
	disk := newMemory()
	disk.data[100], disk.data[copySize+100] = 1, 1

	if _, _, err := Open(disk); !errors.Is(err, ErrDamaged) {
		t.Errorf("two damaged copies: %v", err)
	}

	if _, _, err := Open(&memory{data: make([]byte, Size-1), limit: -1}); !errors.Is(err, io.EOF) {
		t.Errorf("a partition that is too small: %v", err)
	}
}

// A power cut within or between any writes of any change leaves the old or the
// new values, also when one copy was damaged before.
func TestPowerCut(t *testing.T) {
	before := map[Key][]byte{KeyUpgrade: []byte("old"), KeyUserReserved1: []byte("same")}
	after := map[Key][]byte{KeyUpgrade: []byte("newer"), KeyUserReserved1: []byte("same")}

	for _, damage := range []int{-1, 0, copySize} {
		t.Run(fmt.Sprint(damage), func(t *testing.T) {
			disk := newMemory()
			if err := Write(disk, before); err != nil {
				t.Fatal(err)
			}

			if damage >= 0 {
				disk.data[damage+10]++
			}

			old := bytes.Clone(disk.data)
			disk.writes = nil

			if err := Write(disk, after); err != nil {
				t.Fatal(err)
			}

			for n := range len(disk.writes) + 1 {
				for _, sectors := range []int{0, 1, copySize/512 - 1} {
					cut := newMemory()
					copy(cut.data, old)

					for _, w := range disk.writes[:n] {
						copy(cut.data[w.offset:], w.data)
					}

					if n < len(disk.writes) {
						copy(cut.data[disk.writes[n].offset:], disk.writes[n].data[:sectors*512])
					}

					got, _, err := Open(cut)
					if err != nil || !cmp.Equal(got, before) && !cmp.Equal(got, after) {
						t.Fatalf("cut in write %d after %d sectors: %v, %v", n, sectors, got, err)
					}

					open(t, cut, got, Good)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	disk := newMemory()

	if err := Write(disk, map[Key][]byte{0: nil}); !errors.Is(err, ErrKey) {
		t.Errorf("key 0: %v", err)
	}

	const most = copySize - 4 - 8 - 4 - 36
	if err := Write(disk, map[Key][]byte{1: make([]byte, most+1)}); !errors.Is(err, ErrNoSpace) || len(disk.writes) > 0 {
		t.Errorf("too much: %v after %d writes", err, len(disk.writes))
	}

	if err := Write(disk, map[Key][]byte{1: make([]byte, most)}); err != nil {
		t.Errorf("as much as fits: %v", err)
	}

	open(t, disk, map[Key][]byte{1: make([]byte, most)}, Good)

	disk.limit = len(disk.writes) + 1
	if err := Write(disk, nil); !errors.Is(err, errBroken) {
		t.Errorf("a broken disk: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{0, 0, 0, 6, 0, 0, 0, 1, 'A'})
	f.Add([]byte{0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, values []byte) {
		data := make([]byte, copySize)
		binary.BigEndian.PutUint32(data, magicBegin)
		copy(data[4:checksumOffset], values)
		binary.BigEndian.PutUint32(data[copySize-4:], magicEnd)
		sum := sha256.Sum256(data)
		copy(data[checksumOffset:], sum[:])

		got, err := decode(data)
		if err != nil {
			return
		}

		again, err := encode(got)
		if err != nil {
			t.Fatalf("encoding what was decoded: %v", err)
		}

		same, err := decode(again)
		if err != nil || !cmp.Equal(got, same) {
			t.Errorf("%v is %v after a round trip, %v", got, same, err)
		}
	})
}
