package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"text/template"

	"github.com/containerd/containerd/v2/core/containers"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/containerd/v2/pkg/oci"
	"github.com/google/renameio/v2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/basalt-os/basalt/internal/controllers/cri"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/files"
	criresource "github.com/basalt-os/basalt/internal/resources/cri"
	filesresource "github.com/basalt-os/basalt/internal/resources/files"
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
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.differ.v1.erofs",
  "io.containerd.mount-handler.v1.erofs",
  "io.containerd.internal.v1.opt",
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
{{- if .BaseSpec}}
base_runtime_spec = {{printf "%q" .BaseSpec}}
{{- end}}

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
	// BaseSpec is a file, or empty for the base that containerd has itself.
	BaseSpec string
	// Customization is laid over all of this.
	Customization string
}

func renderContainerd(settings containerdSettings) ([]byte, error) {
	var out bytes.Buffer
	if err := containerdTemplate.Execute(&out, settings); err != nil {
		return nil, fmt.Errorf("rendering containerd configuration: %w", err)
	}

	if settings.Customization == "" {
		return out.Bytes(), nil
	}

	merged, err := cri.MergeTOML(out.String(), settings.Customization)
	if err != nil {
		return nil, fmt.Errorf("customizing containerd: %w", err)
	}

	return []byte(merged), nil
}

// renderBaseSpec is containerd's own base specification with the overrides of
// the configuration, as JSON.
func renderBaseSpec(ctx context.Context, overrides map[string]any) ([]byte, error) {
	base, err := oci.GenerateSpec(namespaces.WithNamespace(ctx, podSpace), nil, &containers.Container{ID: "base"})
	if err != nil {
		return nil, fmt.Errorf("making the base specification of containers: %w", err)
	}

	text, err := json.Marshal(base)
	if err != nil {
		return nil, fmt.Errorf("encoding the base specification of containers: %w", err)
	}

	var merged map[string]any
	if err := json.Unmarshal(text, &merged); err != nil {
		return nil, fmt.Errorf("decoding the base specification of containers: %w", err)
	}

	cri.Overlay(merged, overrides)

	if text, err = json.Marshal(merged); err != nil {
		return nil, fmt.Errorf("encoding the base specification of containers: %w", err)
	}

	// containerd does not start with one that it cannot read.
	if err := json.Unmarshal(text, &oci.Spec{}); err != nil {
		return nil, fmt.Errorf("overriding the base specification of containers: %w", err)
	}

	return text, nil
}

// containerdService is the one containerd of the node.
func (n *Node) containerdService() service.Definition {
	return service.Definition{
		ID:      "containerd",
		Prepare: n.prepareContainerd,
		Stale: first(
			changed[criresource.CustomizationConfig](n.store, criresource.CustomizationConfigID),
			changed[criresource.BaseRuntimeSpecConfig](n.store, criresource.BaseRuntimeSpecConfigID),
			// It reads the authorities once. That they are shown counts, not
			// that they shall be.
			changed[filesresource.EtcFileStatus](n.store, files.TrustedRootsName),
			n.staleEnvironment,
		),
		Check: &service.Check{Probe: probeContainerd},
	}
}

func (n *Node) prepareContainerd(ctx context.Context) (service.Runner, error) {
	if err := n.configureContainerd(ctx); err != nil {
		return nil, err
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

	environment, err := n.serviceEnvironment(ctx)
	if err != nil {
		return nil, err
	}

	return &process.Runner{
		Process: process.Process{
			Path:        containerdBinary,
			Args:        []string{"containerd", "--config", containerdConfig},
			Env:         environment,
			Group:       groupRuntime,
			OOMScoreAdj: -500,
		},
		Starter: n.reaper,
		Groups:  n.groups,
	}, nil
}

// configureContainerd writes the configuration of containerd.
func (n *Node) configureContainerd(ctx context.Context) error {
	mayLower, err := mayLowerOOMScore()
	if err != nil {
		return err
	}

	settings := containerdSettings{
		Root: containerdRoot, State: containerdState, Socket: containerdSocket,
		HostsDir: registryHostsDir, PauseImage: pauseImage, RestrictOOMScore: !mayLower,
	}

	base, err := derive.Find[criresource.BaseRuntimeSpecConfig](ctx, n.store, criresource.BaseRuntimeSpecConfigID)
	if err != nil {
		return err
	}

	if base != nil {
		spec, err := renderBaseSpec(ctx, base.Spec.Object)
		if err != nil {
			return err
		}

		if err := renameio.WriteFile(containerdBaseSpec, spec, 0o600); err != nil {
			return fmt.Errorf("writing base specification of containers: %w", err)
		}

		settings.BaseSpec = containerdBaseSpec
	}

	customization, err := derive.Find[criresource.CustomizationConfig](ctx, n.store, criresource.CustomizationConfigID)
	if err != nil {
		return err
	}

	if customization != nil {
		settings.Customization = customization.Spec.Content
	}

	config, err := renderContainerd(settings)
	if err != nil {
		return err
	}

	if err := renameio.WriteFile(containerdConfig, config, 0o600); err != nil {
		return fmt.Errorf("writing containerd configuration: %w", err)
	}

	return nil
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
