package node

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

func TestContainerdConfigIsTOML(t *testing.T) {
	text, err := renderContainerd(containerdSettings{
		Root: `/with "quotes"`, State: "/run/containerd", Socket: containerdSocket,
		HostsDir: registryHostsDir, PauseImage: pauseImage, RestrictOOMScore: true,
	})
	if err != nil {
		t.Fatal(err)
	}

	var config struct {
		Root    string
		Plugins map[string]map[string]any
	}
	if err := toml.Unmarshal(text, &config); err != nil {
		t.Fatalf("%v in:\n%s", err, text)
	}

	if want := `/with "quotes"`; config.Root != want {
		t.Errorf("root is %q, want %q", config.Root, want)
	}

	if got := config.Plugins["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"]; got != true {
		t.Errorf("restrict_oom_score_adj is %v", got)
	}
}

func TestDetectPlatform(t *testing.T) {
	for name, test := range map[string]struct {
		environment, commandLine string
		name                     string
		mode                     machineconfig.Mode
	}{
		"a container on a machine of the same kind": {"container", "talos.platform=metal", "container", machineconfig.Container},
		"metal":               {"", "console=ttyS0 talos.platform=metal", "metal", machineconfig.Metal},
		"a cloud":             {"", "talos.platform=hcloud", "hcloud", machineconfig.Cloud},
		"the last one counts": {"", "talos.platform=metal talos.platform=aws", "aws", machineconfig.Cloud},
		"nothing is said":     {"", "quiet", "metal", machineconfig.Metal},
	} {
		if got := detectPlatform(test.environment, test.commandLine); got.name != test.name || got.mode != test.mode {
			t.Errorf("%s: %s, %s", name, got.name, got.mode)
		}
	}
}

func TestStateFolder(t *testing.T) {
	s := newStateFolder()

	var done []string

	do := func(what string) {
		t.Helper()

		if err := s.whenThere(func() error {
			done = append(done, what)

			return nil
		}); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}

	do("first")
	s.absent()

	if there, err := s.wait(t.Context()); there || err != nil {
		t.Errorf("before it arrives: %t, %v", there, err)
	}

	if err := s.arrive(); err != nil {
		t.Fatal(err)
	}

	do("second")
	s.leave()
	do("never")

	if diff := cmp.Diff([]string{"first", "second"}, done); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
}

func TestLineWriter(t *testing.T) {
	var lines []string

	w := &lineWriter{tell: func(line string) { lines = append(lines, line) }}
	for _, text := range []string{"one\ntw", "o\r\n\n", strings.Repeat("x", maxLine+1), "y\nlast"} {
		if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("wrote %d, %v", n, err)
		}
	}

	w.flush()

	want := []string{"one", "two", "", strings.Repeat("x", maxLine), "xy", "last"}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s", diff)
	}
}

