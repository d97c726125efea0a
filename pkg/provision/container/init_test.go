package container

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"

	"github.com/basalt-os/basalt/pkg/provision"
)

func TestCgroupMounts(t *testing.T) {
	for name, test := range map[string]struct {
		host []*mountinfo.Info
		want []mount
	}{
		"unified": {
			[]*mountinfo.Info{{Mountpoint: "/sys/fs/cgroup", FSType: "cgroup2", VFSOptions: "rw,nsdelegate"}},
			[]mount{{"cgroup2", "/sys/fs/cgroup", "cgroup2", noPrograms, ""}},
		},
		"hybrid": {
			[]*mountinfo.Info{
				{Mountpoint: "/sys/fs/cgroup", FSType: "tmpfs", VFSOptions: "rw,mode=755"},
				{Mountpoint: "/sys/fs/cgroup/cpu,cpuacct", FSType: "cgroup", VFSOptions: "rw,cpu,cpuacct"},
				{Mountpoint: "/sys/fs/cgroup/systemd", FSType: "cgroup", VFSOptions: "rw,xattr,release_agent=/x,name=systemd"},
				{Mountpoint: "/sys/fs/cgroup/unified", FSType: "cgroup2", VFSOptions: "rw"},
				{Mountpoint: "/sys/fs/cgroups-elsewhere", FSType: "cgroup", VFSOptions: "rw,memory"},
			},
			[]mount{
				{"tmpfs", "/sys/fs/cgroup", "tmpfs", noPrograms, "mode=0755"},
				{"cgroup", "/sys/fs/cgroup/cpu,cpuacct", "cgroup", noPrograms, "cpu,cpuacct"},
				{"cgroup", "/sys/fs/cgroup/systemd", "cgroup", noPrograms, "none,name=systemd"},
				{"cgroup2", "/sys/fs/cgroup/unified", "cgroup2", noPrograms, ""},
			},
		},
	} {
		if diff := cmp.Diff(test.want, cgroupMounts(test.host), cmp.AllowUnexported(mount{})); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestLinkNamesFitAndDiffer(t *testing.T) {
	const limit = 15 // bytes of a link name

	seen := map[string]string{}

	for _, node := range []string{"basalt-worker-1", "basalt-worker-2", "basalt-worker-11", "a-very-long-name-of-a-cluster-worker-1"} {
		name := vethName(node)
		if len(name) > limit {
			t.Errorf("link %q of %s is too long", name, node)
		}

		if other, ok := seen[name]; ok {
			t.Errorf("%s and %s share link %s", node, other, name)
		}

		seen[name] = node
	}
}

func TestOneHostAtATime(t *testing.T) {
	folder := provision.Folder(t.TempDir())

	first, err := lockHost(folder)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := lockHost(folder); !errors.Is(err, errHostRuns) {
		t.Errorf("a second host process gets %v", err)
	}

	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second, err := lockHost(folder)
	if err != nil {
		t.Fatalf("after the first has ended: %v", err)
	}

	if err := second.Close(); err != nil {
		t.Fatal(err)
	}

	if lock, err := lockHost(provision.Folder(t.TempDir() + "/missing")); lock != nil || err != nil {
		t.Errorf("without a folder: %v, %v", lock, err)
	}
}
