package blockdev_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/crashtest"
	"github.com/basalt-os/basalt/internal/gpt"
)

// After a power cut at any moment of making a partition, making it again
// succeeds, what was there before is there, and nothing old is in it.
func TestCreateSurvivesPowerCuts(t *testing.T) {
	const size = 64 * mib

	state := blockdev.NewPartition{Label: "STATE", Type: gpt.TypeLinuxData, Min: 10 * mib, Max: 10 * mib}

	for name, prepare := range map[string]func(t *testing.T, disk *crashtest.Disk){
		"blank disk": func(*testing.T, *crashtest.Disk) {},
		"installed disk": func(t *testing.T, disk *crashtest.Disk) {
			t.Helper()

			meta := blockdev.NewPartition{Label: "META", Type: gpt.TypeLinuxData, Min: mib, Max: mib}
			if _, err := blockdev.CreatePartition(disk, 512, meta); err != nil {
				t.Fatal(err)
			}

			// Left by a partition of the past.
			if _, err := disk.WriteAt([]byte("XFSB"), 2*mib); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			disk := crashtest.New(size, 512)
			prepare(t, disk)

			before := labels(t, disk)

			disk.Record()

			if _, err := blockdev.CreatePartition(disk, 512, state); err != nil {
				t.Fatal(err)
			}

			cuts := 0

			for cut, crashed := range disk.Crashes(1, 10) {
				cuts++

				made, err := blockdev.CreatePartition(crashed, 512, state)
				if err != nil {
					t.Fatalf("%s: %v", cut, err)
				}

				if got := labels(t, crashed); len(got) != len(before)+1 || got["STATE"] == uuid.Nil || got["META"] != before["META"] {
					t.Fatalf("%s: %v", cut, got)
				}

				head := make([]byte, 4)
				if _, err := crashed.ReadAt(head, int64(made.Offset)); err != nil || head[0] != 0 {
					t.Fatalf("%s: the partition begins with %q, %v", cut, head, err)
				}
			}

			t.Logf("%d cuts", cuts)
		})
	}
}

func labels(t *testing.T, disk *crashtest.Disk) map[string]uuid.UUID {
	t.Helper()

	out := map[string]uuid.UUID{}

	table, _, err := gpt.Read(disk, 64*mib, 512)
	if err != nil {
		return out
	}

	for _, p := range table.Partitions {
		out[p.Label] = p.GUID
	}

	return out
}
