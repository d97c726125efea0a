package perf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resources/perf"
)

func TestParseMemory(t *testing.T) {
	t.Parallel()

	text := `MemTotal:       24689304 kB
MemFree:        20000000 kB
Active(anon):       1324 kB
NFS_Unstable:          7 kB
Committed_AS:       9000 kB
HugePages_Total:       3
Hugepagesize:       2048 kB
DirectMap4k:      100000 kB
SomethingNew:          1 kB
broken line
MemAvailable:   x kB
`

	got, err := parseMemory(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}

	want := perf.Memory{
		MemTotal: 24689304, MemUsed: 4689304, ActiveAnon: 1324, NFSunstable: 7, CommittedAS: 9000,
		HugePagesTotal: 3, Hugepagesize: 2048, DirectMap4k: 100000,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("memory (-want +got):\n%s", diff)
	}
}

func FuzzParseMemory(f *testing.F) {
	f.Add("MemTotal: 1 kB\nMemFree: 2 kB\n")

	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseMemory(strings.NewReader(text))
		if err == nil && got.MemUsed > got.MemTotal {
			t.Errorf("used %d of %d", got.MemUsed, got.MemTotal)
		}
	})
}
