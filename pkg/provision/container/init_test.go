package container

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/moby/sys/mountinfo"
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
