package fat

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
)

// change is something done to a file system; afterwards either nothing or all
// of it is to be seen.
type change struct {
	name  string
	do    func(*Volume) error
	twice bool // both names may be there for a moment
}

func changes() []change {
	text := func(n int) (int64, io.Reader) { return int64(n), strings.NewReader(strings.Repeat("y", n)) }

	return []change{
		{name: "create", do: func(v *Volume) error {
			size, content := text(3000)

			return v.Create("EFI/Linux/Basalt-0.2.0+3.efi", size, content)
		}},
		{name: "create in full folder", do: func(v *Volume) error {
			size, content := text(600)

			return v.Create("full/one with a name of more than one sector "+strings.Repeat("x", 200), size, content)
		}},
		{name: "replace", do: func(v *Volume) error {
			size, content := text(9000)

			return v.Create("loader/loader.conf", size, content)
		}},
		{name: "replace by nothing", do: func(v *Volume) error { return v.Create("EFI/Linux/Basalt-0.1.0.efi", 0, nil) }},
		{name: "shorter name", do: func(v *Volume) error {
			return v.Rename("EFI/Linux/Basalt-0.1.0~1+3-1.efi", "EFI/Linux/Basalt-0.1.0~1.efi")
		}},
		{name: "short name", do: func(v *Volume) error { return v.Rename("EFI/Linux/Basalt-0.1.0.efi", "EFI/Linux/B.EFI") }},
		{name: "longer name", do: func(v *Volume) error {
			return v.Rename("EFI/Linux/Basalt-0.1.0.efi", "EFI/Linux/Basalt-0.1.0 with a longer name.efi")
		}},
		{name: "name that does not fit", do: func(v *Volume) error {
			return v.Rename("full/file number 7", "full/a name that surely does not fit into the sector")
		}, twice: true},
		{name: "name in two sectors", do: func(v *Volume) error { return v.Rename("many/a long name for number 4", "many/SHORT") }},
		{name: "remove", do: func(v *Volume) error { return v.Remove("EFI/Linux/Basalt-0.1.0.efi") }},
		{name: "remove in two sectors", do: func(v *Volume) error { return v.Remove("many/a long name for number 4") }},
	}
}

// Whatever a power cut leaves of a change, the next one finds the old or the new
// files, each complete, and no space is lost.
func TestPowerCut(t *testing.T) {
	files := example()
	files[1].Data = files[1].Data[:10_000]

	for i := range 60 {
		files = append(files, File{fmt.Sprintf("full/file number %d", i), fmt.Append(nil, i)})
	}

	states := 0

	for _, sector := range []int{512, 4096} {
		for _, c := range changes() {
			disk := made(t, MinSize(sector), sector, files...)
			v := opened(t, disk)

			before, err := contents(v)
			if err != nil {
				t.Fatal(err)
			}

			disk.Record()

			if err := c.do(v); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}

			after, err := contents(v)
			if err != nil || maps.Equal(before, after) {
				t.Fatalf("%s: %v, nothing changed", c.name, err)
			}

			for at, cut := range disk.Crashes(1, 6) {
				states++

				checkCut(t, fmt.Sprintf("%d, %s, %s", sector, c.name, at), cut, before, after, c.twice)
			}
		}
	}

	t.Logf("%d states", states)
}

func checkCut(t *testing.T, name string, cut *crashtest.Disk, before, after map[string]string, twice bool) {
	t.Helper()

	both := maps.Clone(before)
	if twice {
		maps.Copy(both, after)
	}

	v := opened(t, cut)

	// Before anything is healed, as a boot loader sees it.
	if got, err := contents(v); err != nil || !maps.Equal(got, before) && !maps.Equal(got, after) && !maps.Equal(got, both) {
		t.Fatalf("%s: %v, (-before +got):\n%s", name, err, cmp.Diff(keys(before), keys(got)))
	}

	if err := v.Heal(); err != nil {
		t.Fatalf("%s: %v", name, err)
	}

	got, err := contents(opened(t, cut))
	if err != nil || !maps.Equal(got, before) && !maps.Equal(got, after) {
		t.Fatalf("%s: healed: %v, (-after +got):\n%s", name, err, cmp.Diff(keys(after), keys(got)))
	}

	// The tables say what the folders say.
	first, err := v.readTable(0)
	if err != nil {
		t.Fatal(err)
	}

	second, err := v.readTable(1)
	if err != nil || !bytes.Equal(first, second) || !bytes.Equal(first, v.table) {
		t.Errorf("%s: the tables differ, %v", name, err)
	}

	again := opened(t, cut)
	cut.Record()

	if err := again.Heal(); err != nil || len(again.changed) > 0 {
		t.Errorf("%s: not healed: %v", name, err)
	}

	create(t, again, "EFI/Linux/more.efi", "more")
	got["EFI/Linux/more.efi"] = "more"

	if now, err := contents(opened(t, cut)); err != nil || !maps.Equal(now, got) {
		t.Errorf("%s: after the next change: %v, (-want +got):\n%s", name, err, cmp.Diff(keys(got), keys(now)))
	}
}

func keys(m map[string]string) map[string]int {
	sizes := map[string]int{}
	for k, v := range m {
		sizes[k] = len(v)
	}

	return sizes
}