func TestUnmetConditions(t *testing.T) {
	healthy := resource.New("apid", v1alpha1.Service{Running: true, Healthy: true})
	ready := resource.New("node", k8s.NodeStatus{NodeReady: true})
	pod := func(status string) *resource.Resource[k8s.StaticPodStatus] {
		return resource.New("kube-system/kube-apiserver", k8s.StaticPodStatus{PodStatus: map[string]any{
			"conditions": []any{map[string]any{"type": "Ready", "status": status}},
		}})
	}

	type (
		services = []*resource.Resource[v1alpha1.Service]
		pods     = []*resource.Resource[k8s.StaticPodStatus]
		nodes    = []*resource.Resource[k8s.NodeStatus]
	)

	for _, test := range []struct {
		name     string
		stage    runtime.MachineStage
		services services
		pods     pods
		nodes    nodes
		kubelet  bool
		want     []string // names
	}{
		{"ready", runtime.MachineStageRunning, services{healthy}, pods{pod("True")}, nodes{ready}, true, nil},
		{"shutting down", runtime.MachineStageShuttingDown, nil, nil, nil, false, []string{"stage"}},
		{
			"services", runtime.MachineStageRunning,
			services{
				resource.New("a", v1alpha1.Service{}),
				resource.New("b", v1alpha1.Service{Running: true, Unknown: true}),
				resource.New("c", v1alpha1.Service{Running: true}),
			}, nil, nil, false, []string{"services", "services", "services"},
		},
		{"node", runtime.MachineStageRunning, nil, nil, nil, true, []string{"nodeReady"}},
		{"pod", runtime.MachineStageRunning, nil, pods{pod("False")}, nil, false, []string{"staticPods"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, c := range unmetConditions(test.stage, test.services, test.pods, test.nodes, test.kubelet) {
				got = append(got, c.Name)
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWipedFolders(t *testing.T) {
	for _, test := range []struct {
		name    string
		options server.ResetOptions
		want    []string
		err     error
	}{
		{"everything", server.ResetOptions{WipeSystemDisk: true}, []string{"/system/state", "/var"}, nil},
		{
			"one partition", server.ResetOptions{Partitions: []server.ResetPartition{{Label: "EPHEMERAL", Wipe: true}}},
			[]string{"/var"}, nil,
		},
		{
			"no such partition", server.ResetOptions{Partitions: []server.ResetPartition{{Label: "META"}}},
			nil, server.ErrUnsupported,
		},
		{"user disks", server.ResetOptions{UserDisksToWipe: []string{"/dev/sda"}}, nil, server.ErrUnsupported},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := wipedFolders(test.options)
			if diff := cmp.Diff(test.want, got); diff != "" || !errors.Is(err, test.err) {
				t.Errorf("error %v, folders (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestErasures(t *testing.T) {
	t.Parallel()

	var found []*resource.Resource[block.DiscoveredVolume]

	for _, p := range []struct{ name, parent, label string }{
		{"vda", "", ""}, {"vda1", "vda", "EFI"}, {"vda2", "vda", "META"}, {"vda3", "vda", "STATE"}, {"vda4", "vda", "EPHEMERAL"},
		{"vda5", "vda", "u-data"}, {"vdb", "", ""}, {"vdb1", "vdb", "STATE"},
	} {
		found = append(found, resource.New(p.name, block.DiscoveredVolume{Parent: p.parent, PartitionLabel: p.label}))
	}

	label := func(names ...string) (options server.ResetOptions) {
		for _, name := range names {
			options.Partitions = append(options.Partitions, server.ResetPartition{Label: name, Wipe: true})
		}

		return options
	}

	for _, test := range []struct {
		name    string
		options server.ResetOptions
		system  string
		want    []string
		err     error
	}{
		{"everything", server.ResetOptions{WipeSystemDisk: true}, "vda", []string{"vda2 zeroes", "vda3 zeroes", "vda"}, nil},
		{"everything, and a disk", server.ResetOptions{WipeSystemDisk: true, UserDisksToWipe: []string{"/dev/vdb"}}, "vda",
			[]string{"vda2 zeroes", "vda3 zeroes", "vda", "vdb"}, nil},
		{"two partitions", label("EPHEMERAL", "STATE"), "vda", []string{"vda4", "vda3 zeroes"}, nil},
		{"a user's volume", label("u-data"), "vda", []string{"vda5"}, nil},
		{"only user disks", server.ResetOptions{UserDisksToWipe: []string{"vdb"}}, "vda", []string{"vdb"}, nil},
		{"nothing", server.ResetOptions{}, "vda", nil, nil},
		{"the boot loader's", label("EFI"), "vda", nil, server.ErrInvalid},
		{"unknown", label("STATES"), "vda", nil, server.ErrInvalid},
		{"the system's as a user's", server.ResetOptions{UserDisksToWipe: []string{"/dev/vda"}}, "vda", nil, server.ErrInvalid},
		{"a partition as a disk", server.ResetOptions{UserDisksToWipe: []string{"/dev/vdb1"}}, "vda", nil, server.ErrInvalid},
		{"no disk", server.ResetOptions{UserDisksToWipe: []string{"/dev/vdz"}}, "vda", nil, server.ErrInvalid},
		{"not installed", server.ResetOptions{WipeSystemDisk: true}, "", nil, server.ErrPrecondition},
		{"not installed, by label", label("STATE"), "", nil, server.ErrPrecondition},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			erasures, err := erasuresOf(test.options, []string{"vda", "vdb"}, test.system, found)
			if !errors.Is(err, test.err) {
				t.Fatalf("got %v, want %v", err, test.err)
			}

			var got []string

			for _, e := range erasures {
				if e.how.Zeroes {
					e.device += " zeroes"
				}

				got = append(got, e.device)
			}

			if diff := cmp.Diff(test.want, got); err == nil && diff != "" {
				t.Error(diff)
			}
		})
	}
}
