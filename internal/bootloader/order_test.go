package bootloader

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFileName(t *testing.T) {
	for file, want := range map[string]image{
		"Basalt-0.1.0.efi":       {id: "Basalt-0.1.0.efi"},
		"Basalt-0.1.0+3.efi":     {id: "Basalt-0.1.0.efi", counted: true, left: 3},
		"other+a+0-12.EFI":       {id: "other+a.EFI", counted: true, done: 12},
		"Basalt-0.1.0+3-.efi":    {id: "Basalt-0.1.0+3-.efi"},
		"Basalt-0.1.0+x.efi":     {id: "Basalt-0.1.0+x.efi"},
		"a+99999999999999.efi":   {id: "a+99999999999999.efi"},
		"a+1-99999999999999.efi": {id: "a+1-99999999999999.efi"},
	} {
		want.file = file

		got, ok := parseFile(file)
		if !ok || got != want {
			t.Errorf("%s: %+v", file, got)
		}

		if back := fileName(got.id, got.counted, got.left, got.done); back != file {
			t.Errorf("%s: back to %s", file, back)
		}
	}

	for _, file := range []string{"", "efi", "a.efi.bak", ".hidden.efi", newImage} {
		if _, ok := parseFile(file); ok {
			t.Errorf("%q is no image", file)
		}
	}
}

// The examples of the UAPI group's specification, and ours.
func TestVersions(t *testing.T) {
	ascending := [][]string{
		{"122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1", "123.a-1", "123.1-1", "123a-1", "124-1"},
		{"~", "", "a", "ab", "0", "1", "11"},
		{"0.1.0", "0.2.0~1", "0.2.0", "0.2.0-beta.1", "0.10.0", "1.0.0"},
	}

	for _, list := range ascending {
		for i, a := range list {
			for j, b := range list {
				if got, want := compareVersions(a, b), i-j; got > 0 != (want > 0) || got < 0 != (want < 0) {
					t.Errorf("%q and %q: %d", a, b, got)
				}
			}
		}
	}

	for a, b := range map[string]string{"0123": "123", "_": "", "a_b": "ab+", "1.0": "1.0 "} {
		if compareVersions(a, b) != 0 && a != "a_b" {
			t.Errorf("%q and %q differ", a, b)
		}
	}
}

func TestOrder(t *testing.T) {
	list := []image{
		{id: "c.efi", sortKey: "a", version: "1"},
		{id: "d.efi", sortKey: "b", version: "3"},
		{id: "b2.efi", sortKey: "b", version: "2"},
		{id: "b1.efi", sortKey: "b", version: "2", counted: true, left: 3},
		{id: "b1.efi", sortKey: "b", version: "2", counted: true, left: 2, done: 1},
		{id: "b1.efi", sortKey: "b", version: "2", counted: true, left: 2, done: 2},
		{id: "z.efi"},
		{id: "a.efi", sortKey: "a", version: "9", counted: true, done: 3},
	}

	shuffled := slices.Clone(list)
	slices.Reverse(shuffled)
	slices.SortStableFunc(shuffled, compareImages)

	if diff := cmp.Diff(list, shuffled, cmp.AllowUnexported(image{})); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}
