package kubelet_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

func TestBuildArguments(t *testing.T) {
	t.Parallel()

	node := kubelet.Node{Name: "worker-1", IPs: []netip.Addr{netip.MustParseAddr("10.5.0.3"), netip.MustParseAddr("fd00::3")}}
	common := []string{"--cert-dir=/var/lib/kubelet/pki", "--config=/etc/kubernetes/kubelet.yaml"}
	api := []string{"--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubeconfig"}

	for _, test := range []struct {
		name   string
		config k8s.KubeletConfig
		want   []string
		err    string
	}{
		{
			name: "registered node",
			want: append(append(api, common...), "--hostname-override=worker-1",
				"--kubeconfig=/etc/kubernetes/kubeconfig-kubelet", "--node-ip=10.5.0.3,fd00::3"),
		},
		{
			name:   "unregistered node",
			config: k8s.KubeletConfig{SkipNodeRegistration: true},
			want:   append(append([]string{}, common...), "--hostname-override=worker-1", "--node-ip=10.5.0.3,fd00::3"),
		},
		{
			name:   "extra argument",
			config: k8s.KubeletConfig{SkipNodeRegistration: true, ExtraArgs: map[string]k8s.ArgValues{"v": {Values: []string{"4"}}}},
			want:   append(append([]string{}, common...), "--hostname-override=worker-1", "--node-ip=10.5.0.3,fd00::3", "--v=4"),
		},
		{
			name:   "argument of the system",
			config: k8s.KubeletConfig{ExtraArgs: map[string]k8s.ArgValues{"config": {Values: []string{"/tmp/x"}}}},
			err:    "merging kubelet arguments: extra arguments --config cannot be set: the system sets them",
		},
		{
			name:   "configuration of the system",
			config: k8s.KubeletConfig{ExtraConfig: map[string]any{"port": 1, "authorization": nil}},
			err:    "kubelet configuration fields authorization, port cannot be set: the system sets them",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			got, _, err := kubelet.Build(test.config, node, kubelet.Host{})
			if err != nil || test.err != "" {
				if err == nil || err.Error() != test.err {
					t.Fatalf("error = %v, want %q", err, test.err)
				}

				return
			}

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBuildConfiguration(t *testing.T) {
	t.Parallel()

	config := k8s.KubeletConfig{
		ClusterDNS:         []string{"10.96.0.10"},
		ClusterDomain:      "cluster.local",
		RegisterWithTaints: map[string]string{"node-role.kubernetes.io/control-plane": "NoSchedule", "a": "b:NoExecute"},
		ExtraConfig:        map[string]any{"maxPods": 250, "logging": map[string]any{"verbosity": 3}},
	}

	for _, test := range []struct {
		name string
		host kubelet.Host
		want map[string]any
	}{
		{
			"container on cgroup v1", kubelet.Host{Container: true, CgroupV1: true, ControlPlane: true},
			map[string]any{
				"failCgroupV1": false, "protectKernelDefaults": false, "systemCgroups": nil, "imageGCHighThresholdPercent": int64(100),
			},
		},
		{
			"machine on cgroup v2", kubelet.Host{},
			map[string]any{
				"failCgroupV1": nil, "protectKernelDefaults": true, "systemCgroups": "/system", "imageGCHighThresholdPercent": nil,
			},
		},
	} {
		_, file, err := kubelet.Build(config, kubelet.Node{Name: "n"}, test.host)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}

		test.want["maxPods"] = 250
		test.want["logging"] = map[string]any{"format": "json", "verbosity": 3}
		test.want["clusterDNS"] = []any{"10.96.0.10"}
		test.want["staticPodPath"] = kubelet.ManifestsDir
		test.want["registerWithTaints"] = []any{
			map[string]any{"key": "a", "value": "b", "effect": "NoExecute"},
			map[string]any{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"},
		}

		got := map[string]any{}
		for key := range test.want {
			got[key] = file[key]
		}

		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: configuration (-want +got):\n%s", test.name, diff)
		}
	}
}
