package layout

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/gpt"
)

func TestNew(t *testing.T) {
	for _, test := range []struct {
		bios bool
		want []string
	}{
		{false, []string{"1 EFI 2101 0", "2 META 1 0"}},
		{true, []string{"1 EFI 2101 0", "2 BIOS 1 4", "3 META 1 0"}},
	} {
		l, err := New(Options{Size: Least, SectorSize: 512, BIOS: test.bios, GUID: gpt.GUIDOf})
		if err != nil {
			t.Fatal(err)
		}

		var got []string
		for _, p := range l.Table.Partitions {
			got = append(got, fmt.Sprintf("%d %s %d %d", p.Number, p.Label, l.Table.Size(p)>>20, p.Attributes))
		}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestTooSmall(t *testing.T) {
	if _, err := New(Options{Size: EFISize, SectorSize: 512, GUID: gpt.GUIDOf}); !errors.Is(err, gpt.ErrNoSpace) {
		t.Errorf("error %v, want %v", err, gpt.ErrNoSpace)
	}
}
