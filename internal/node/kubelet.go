package node

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/oci"
	specs "github.com/opencontainers/runtime-spec/specs-go"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/container"
)

const kubeletHealth = "http://127.0.0.1:10248/healthz"

// kubeletService is the kubelet.
func (n *Node) kubeletService() service.Definition {
	return service.Definition{
		ID:        "kubelet",
		DependsOn: []string{"containerd"},
		Conditions: []service.Condition{
			n.timeSync(), n.networkReady(), exists[k8s.KubeletSpec](n.store, k8s.KubeletID, "kubelet spec"), n.joinable(),
		},
		Prepare: n.prepareKubelet,
		Stale:   first(staleSpec[k8s.KubeletSpec](n.store, k8s.KubeletID), n.staleEnvironment),
		Check:   &service.Check{Probe: probeKubelet, Timeout: 2 * time.Second},
		Allow:   service.CanStart | service.CanRestart,
	}
}

func (n *Node) prepareKubelet(ctx context.Context) (service.Runner, error) {
	spec, err := resource.Get[k8s.KubeletSpec](ctx, n.store, k8s.KubeletID)
	if err != nil {
		return nil, err
	}

	if err := n.ensureKubeletCert(ctx, spec.Spec.ExpectedNodename); err != nil {
		return nil, err
	}

	environment, err := n.serviceEnvironment(ctx)
	if err != nil {
		return nil, err
	}

	mounts := kubeletMounts(n.groups.Unified())
	for _, m := range spec.Spec.ExtraMounts {
		mounts = append(mounts, specs.Mount{
			Destination: m.Destination, Type: m.Type, Source: m.Source, Options: m.Options,
		})
	}

	mounts, err = existing(mounts)
	if err != nil {
		return nil, err
	}

	return &container.Runner{
		Client:    n.containerd,
		Puller:    n.puller,
		Namespace: systemSpace,
		ID:        "kubelet",
		Image:     spec.Spec.Image,
		FIFODir:   fifoDir,
		Options: []oci.SpecOpts{
			oci.WithEnv(environment),
			oci.WithProcessArgs(append([]string{"/usr/local/bin/kubelet"}, spec.Spec.Args...)...),
			oci.WithPrivileged,
			oci.WithParentCgroupDevices,
			oci.WithAllDevicesAllowed,
			heldCapabilities,
			oci.WithHostNamespace(specs.NetworkNamespace),
			oci.WithHostNamespace(specs.PIDNamespace),
			oci.WithHostNamespace(specs.UTSNamespace),
			oci.WithHostNamespace(specs.IPCNamespace),
			oci.WithHostNamespace(specs.CgroupNamespace),
			oci.WithCgroup("/" + groupKubelet),
			oci.WithoutMounts("/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/run", "/sys/fs/cgroup"),
			oci.WithMounts(mounts),
			rootPropagation("shared"),
			n.oomScore(-450),
		},
	}, nil
}

// kubeletMounts are what the kubelet sees of the node. Where it mounts
// volumes, its mounts reach the node and the containers of pods.
func kubeletMounts(unified bool) []specs.Mount {
	mounts := []specs.Mount{
		bind("/dev", "/dev", "rw"),
		bind("/sys", "/sys", "rw"),
		bind("/run", "/run", "rshared", "rw"),
		bind("/etc/kubernetes", "/etc/kubernetes", "rw"),
		bind("/etc/cni", "/etc/cni", "ro"),
		bind("/etc/machine-id", "/etc/machine-id", "ro"),
		bind("/etc/os-release", "/etc/os-release", "ro"),
		bind("/etc/hosts", "/etc/hosts", "ro"),
		bind("/etc/resolv.conf", "/etc/resolv.conf", "ro"),
		bind("/system/resolved", "/system/resolved", "ro"),
		bind("/opt/cni/bin", "/opt/cni/bin", "ro"),
		bind("/usr/lib/modules", "/usr/lib/modules", "ro"),
		bind("/usr/libexec/kubernetes", "/usr/libexec/kubernetes", "ro"),
		bind("/var/lib/containerd", "/var/lib/containerd", "rshared", "rw"),
		bind("/var/lib/kubelet", "/var/lib/kubelet", "rshared", "rw"),
		bind("/var/log/containers", "/var/log/containers", "rw"),
		bind("/var/log/pods", "/var/log/pods", "rw"),
	}

	if unified {
		return append(mounts, bind("/sys/fs/cgroup", "/sys/fs/cgroup", "rw"))
	}

	// The hierarchies of version 1 are mounts below /sys, which is bound with
	// all of them.
	return mounts
}

// bind is a recursive bind mount.
func bind(source, target string, options ...string) specs.Mount {
	return specs.Mount{
		Destination: target, Type: "bind", Source: source, Options: append([]string{"rbind"}, options...),
	}
}

// existing leaves out bind mounts of what a root tree does not have.
func existing(mounts []specs.Mount) ([]specs.Mount, error) {
	var failed error

	mounts = slices.DeleteFunc(mounts, func(m specs.Mount) bool {
		if m.Type != "bind" {
			return false
		}

		_, err := os.Stat(m.Source)
		if err != nil && !os.IsNotExist(err) {
			failed = fmt.Errorf("preparing mount: %w", err)
		}

		return os.IsNotExist(err)
	})

	return mounts, failed
}

// heldCapabilities gives the container all capabilities that the node itself
// has: a node in a container may lack some.
func heldCapabilities(ctx context.Context, client oci.Client, c *containers.Container, spec *oci.Spec) error {
	held, err := boundingSet()
	if err != nil {
		return err
	}

	return oci.WithCapabilities(held)(ctx, client, c, spec)
}

// rootPropagation says how mounts travel between a container and the node.
func rootPropagation(mode string) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
		spec.Linux.RootfsPropagation = mode

		return nil
	}
}

// oomScore says how likely a container is to be killed when memory is short.
// It is left alone where the node may not lower it.
func (n *Node) oomScore(score int) oci.SpecOpts {
	return func(_ context.Context, _ oci.Client, _ *containers.Container, spec *oci.Spec) error {
		may, err := mayLowerOOMScore()
		if may {
			spec.Process.OOMScoreAdj = &score
		}

		return err
	}
}

// probeKubelet asks the kubelet for its health.
func probeKubelet(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, kubeletHealth, nil)
	if err != nil {
		return err
	}

	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("asking the kubelet for its health: %w", err)
	}
	defer response.Body.Close()

	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the kubelet answers %s", response.Status)
	}

	return nil
}
