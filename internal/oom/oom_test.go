package oom_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/oom"
)

const text = `some avg10=1.50 avg60=0.50 avg300=0.10 total=2000000
full avg10=0.50 avg60=0.25 avg300=0.00 total=1000000
`

func TestParsePressure(t *testing.T) {
	t.Parallel()

	got, err := oom.ParsePressure(text)
	want := oom.Pressure{
		Some: oom.Stall{Avg10: 1.5, Avg60: 0.5, Avg300: 0.1, Total: 2e6}, Full: oom.Stall{Avg10: 0.5, Avg60: 0.25, Total: 1e6},
	}

	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("pressure (-want +got):\n%s%v", diff, err)
	}

	for _, bad := range []string{"none avg10=1", "some avg10", "some avg10=x", "some avg10=-1"} {
		if _, err := oom.ParsePressure(bad); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
}

func FuzzParsePressure(f *testing.F) {
	f.Add(text)
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := oom.ParsePressure(text); err == nil && p.Some.Avg10 < 0 {
			t.Errorf("%q is below zero", text)
		}
	})
}

func full(avg10, total float64) oom.Pressure {
	return oom.Pressure{Full: oom.Stall{Avg10: avg10, Total: total}}
}

func TestTriggered(t *testing.T) {
	t.Parallel()

	start := time.Unix(1000, 0)
	sample := func(after time.Duration, p oom.Pressure, classes map[oom.Class]oom.Pressure) oom.Sample {
		return oom.Sample{Time: start.Add(after), Machine: p, Classes: classes}
	}

	for _, test := range []struct {
		about, expression string
		before, now       oom.Sample
		last              time.Time
		want              bool
	}{
		{about: "calm", now: sample(time.Second, full(0, 0), nil)},
		{about: "high and rising", before: sample(0, full(10, 0), nil), now: sample(time.Second, full(20, 0), nil), want: true},
		{about: "high and falling", before: sample(0, full(30, 0), nil), now: sample(time.Second, full(20, 0), nil)},
		{
			about: "something ended just now", before: sample(0, full(10, 0), nil), now: sample(time.Second, full(20, 0), nil),
			last: start.Add(900 * time.Millisecond),
		},
		{
			about: "by class", expression: `multiply_qos_vectors(d_qos_memory_full_total, {System: 8.0, Podruntime: 4.0}) > 3000.0`,
			before: sample(0, oom.Pressure{}, map[oom.Class]oom.Pressure{oom.System: full(0, 1000)}),
			now:    sample(2*time.Second, oom.Pressure{}, map[oom.Class]oom.Pressure{oom.System: full(0, 2000), oom.Besteffort: full(0, 1e9)}),
			want:   true,
		},
		{about: "a map by hand", expression: `qos_memory_full_avg10[Burstable] > 1.0`, now: sample(0, full(0, 0), map[oom.Class]oom.Pressure{oom.Burstable: full(2, 0)}), want: true},
	} {
		policy, err := oom.NewPolicy(test.expression, "", false)
		if err != nil {
			t.Fatal(err)
		}

		if got, err := policy.Triggered(test.before, test.now, test.last); got != test.want || err != nil {
			t.Errorf("%s: %v, %v", test.about, got, err)
		}
	}
}

func bytes(n uint64) *uint64 { return &n }

