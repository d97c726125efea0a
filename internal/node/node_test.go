package node

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	"github.com/basalt-os/basalt/internal/server"
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

func TestReadConfig(t *testing.T) {
	stored := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(stored, []byte("stored"), 0o600); err != nil {
		t.Fatal(err)
	}

	given := base64.StdEncoding.EncodeToString([]byte("given"))

	for _, test := range []struct {
		name, path, userData, want string
		err                        bool
	}{
		{name: "stored wins", path: stored, userData: given, want: "stored"},
		{name: "given by the platform", path: stored + "-missing", userData: given, want: "given"},
		{name: "none", path: stored + "-missing"},
		{name: "not base64", path: stored + "-missing", userData: "%", err: true},
		{name: "unreadable", path: filepath.Dir(stored), err: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := readConfig(test.path, test.userData)
			if string(got) != test.want || (err != nil) != test.err {
				t.Errorf("got %q, %v, want %q", got, err, test.want)
			}
		})
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
