package provision

import (
	"fmt"
	"net/netip"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Patches are changes to the generated machine configurations.
type Patches struct {
	All, ControlPlanes, Workers []machineconfig.Patch
}

// Settings are what the generated configurations say beside what follows from
// the cluster's description.
type Settings struct {
	Patches Patches
	// InstallDisk is the disk to which machines install themselves; empty for
	// nodes that do not. InstallImage is what they install; empty is what they
	// run.
	InstallDisk, InstallImage string
	Contract                  string                         // version of the wire; empty: the newest
	DNSDomain                 string                         // empty: the usual one
	Mirrors                   []machineconfig.RegistryMirror // before the cluster's own registry
	NoDiscovery, KubeSpan     bool
}

// patience is for control planes whose machines are translated. Controller manager
// and scheduler end when they cannot renew their leases for ten seconds, and begin
// anew; on machines that are that slow they would never come to their work.
const patience = `apiVersion: v1alpha1
kind: KubeControllerManagerConfig
extraArgs:
  leader-elect-lease-duration: 60s
  leader-elect-renew-deadline: 45s
  leader-elect-retry-period: 5s
---
apiVersion: v1alpha1
kind: KubeSchedulerConfig
extraArgs:
  leader-elect-lease-duration: 60s
  leader-elect-renew-deadline: 45s
  leader-elect-retry-period: 5s
`

// Configure generates the configurations of a cluster's nodes, by node name,
// and that of its client.
func Configure(spec *Spec, settings Settings) (map[string][]byte, *clientconfig.Config, error) {
	bundle, err := secrets.NewBundle(secrets.Options{})
	if err != nil {
		return nil, nil, fmt.Errorf("generating the cluster's secrets: %w", err)
	}

	input := machineconfig.Input{
		ClusterName:       spec.Name,
		Endpoint:          spec.KubernetesEndpoint(),
		Secrets:           bundle,
		KubernetesVersion: spec.KubernetesVersion,
		AdditionalSANs:    []string{spec.Gateway().String(), "127.0.0.1"},
		RegistryMirrors:   append(settings.Mirrors, machineconfig.RegistryMirror{Host: "*", Endpoint: gatewayURL(spec, RegistryPort)}),
		Contract:          settings.Contract,
		InstallDisk:       settings.InstallDisk,
		InstallImage:      settings.InstallImage,
		DNSDomain:         settings.DNSDomain,
		NoDiscovery:       settings.NoDiscovery,
		KubeSpan:          settings.KubeSpan,
	}

	for _, node := range spec.ByRole(ControlPlane) {
		input.Endpoints = append(input.Endpoints, node.Address.String())
	}

	if text := surroundings(spec, settings); len(text) > 0 {
		patch, err := machineconfig.LoadPatch(text, machineconfig.Options{})
		if err != nil {
			return nil, nil, err
		}

		input.Patches = append(input.Patches, patch)
	}

	if spec.Machines != nil && spec.Machines.Accelerator == TCG && settings.Contract == "" {
		patch, err := machineconfig.LoadPatch([]byte(patience), machineconfig.Options{})
		if err != nil {
			return nil, nil, err
		}

		input.ControlPlanePatches = append(input.ControlPlanePatches, patch)
	}

	input.Patches = append(input.Patches, settings.Patches.All...)
	input.ControlPlanePatches = append(input.ControlPlanePatches, settings.Patches.ControlPlanes...)
	input.WorkerPatches = settings.Patches.Workers

	output, err := machineconfig.Generate(input)
	if err != nil {
		return nil, nil, err
	}

	configs := map[string][]byte{}

	for _, node := range spec.Nodes {
		config := output.Worker
		if node.Role == ControlPlane {
			config = output.ControlPlane
		}

		if configs[node.Name], err = personal(spec, config, node.Name); err != nil {
			return nil, nil, err
		}
	}

	for _, context := range output.Client.Contexts {
		context.Nodes = []string{spec.ByRole(ControlPlane)[0].Address.String()}
	}

	return configs, output.Client, nil
}

// personal gives a node's configuration the node's name, and the host process as
// time server where the configuration says nothing about the time. Machines are
// told their time server by DHCP.
func personal(spec *Spec, config *machineconfig.Config, name string) ([]byte, error) {
	text := fmt.Appendf(nil, "apiVersion: v1alpha1\nkind: HostnameConfig\nauto: \"off\"\nhostname: %s\n", name)

	if spec.Machines == nil && machineconfig.Find[document.TimeSyncConfig](config) == nil {
		text = fmt.Appendf(text, "---\napiVersion: v1alpha1\nkind: TimeSyncConfig\nntp: {servers: [%s]}\n", spec.Gateway())
	}

	patch, err := machineconfig.LoadPatch(text, machineconfig.Options{})
	if err != nil {
		return nil, err
	}

	patched, err := config.Patch(patch)
	if err != nil {
		return nil, fmt.Errorf("making the configuration of node %s: %w", name, err)
	}

	return patched.Bytes(), nil
}

// surroundings is the patch that points nodes at what the host process serves.
func surroundings(spec *Spec, settings Settings) []byte {
	type document map[string]any

	var documents []document

	if !settings.NoDiscovery {
		documents = append(documents, document{
			"apiVersion": "v1alpha1", "kind": "DiscoveryServiceConfig", "name": "default",
			"endpoint": gatewayURL(spec, DiscoveryPort),
		})
	}

	if len(spec.Resolvers) > 0 {
		var servers []document
		for _, resolver := range spec.Resolvers {
			servers = append(servers, document{"address": resolver.String()})
		}

		documents = append(documents, document{"apiVersion": "v1alpha1", "kind": "ResolverConfig", "nameservers": servers})
	}

	texts := make([]string, len(documents))

	for i, document := range documents {
		text, err := yaml.Marshal(document)
		if err != nil {
			panic(err) // plain maps and strings
		}

		texts[i] = string(text)
	}

	return []byte(strings.Join(texts, "---\n"))
}

func gatewayURL(spec *Spec, port uint16) string {
	return "http://" + netip.AddrPortFrom(spec.Gateway(), port).String()
}
