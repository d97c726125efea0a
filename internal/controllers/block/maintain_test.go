package block

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

func TestSwaps(t *testing.T) {
	got := swaps("Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n" +
		"/dev/vda5                               partition\t102396\t\t60\t\t-2\nnonsense\n")

	want := map[string]block.SwapStatus{"/dev/vda5": {
		Device: "/dev/vda5", Type: "partition", SizeBytes: 102396 << 10, SizeHuman: "105 MB", UsedBytes: 61440, UsedHuman: "61 kB", Priority: -2,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// maintained keeps which file systems were looked after.
type maintained struct {
	mu      sync.Mutex
	trimmed map[string]int
}

func (m *maintained) Trim(_ context.Context, mountpoint string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()

	m.trimmed[mountpoint]++

	return 1, nil
}

func (m *maintained) Scrub(context.Context, string) error { return errors.New("bad inode") }

func TestMaintenance(t *testing.T) {
	n := newNode(t)
	n.Add("vda", virtio, 10*gib, nil)
	n.install("vda", 10*gib)

	looked := &maintained{trimmed: map[string]int{}}
	n.maintenance = looked
	n.configure(base + `
---
apiVersion: v1alpha1
kind: FilesystemTrimConfig
interval: 168h
---
apiVersion: v1alpha1
kind: VolumeConfig
name: STATE
trim: {enabled: false}
---
apiVersion: v1alpha1
kind: VolumeConfig
name: EPHEMERAL
trim: {interval: 20ms}
scrub: {interval: 20ms}
---
apiVersion: v1alpha1
kind: ZswapConfig
maxPoolPercent: 25
shrinkerEnabled: false
`)
	n.boots()
	n.mount("EPHEMERAL", "test")
	n.mount("STATE", "test")

	first := wait(n, "EPHEMERAL", exists[block.VolumeTrimSchedule])
	if first.Interval != 20*time.Millisecond || first.Filesystem != block.FilesystemTypeXFS {
		t.Errorf("schedule: %+v", first)
	}

	wait(n, "EPHEMERAL", func(s *block.VolumeTrimSchedule) bool { return s != nil && s.NextTrim.After(first.NextTrim) })

	if got := wait(n, "EPHEMERAL", exists[block.FSScrubStatus]); got.Mountpoint != "/var" || got.Status != "bad inode" {
		t.Errorf("scrub: %+v", got)
	}

	wait(n, "EPHEMERAL", exists[block.FSScrubSchedule])
	wait(n, "STATE", func(s *block.VolumeTrimSchedule) bool { return s == nil })

	looked.mu.Lock()
	if looked.trimmed["/var"] == 0 || looked.trimmed["/system/state"] != 0 {
		t.Errorf("trimmed: %v", looked.trimmed)
	}
	looked.mu.Unlock()

	for name, want := range map[string]string{"enabled": "Y", "max_pool_percent": "25", "shrinker_enabled": "N"} {
		if got := wait(n, "sys.module.zswap.parameters."+name, exists[runtime.KernelParamSpec]); got.Value != want {
			t.Errorf("%s: %+v", name, got)
		}
	}

	n.unmount("EPHEMERAL", "test")
	wait(n, "EPHEMERAL", func(s *block.VolumeTrimSchedule) bool { return s == nil })
}

func TestPlan(t *testing.T) {
	now := time.Unix(1000000, 0)
	p := &plan{now: func() time.Time { return now }, next: map[string]time.Time{}}

	due, next := p.due("a", time.Hour)
	if due || next.Before(now.Add(6*time.Minute)) || next.After(now.Add(time.Hour)) {
		t.Errorf("first: %v, %v", due, next)
	}

	if _, other := p.due("b", time.Hour); other.Equal(next) {
		t.Error("two volumes are due at the same time")
	}

	now = next

	if due, next = p.due("a", time.Hour); !due || !next.Equal(now.Add(time.Hour)) {
		t.Errorf("due: %v, %v", due, next)
	}

	// An interval that became shorter counts at once.
	if _, next = p.due("a", time.Minute); next.After(now.Add(time.Minute)) {
		t.Errorf("shorter: %v", next)
	}
}

func TestZswapStatus(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"pool_total_size": "4096\n", "stored_pages": "7\n", "written_back_pages": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	want := block.ZswapStatus{TotalSizeBytes: 4096, TotalSizeHuman: "4.1 kB", StoredPages: 7}
	if diff := cmp.Diff(want, zswapStatus(dir)); diff != "" {
		t.Error(diff)
	}
}
