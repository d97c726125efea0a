package cgroup_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/cgroup"
)

const hybrid = `25 1 0:22 / / rw - overlay overlay rw
30 25 0:25 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
32 30 0:27 / /sys/fs/cgroup/cpuset rw,relatime shared:3 - cgroup cgroup rw,cpuset,clone_children
33 30 0:28 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
34 30 0:29 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
35 25 0:30 / /mnt/with\040space rw - cgroup cgroup rw,pids
`

func TestParseMounts(t *testing.T) {
	got, err := cgroup.ParseMounts(strings.NewReader(hybrid), cgroup.Mountpoint)
	if err != nil {
		t.Fatal(err)
	}

	want := []cgroup.Hierarchy{
		{Path: "/sys/fs/cgroup/cpu", Controllers: []string{"cpu", "cpuacct"}},
		{Path: "/sys/fs/cgroup/cpuset", Controllers: []string{"cpuset"}},
		{Path: "/sys/fs/cgroup/systemd"},
		{Path: "/sys/fs/cgroup/unified"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hierarchies (-want +got):\n%s", diff)
	}

	got, err = cgroup.ParseMounts(strings.NewReader(hybrid), "/mnt/with space")
	if err != nil || len(got) != 1 || got[0].Path != "/mnt/with space" {
		t.Errorf("got %v, %v, want the mount with a space", got, err)
	}
}

func TestParseMountsErrors(t *testing.T) {
	for _, text := range []string{"nonsense\n", "1 2 3 / /x - cgroup cgroup rw\n", "1 2 0:1 / /x rw - \n"} {
		if _, err := cgroup.ParseMounts(strings.NewReader(text), "/"); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestParseKeyed(t *testing.T) {
	got, err := cgroup.ParseKeyed([]byte("anon 12\n\nlimit max\n"))
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(map[string]uint64{"anon": 12, "limit": 1<<64 - 1}, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}

	for _, text := range []string{"a\n", "a b\n", "a 1 2\n", "a -1\n"} {
		if _, err := cgroup.ParseKeyed([]byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestParsePIDs(t *testing.T) {
	got, err := cgroup.ParsePIDs([]byte("1\n20\n"))
	if err != nil || !slices.Equal(got, []int{1, 20}) {
		t.Errorf("got %v, %v", got, err)
	}

	if _, err := cgroup.ParsePIDs([]byte("99999999999\n")); err == nil {
		t.Error("a number that is too large is accepted")
	}
}

func TestCreateRejectsEscape(t *testing.T) {
	tree := open(t)

	for _, group := range []string{"", "/x", "../x", "a/../../x"} {
		if err := tree.Create(group, cgroup.Limits{}); err == nil {
			t.Errorf("group %q is created", group)
		}
	}

	for _, group := range []string{"", ".", "..", "a/.."} {
		if err := tree.Delete(group); err == nil {
			t.Errorf("group %q is deleted", group)
		}
	}
}

// TestLifecycle runs against the control groups of the machine.
func TestLifecycle(t *testing.T) {
	tree := open(t)
	parent := "basalt-test-" + filepath.Base(t.TempDir())
	group := parent + "/inner"

	if err := tree.Create(group, cgroup.Limits{MemoryMax: 64 << 20, CPUWeight: 50, PidsMax: 10}); err != nil {
		t.Skipf("control groups are not writable here: %v", err)
	}

	t.Cleanup(func() {
		if err := tree.Delete(parent); err != nil {
			t.Error(err)
		}
	})

	child := exec.Command("cat")

	input, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}

	if err := child.Start(); err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		input.Close()

		if err := child.Wait(); err != nil {
			t.Error(err)
		}
	})

	if err := tree.Add(group, child.Process.Pid); err != nil {
		t.Fatal(err)
	}

	pids, err := tree.Processes(group)
	if err != nil || !slices.Equal(pids, []int{child.Process.Pid}) {
		t.Errorf("processes are %v, %v, want %d", pids, err, child.Process.Pid)
	}

	stats, err := tree.Stats(group)
	if err != nil {
		t.Fatal(err)
	}

	if stats.Pids != 1 {
		t.Errorf("stats count %d processes, want 1", stats.Pids)
	}

	for _, frozen := range []bool{true, false} {
		if err := tree.Freeze(group, frozen); err != nil {
			t.Error(err)
		}
	}

	if err := tree.Delete(group); err == nil {
		t.Error("a group with a process is deleted")
	}
}

func TestDeleteMissing(t *testing.T) {
	if err := open(t).Delete("basalt-test-missing"); err != nil {
		t.Error(err)
	}
}

func open(t *testing.T) *cgroup.Tree {
	t.Helper()

	if _, err := os.Stat(cgroup.Mountpoint); err != nil {
		t.Skipf("control groups are not mounted here: %v", err)
	}

	tree, err := cgroup.Open(cgroup.Mountpoint)
	if err != nil {
		t.Skipf("control groups cannot be read here: %v", err)
	}

	return tree
}

func FuzzParseMounts(f *testing.F) {
	f.Add(hybrid)
	f.Fuzz(func(t *testing.T, text string) {
		hierarchies, err := cgroup.ParseMounts(strings.NewReader(text), cgroup.Mountpoint)
		if err != nil {
			return
		}

		for _, h := range hierarchies {
			if below, err := filepath.Rel(cgroup.Mountpoint, h.Path); err != nil || !filepath.IsLocal(below) {
				t.Errorf("path %q is not below the root", h.Path)
			}
		}
	})
}

func FuzzParseKeyed(f *testing.F) {
	f.Add([]byte("anon 12\nlimit max\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		values, err := cgroup.ParseKeyed(data)
		if err != nil {
			return
		}

		for key := range values {
			if key == "" || strings.ContainsAny(key, " \n") {
				t.Errorf("key %q has white space", key)
			}
		}
	})
}

func FuzzParsePIDs(f *testing.F) {
	f.Add([]byte("1\n2\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pids, err := cgroup.ParsePIDs(data)
		if err != nil {
			return
		}

		for _, pid := range pids {
			if pid < 0 {
				t.Errorf("process number %d is negative", pid)
			}
		}
	})
}