func TestChoose(t *testing.T) {
	t.Parallel()

	groups := []oom.Group{
		{Path: "kubepods/besteffort/pod1/a", Current: bytes(100)},
		{Path: "kubepods/burstable/pod2/b", Current: bytes(1000)},
		{Path: "kubepods/burstable/pod3/c", Current: bytes(5000), Max: bytes(6000)},
		{Path: "kubepods/pod4/d", Current: bytes(9000)},
		{Path: "podruntime/kubelet", Current: bytes(9000)},
		{Path: "system/apid", Current: bytes(9000)},
	}

	for _, test := range []struct {
		about, ranking string
		strict         bool
		groups         []oom.Group
		want           string
		score          float64
	}{
		{about: "the largest that may end and has no limit", groups: groups, want: "kubepods/burstable/pod2/b", score: 500},
		{about: "lesser classes first", strict: true, groups: groups, want: "kubepods/besteffort/pod1/a", score: 100},
		{about: "nobody may end", groups: groups[3:]},
		{about: "none"},
		{about: "by path", ranking: `path.startsWith("system/") ? 1.0 : 0.0`, groups: groups, want: "system/apid", score: 1},
	} {
		policy, err := oom.NewPolicy("", test.ranking, test.strict)
		if err != nil {
			t.Fatal(err)
		}

		got, score, ok, err := policy.Choose(test.groups)
		if got.Path != test.want || score != test.score || ok != (test.want != "") || err != nil {
			t.Errorf("%s: %q, %v, %v, %v", test.about, got.Path, score, ok, err)
		}
	}
}

func TestBadExpressions(t *testing.T) {
	t.Parallel()

	for _, test := range []struct{ trigger, ranking string }{
		{trigger: "1.0"}, {trigger: "unknown > 1"}, {trigger: "("}, {ranking: "true"}, {ranking: "memory_current"},
	} {
		if _, err := oom.NewPolicy(test.trigger, test.ranking, false); err == nil {
			t.Errorf("%+v is no error", test)
		}
	}
}

func TestMachine(t *testing.T) {
	t.Parallel()

	root := t.TempDir()
	m := oom.Machine{Proc: filepath.Join(root, "proc"), Cgroup: filepath.Join(root, "cgroup")}

	if sample, err := m.Sample(time.Unix(1, 0)); err != nil || !sample.Calm() {
		t.Errorf("a kernel that does not measure: %+v, %v", sample, err)
	}

	for file, content := range map[string]string{
		"proc/pressure/memory":                             text,
		"proc/7/comm":                                      "hungry\n",
		"cgroup/cgroup.procs":                              "2\n", // the kernel's own
		"cgroup/init/cgroup.procs":                         "1\n",
		"cgroup/system/memory.pressure":                    text,
		"cgroup/kubepods/cgroup.procs":                     "",
		"cgroup/kubepods/besteffort/pod1/a/cgroup.procs":   "7\n8\n",
		"cgroup/kubepods/besteffort/pod1/a/memory.current": "4096\n",
		"cgroup/kubepods/besteffort/pod1/a/memory.max":     "max\n",
		"cgroup/kubepods/besteffort/pod1/a/cgroup.kill":    "",
	} {
		name := filepath.Join(root, file)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}

	sample, err := m.Sample(time.Unix(1, 0))
	if err != nil || sample.Calm() || sample.Machine.Some.Avg10 != 1.5 || sample.Classes[oom.System].Full.Avg10 != 0.5 {
		t.Errorf("sample: %+v, %v", sample, err)
	}

	groups, err := m.Groups()
	want := []oom.Group{{Path: "kubepods/besteffort/pod1/a", Current: bytes(4096)}}

	if diff := cmp.Diff(want, groups); diff != "" || err != nil {
		t.Fatalf("groups (-want +got):\n%s%v", diff, err)
	}

	processes, err := m.Kill(groups[0])
	if diff := cmp.Diff([]string{"hungry (7)"}, processes); diff != "" || err != nil {
		t.Errorf("processes (-want +got):\n%s%v", diff, err)
	}

	killed, err := os.ReadFile(filepath.Join(m.Cgroup, groups[0].Path, "cgroup.kill"))
	if strings.TrimSpace(string(killed)) != "1" || err != nil {
		t.Errorf("killed: %q, %v", killed, err)
	}
}

func TestClassOf(t *testing.T) {
	t.Parallel()

	for path, want := range map[string]oom.Class{
		"/kubepods/besteffort/podx": oom.Besteffort, "kubepods/burstable": oom.Burstable, "kubepods/podx/y": oom.Guaranteed,
		"podruntime/etcd": oom.Podruntime, "system/apid": oom.System, "init": oom.System, "": oom.System,
	} {
		if got := oom.ClassOf(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}
