package crashtest

import (
	"bytes"
	"testing"
)

// What was synced is always there; what was not may be, in any order, sector by
// sector.
func TestCrashes(t *testing.T) {
	d := New(1<<30, 512)

	put := func(text string, offset int64) {
		if _, err := d.WriteAt(bytes.Repeat([]byte(text), 512), offset); err != nil {
			t.Fatal(err)
		}
	}

	put("z", 0)
	d.Record()
	put("ab", 4096)
	d.Sync()
	put("c", 512)
	put("d", 1024)

	if err := d.Zero(4096, 512<<20); err != nil {
		t.Fatal(err)
	}

	seen := map[string]bool{}
	at := func(disk *Disk, offset int64) string {
		sector := make([]byte, 512)
		if _, err := disk.ReadAt(sector, offset); err != nil {
			t.Fatal(err)
		}

		return string(sector[:1])
	}

	for name, disk := range d.Crashes(1, 100) {
		state := at(disk, 0) + at(disk, 512) + at(disk, 1024) + at(disk, 4096) + at(disk, 4608)
		seen[state] = true

		synced := state[1] == 'c' || state[2] == 'd'
		if rest := state[3:]; state[0] != 'z' || synced && rest != "aa" && rest != "\x00\x00" {
			t.Errorf("%s: %q", name, state)
		}
	}

	for _, want := range []string{
		"z\x00\x00\x00\x00", "z\x00\x00a\x00", "z\x00\x00\x00a", "z\x00\x00aa", "zc\x00aa", "z\x00daa", "zcdaa", "zcd\x00\x00", "zc\x00\x00\x00",
	} {
		if !seen[want] {
			t.Errorf("never seen: %q", want)
		}
	}

	if got := at(d, 0) + at(d, 4096); got != "z\x00" {
		t.Errorf("the disk itself changed: %q", got)
	}
}

func TestMoments(t *testing.T) {
	for _, c := range []struct{ n, most, count, last int }{{0, 10, 1, 0}, {3, 10, 4, 3}, {1000, 10, 10, 1000}} {
		got := moments(c.n, c.most)
		if len(got) != c.count || got[0] != 0 || got[len(got)-1] != c.last {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
