package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/google/renameio/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/process"
)

// pauseImage holds the namespaces of every pod.
const pauseImage = "registry.k8s.io/pause:3.10.1"

// containerdTemplate is the configuration of the one containerd. Plug-ins that
// a node has no use for are off: each costs memory or a probe at start.
var containerdTemplate = template.Must(template.New("containerd").Parse(`version = 3
root = {{printf "%q" .Root}}
state = {{printf "%q" .State}}
imports = ["/etc/cri/conf.d/*.toml"]
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.differ.v1.erofs",
  "io.containerd.mount-handler.v1.erofs",
  "io.containerd.internal.v1.opt",
  "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
address = {{printf "%q" .Socket}}

[plugins.'io.containerd.cri.v1.images']
snapshotter = "overlayfs"
discard_unpacked_layers = true

[plugins.'io.containerd.cri.v1.images'.registry]
config_path = {{printf "%q" .HostsDir}}

[plugins.'io.containerd.cri.v1.images'.pinned_images]
sandbox = {{printf "%q" .PauseImage}}

[plugins.'io.containerd.cri.v1.runtime']
restrict_oom_score_adj = {{.RestrictOOMScore}}
enable_cdi = true
cdi_spec_dirs = ["/run/cdi"]

[plugins.'io.containerd.cri.v1.runtime'.cni]
bin_dirs = ["/opt/cni/bin"]
conf_dir = "/etc/cni/net.d"

[plugins.'io.containerd.cri.v1.runtime'.containerd]
default_runtime_name = "runc"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
BinaryName = "/usr/bin/runc"
SystemdCgroup = false

[plugins.'io.containerd.nri.v1.nri']
disable = false
`))

// containerdSettings fill the template.
type containerdSettings struct {
	Root, State, Socket, HostsDir, PauseImage string
	RestrictOOMScore                          bool
}

func renderContainerd(settings containerdSettings) ([]byte, error) {
	var out bytes.Buffer
	if err := containerdTemplate.Execute(&out, settings); err != nil {
		return nil, fmt.Errorf("rendering containerd configuration: %w", err)
	}

	return out.Bytes(), nil
}

// containerdService is the one containerd of the node.
func (n *Node) containerdService() service.Definition {
	return service.Definition{
		ID:      "containerd",
		Prepare: n.prepareContainerd,
		Check:   &service.Check{Probe: probeContainerd},
	}
}

func (n *Node) prepareContainerd(context.Context) (service.Runner, error) {
	mayLower, err := mayLowerOOMScore()
	if err != nil {
		return nil, err
	}

	config, err := renderContainerd(containerdSettings{
		Root: containerdRoot, State: containerdState, Socket: containerdSocket,
		HostsDir: registryHostsDir, PauseImage: pauseImage, RestrictOOMScore: !mayLower,
	})
	if err != nil {
		return nil, err
	}

	if err := renameio.WriteFile(containerdConfig, config, 0o600); err != nil {
		return nil, fmt.Errorf("writing containerd configuration: %w", err)
	}

	// Clients of the wire look for a second containerd here.
	link := filepath.Join("/system/run/containerd", filepath.Base(containerdSocket))
	if err := renameio.Symlink(containerdSocket, link); err != nil {
		return nil, fmt.Errorf("linking containerd socket: %w", err)
	}

	// A stale socket would let clients wait for nobody.
	if err := os.RemoveAll(containerdSocket); err != nil {
		return nil, fmt.Errorf("removing stale containerd socket: %w", err)
	}

	return &process.Runner{
		Process: process.Process{
			Path:        containerdBinary,
			Args:        []string{"containerd", "--config", containerdConfig},
			Env:         n.environment(),
			Group:       groupRuntime,
			OOMScoreAdj: -500,
		},
		Starter: n.reaper,
		Groups:  n.groups,
	}, nil
}

// probeContainerd asks containerd whether it serves.
func probeContainerd(ctx context.Context) error {
	conn, err := grpc.NewClient("unix://"+containerdSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting to containerd: %w", err)
	}
	defer conn.Close()

	reply, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil {
		return fmt.Errorf("asking containerd for its health: %w", err)
	}

	if status := reply.GetStatus(); status != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("containerd is %s", status)
	}

	return nil
}
