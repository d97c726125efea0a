package containers

import (
	"context"
	"errors"
	"testing"
	"time"

	cgroup1 "github.com/containerd/cgroups/v3/cgroup1/stats"
	cgroup2 "github.com/containerd/cgroups/v3/cgroup2/stats"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/errdefs"
	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/service/container"
)

func TestNameOf(t *testing.T) {
	labels := map[string]string{
		labelPodName: "dns", labelPodNamespace: "kube-system", labelPodUID: "u", labelContainerName: "coredns", labelKind: "container",
	}
	sandbox := map[string]string{labelPodName: "dns", labelPodNamespace: "kube-system", labelPodUID: "u", labelKind: kindSandbox}
	for _, test := range []struct {
		name string
		info containers.Container
		pods bool
		want server.Container
	}{
		{"plain", containers.Container{ID: "etcd"}, false, server.Container{ID: "etcd", InternalID: "etcd", PodID: "etcd", Name: "etcd"}},
		{"pod's container", containers.Container{ID: "0123456789abcdef", Labels: labels}, true, server.Container{
			ID: "kube-system/dns:coredns:0123456789ab", InternalID: "0123456789abcdef", UID: "u", PodID: "kube-system/dns", Name: "coredns",
		}},
		{"sandbox", containers.Container{ID: "0123", Labels: sandbox}, true, server.Container{
			ID: "kube-system/dns", InternalID: "0123", UID: "u", PodID: "kube-system/dns", Name: "dns",
		}},
		{"short id", containers.Container{ID: "0123", Labels: labels}, true, server.Container{
			ID: "kube-system/dns:coredns:0123", InternalID: "0123", UID: "u", PodID: "kube-system/dns", Name: "coredns",
		}},
		{"not of a pod", containers.Container{ID: "x"}, true, server.Container{ID: "x", InternalID: "x", PodID: "x", Name: "x"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, nameOf(test.info, test.pods)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNewest(t *testing.T) {
	labels := map[string]string{
		labelPodName: "proxy", labelPodNamespace: "kube-system", labelContainerName: "kube-proxy", labelKind: "container",
	}
	start := time.Unix(1000, 0)
	infos := []containers.Container{
		{ID: "ended", Labels: labels, CreatedAt: start},
		{ID: "runs", Labels: labels, CreatedAt: start.Add(time.Minute)},
		{ID: "older", Labels: labels, CreatedAt: start.Add(-time.Minute)},
	}

	for _, test := range []struct {
		id   string
		want int
	}{
		{"kube-system/proxy:kube-proxy", 1},
		{"kube-system/proxy:kube-proxy:ended", 0},
		{"older", 2},
		{"nothing", -1},
	} {
		if got := newest(infos, test.id, true); got != test.want {
			t.Errorf("%s: got container %d, want %d", test.id, got, test.want)
		}
	}
}

func TestStatusText(t *testing.T) {
	for _, test := range []struct {
		status        containerd.ProcessStatus
		pods, sandbox bool
		want          string
	}{
		{containerd.Running, false, false, "RUNNING"},
		{containerd.Running, true, false, "CONTAINER_RUNNING"},
		{containerd.Created, true, false, "CONTAINER_CREATED"},
		{containerd.Stopped, true, false, "CONTAINER_EXITED"},
		{containerd.Unknown, true, false, "CONTAINER_UNKNOWN"},
		{containerd.Running, true, true, "SANDBOX_READY"},
		{containerd.Stopped, true, true, "SANDBOX_NOTREADY"},
	} {
		if got := statusText(test.status, test.pods, test.sandbox); got != test.want {
			t.Errorf("got %q for %+v", got, test)
		}
	}
}

func TestNetworkNamespace(t *testing.T) {
	spec := func(namespaces ...specs.LinuxNamespace) *specs.Spec {
		return &specs.Spec{Linux: &specs.Linux{Namespaces: namespaces}}
	}
	for name, test := range map[string]struct {
		spec *specs.Spec
		want string
	}{
		"pod":       {spec(specs.LinuxNamespace{Type: specs.PIDNamespace, Path: "/proc/1"}, specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: "/var/run/netns/cni-1"}), "cni-1"},
		"host":      {spec(), ""},
		"nameless":  {spec(specs.LinuxNamespace{Type: specs.NetworkNamespace}), ""},
		"not linux": {&specs.Spec{}, ""},
	} {
		if got := networkNamespace(test.spec); got != test.want {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestUse(t *testing.T) {
	for name, metrics := range map[string]any{
		"version 1": &cgroup1.Metrics{
			Memory: &cgroup1.MemoryStat{Usage: &cgroup1.MemoryEntry{Usage: 10}, TotalInactiveFile: 3},
			CPU:    &cgroup1.CPUStat{Usage: &cgroup1.CPUUsage{Total: 2000}},
		},
		"version 2": &cgroup2.Metrics{
			Memory: &cgroup2.MemoryStat{Usage: 10, InactiveFile: 3},
			CPU:    &cgroup2.CPUStat{UsageUsec: 2},
		},
	} {
		memory, cpu, err := use(metrics)
		if memory != 7 || cpu != 2*time.Microsecond || err != nil {
			t.Errorf("%s: got %d bytes, %v, %v", name, memory, cpu, err)
		}
	}
	if memory, _, err := use(&cgroup2.Metrics{Memory: &cgroup2.MemoryStat{Usage: 1, InactiveFile: 3}}); memory != 0 || err != nil {
		t.Errorf("got %d bytes, %v; want none", memory, err)
	}
	if _, _, err := use("numbers"); err == nil {
		t.Error("unknown metrics were accepted")
	}
}

func TestVerify(t *testing.T) {
	const rules = "apiVersion: v1alpha1\nkind: ImageVerificationConfig\nrules:\n    - image: registry.example/bad/*\n      deny: true\n"
	for _, test := range []struct {
		config, reference string
		verified          bool
		err               error
	}{
		{"", "alpine", true, nil},
		{"", "not a reference", false, server.ErrInvalid},
		{"version: v1alpha1\n", "alpine", true, nil},
		{"apiVersion: v1alpha1\nkind: ImageVerificationConfig\n", "alpine", true, nil},
		{rules, "alpine", false, errors.ErrUnsupported},
		{rules, "registry.example/bad/image:1", false, errors.ErrUnsupported},
		{rules, "not a reference", false, server.ErrInvalid},
	} {
		store := resource.NewStore()
		if test.config != "" {
			active := resource.New(config.ActiveID, config.MachineConfig{Text: test.config})
			if err := store.Create(t.Context(), active, ""); err != nil {
				t.Fatal(err)
			}
		}
		got, err := NewImages(nil, container.Puller{}, store).Verify(t.Context(), test.reference, nil)
		if got.Verified != test.verified || !errors.Is(err, test.err) {
			t.Errorf("%s with %q: got %+v, %v", test.reference, test.config, got, err)
		}
	}
}

// halfStored is a content store that has some blobs.
type halfStored struct {
	content.Store
	have map[digest.Digest]bool
}

func (h *halfStored) Info(_ context.Context, digest digest.Digest) (content.Info, error) {
	if h.have[digest] {
		return content.Info{Digest: digest}, nil
	}
	return content.Info{}, errdefs.ErrNotFound
}

func TestPullProgress(t *testing.T) {
	blob := func(text string) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: ocispec.MediaTypeImageLayerGzip, Digest: digest.FromString(text), Size: 100}
	}
	old, fresh := blob("old"), blob("fresh")
	store := &halfStored{have: map[digest.Digest]bool{old.Digest: true}}
	layers := &layers{store: store, started: time.Now()}
	for _, descriptor := range []ocispec.Descriptor{old, fresh, {MediaType: ocispec.MediaTypeImageConfig, Digest: digest.FromString("config")}} {
		if _, err := layers.handler().(images.HandlerFunc)(t.Context(), descriptor); err != nil {
			t.Fatal(err)
		}
	}
	var told []server.LayerProgress
	tell := func(progress server.LayerProgress) {
		progress.Elapsed = 0
		told = append(told, progress)
	}
	key := "layer-" + fresh.Digest.String()
	layers.look(t.Context(), map[string]int64{key: 40}, tell)
	layers.look(t.Context(), map[string]int64{key: 40}, tell) // nothing new
	store.have[fresh.Digest] = true
	layers.look(t.Context(), nil, tell)
	layers.look(t.Context(), nil, tell)
	layers.finish(tell)
	want := []server.LayerProgress{
		{Layer: old.Digest.String(), Status: server.LayerExists, Offset: 100, Total: 100},
		{Layer: fresh.Digest.String(), Status: server.LayerDownloading, Offset: 40, Total: 100},
		{Layer: fresh.Digest.String(), Status: server.LayerDownloaded, Offset: 100, Total: 100},
		{Layer: fresh.Digest.String(), Status: server.LayerExtracting, Offset: 100, Total: 100},
		{Layer: fresh.Digest.String(), Status: server.LayerExtracted, Offset: 100, Total: 100},
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
