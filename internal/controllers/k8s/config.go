// Package k8s has the controllers that make a node part of a Kubernetes
// cluster: they configure and run the kubelet, render the control plane's
// static pods and their files, apply the bootstrap manifests, balance the
// node's own calls over all API servers, and keep the Node object.
package k8s

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/basalt-os/basalt/internal/controllers/args"
	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/etcd"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// External says that a component leaves cloud matters to somebody else.
const external = "external"

// controlPlane is a controller of one resource that exists on control planes
// only.
func controlPlane[T resource.Spec](reader *configured.Reader, name, id string, build func(machineconfig.Cluster) (T, error)) reconcile.Controller {
	return configured.One(reader, name, id, func(cfg *machineconfig.Config) (T, error) {
		if !cfg.Machine().IsControlPlane() {
			return derive.None[T]()
		}

		return build(cfg.Cluster())
	})
}

// controlPlaneConfigs take the settings of the control plane from the
// configuration.
func controlPlaneConfigs(reader *configured.Reader) []reconcile.Controller {
	return []reconcile.Controller{
		controlPlane(reader, "k8s.ControlPlaneAPIServerController", k8s.APIServerID, apiServerConfig),
		controlPlane(reader, "k8s.ControlPlaneControllerManagerController", k8s.ControllerManagerID, controllerManagerConfig),
		controlPlane(reader, "k8s.ControlPlaneSchedulerController", k8s.SchedulerID, schedulerConfig),
		controlPlane(reader, "k8s.ControlPlaneAdmissionControlController", k8s.AdmissionControlConfigID, admissionControlConfig),
		controlPlane(reader, "k8s.ControlPlaneAuditPolicyController", k8s.AuditPolicyConfigID, auditPolicyConfig),
		controlPlane(reader, "k8s.ControlPlaneAuthenticationController", k8s.AuthenticationConfigID, authenticationConfig),
		controlPlane(reader, "k8s.ControlPlaneAuthorizationController", k8s.AuthorizationConfigID, authorizationConfig),
		controlPlane(reader, "k8s.ControlPlaneEtcdEncryptionController", k8s.EtcdEncryptionConfigID, etcdEncryptionConfig),
		controlPlane(reader, "k8s.ControlPlaneExtraManifestsController", k8s.ExtraManifestsConfigID, extraManifestsConfig),
		configured.One(reader, "k8s.ControlPlaneBootstrapManifestsController", k8s.BootstrapManifestsConfigID, bootstrapManifestsConfig),
	}
}

func apiServerConfig(cluster machineconfig.Cluster) (k8s.APIServerConfig, error) {
	server := cluster.APIServer

	return k8s.APIServerConfig{
		Image:                   server.Image,
		CloudProvider:           cloudProvider(cluster),
		ControlPlaneEndpoint:    cluster.Endpoint.String(),
		EtcdServers:             []string{etcd.LocalServer},
		LocalPort:               server.Port,
		ServiceCIDRs:            prefixes(cluster.Network.ServiceSubnets),
		ExtraArgs:               argValues(server.ExtraArgs),
		ExtraVolumes:            extraVolumes(server.ExtraVolumes),
		EnvironmentVariables:    server.Env,
		AdvertisedAddress:       "$(POD_IP)",
		Resources:               resources(server.Resources),
		StartupProbesEnabled:    server.StartupProbes,
		UseAuthenticationConfig: server.Authentication != nil,
	}, nil
}

func controllerManagerConfig(cluster machineconfig.Cluster) (k8s.ControllerManagerConfig, error) {
	manager, network := cluster.ControllerManager, cluster.Network

	return k8s.ControllerManagerConfig{
		Enabled:              manager.Enabled,
		Image:                manager.Image,
		CloudProvider:        cloudProvider(cluster),
		PodCIDRs:             prefixes(network.PodSubnets),
		ServiceCIDRs:         prefixes(network.ServiceSubnets),
		ExtraArgs:            argValues(manager.ExtraArgs),
		ExtraVolumes:         extraVolumes(manager.ExtraVolumes),
		EnvironmentVariables: manager.Env,
		Resources:            resources(manager.Resources),
		NodeCIDRMaskSizeIPv4: network.NodeMaskSizeIPv4,
		NodeCIDRMaskSizeIPv6: network.NodeMaskSizeIPv6,
	}, nil
}

func schedulerConfig(cluster machineconfig.Cluster) (k8s.SchedulerConfig, error) {
	scheduler := cluster.Scheduler

	return k8s.SchedulerConfig{
		Enabled:              scheduler.Enabled,
		Image:                scheduler.Image,
		ExtraArgs:            argValues(scheduler.ExtraArgs),
		Config:               scheduler.Config,
		ExtraVolumes:         extraVolumes(scheduler.ExtraVolumes),
		EnvironmentVariables: scheduler.Env,
		Resources:            resources(scheduler.Resources),
	}, nil
}

func admissionControlConfig(cluster machineconfig.Cluster) (k8s.AdmissionControlConfig, error) {
	var spec k8s.AdmissionControlConfig
	for _, plugin := range cluster.APIServer.AdmissionControl {
		spec.Config = append(spec.Config, k8s.AdmissionPluginSpec{Name: plugin.Name, Configuration: plugin.Configuration})
	}

	return spec, nil
}

func auditPolicyConfig(cluster machineconfig.Cluster) (k8s.AuditPolicyConfig, error) {
	policy := cluster.APIServer.AuditPolicy
	if policy == nil {
		// The API server refuses an empty policy: this one records nothing.
		policy = document.Free{
			"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": []any{map[string]any{"level": "None"}},
		}
	}

	return k8s.AuditPolicyConfig{Config: policy}, nil
}

func authenticationConfig(cluster machineconfig.Cluster) (k8s.AuthenticationConfig, error) {
	return k8s.AuthenticationConfig{Config: cluster.APIServer.Authentication}, nil
}

func authorizationConfig(cluster machineconfig.Cluster) (k8s.AuthorizationConfig, error) {
	spec := k8s.AuthorizationConfig{Image: cluster.APIServer.Image}

	for _, a := range cluster.APIServer.Authorizers {
		spec.Config = append(spec.Config, k8s.AuthorizationAuthorizersSpec{Type: a.Type, Name: a.Name, Webhook: a.Webhook})
	}

	// Nodes and roles are what a cluster cannot work without.
	if len(spec.Config) == 0 {
		spec.Config = []k8s.AuthorizationAuthorizersSpec{{Type: "Node", Name: "node"}, {Type: "RBAC", Name: "rbac"}}
	}

	return spec, nil
}

func etcdEncryptionConfig(cluster machineconfig.Cluster) (k8s.EtcdEncryptionConfig, error) {
	object := map[string]any{"apiVersion": "apiserver.config.k8s.io/v1", "kind": "EncryptionConfiguration"}

	if cluster.Encryption == nil {
		object["resources"] = []any{map[string]any{
			"resources": []any{"secrets"}, "providers": []any{map[string]any{"identity": map[string]any{}}},
		}}
	}

	maps.Copy(object, cluster.Encryption)

	text, err := yaml.Marshal(object)
	if err != nil {
		return k8s.EtcdEncryptionConfig{}, fmt.Errorf("rendering the encryption configuration: %w", err)
	}

	return k8s.EtcdEncryptionConfig{Configuration: string(text)}, nil
}

func extraManifestsConfig(cluster machineconfig.Cluster) (k8s.ExtraManifestsConfig, error) {
	var spec k8s.ExtraManifestsConfig

	for _, url := range cluster.CloudManifests {
		spec.ExtraManifests = append(spec.ExtraManifests, k8s.ExtraManifest{Name: url, URL: url, Priority: "30"})
	}

	for _, m := range cluster.ExternalManifests {
		spec.ExtraManifests = append(spec.ExtraManifests,
			k8s.ExtraManifest{Name: m.Name, URL: m.URL.String(), Priority: "99", ExtraHeaders: m.Headers})
	}

	for _, m := range cluster.InlineManifests {
		spec.ExtraManifests = append(spec.ExtraManifests,
			k8s.ExtraManifest{Name: m.Name, Priority: "99", InlineManifest: m.Manifest})
	}

	return spec, nil
}

// Images of parts of the cluster that the configuration does not name.
const (
	flannelImage         = "ghcr.io/flannel-io/flannel:v0.28.4"
	networkPoliciesImage = "registry.k8s.io/networking/kube-network-policies:v1.0.0"
)

func bootstrapManifestsConfig(cfg *machineconfig.Config) (k8s.BootstrapManifestsConfig, error) {
	machine, cluster := cfg.Machine(), cfg.Cluster()
	if !machine.IsControlPlane() {
		return derive.None[k8s.BootstrapManifestsConfig]()
	}

	spec := k8s.BootstrapManifestsConfig{
		Server:                 cluster.Endpoint.String(),
		ClusterDomain:          cluster.Network.DNSDomain,
		PodCIDRs:               prefixes(cluster.Network.PodSubnets),
		CoreDNSEnabled:         cluster.CoreDNS.Enabled,
		CoreDNSImage:           cluster.CoreDNS.Image,
		TalosAPIServiceEnabled: machine.KubernetesAccess != nil,
	}

	spec.DNSServiceIP, spec.DNSServiceIPv6 = dnsServiceIPs(cluster.Network.ServiceSubnets)

	if machine.KubePrism.Enabled {
		spec.Server = "https://127.0.0.1:" + strconv.Itoa(machine.KubePrism.Port)
		spec.FlannelKubeServiceHost = "127.0.0.1"
		spec.FlannelKubeServicePort = strconv.Itoa(machine.KubePrism.Port)
	}

	if err := proxyManifest(&spec, cluster); err != nil {
		return spec, err
	}

	if flannel := cluster.Flannel; flannel != nil {
		spec.CNIName = "flannel"
		spec.FlannelEnabled = true
		spec.FlannelImage = flannelImage
		spec.FlannelExtraArgs = flannel.ExtraArgs
		spec.FlannelKubeNetworkPoliciesEnabled = flannel.KubeNetworkPoliciesEnabled != nil && *flannel.KubeNetworkPoliciesEnabled
		spec.FlannelKubeNetworkPoliciesImage = networkPoliciesImage
		spec.FlannelBackendType = flannel.BackendType
		spec.FlannelBackendPort = flannel.BackendPort
		spec.FlannelBackendMTU = flannel.BackendMTU
		spec.FlannelBackendExtraConfig = flannel.BackendExtraConfig

		if spec.FlannelBackendType == "" {
			spec.FlannelBackendType = "vxlan"
		}

		if spec.FlannelBackendType == "vxlan" && spec.FlannelBackendPort == 0 {
			spec.FlannelBackendPort = 4789
		}

		if flannel.Resources != nil {
			spec.FlannelResources = resources(*flannel.Resources)
		}
	}

	return spec, nil
}

// proxyManifest sets kube-proxy's flags and configuration file.
func proxyManifest(spec *k8s.BootstrapManifestsConfig, cluster machineconfig.Cluster) error {
	proxy := cluster.Proxy
	spec.ProxyEnabled = proxy.Enabled
	spec.ProxyImage = proxy.Image
	spec.ProxyResources = resources(proxy.Resources)

	file := map[string]any{
		"apiVersion":  "kubeproxy.config.k8s.io/v1alpha1",
		"kind":        "KubeProxyConfiguration",
		"mode":        proxy.Mode,
		"clusterCIDR": strings.Join(spec.PodCIDRs, ","),
		// The table of connections belongs to the kernel of the whole machine.
		"conntrack":        map[string]any{"maxPerCore": 0},
		"clientConnection": map[string]any{"kubeconfig": "/etc/kubernetes/kubeconfig"},
	}
	overlay(file, proxy.Config)

	flags := args.Args{"config": {"/var/lib/kube-proxy/config.yaml"}, "hostname-override": {"$(NODE_NAME)"}}
	if err := flags.Merge(plain(proxy.ExtraArgs), map[string]args.Policy{"config": args.Deny}); err != nil {
		return fmt.Errorf("merging kube-proxy arguments: %w", err)
	}

	text, err := yaml.Marshal(file)
	if err != nil {
		return fmt.Errorf("rendering kube-proxy configuration: %w", err)
	}

	sum := sha256.Sum256(text)

	spec.ProxyConfig, spec.ProxyConfigChecksum, spec.ProxyArgs = file, hex.EncodeToString(sum[:]), flags.List()

	return nil
}

// dnsServiceIPs are the tenth addresses of the service subnets.
func dnsServiceIPs(subnets []netip.Prefix) (v4, v6 string) {
	for _, subnet := range subnets {
		address := subnet.Masked().Addr()
		for range 10 {
			address = address.Next()
		}

		if address.Is4() {
			v4 = address.String()
		} else {
			v6 = address.String()
		}
	}

	return v4, v6
}

func cloudProvider(cluster machineconfig.Cluster) string {
	if cluster.ExternalCloudProvider {
		return external
	}

	return ""
}

func prefixes(list []netip.Prefix) []string {
	out := make([]string, len(list))
	for i, p := range list {
		out[i] = p.String()
	}

	return out
}

func argValues(list document.Args) map[string]k8s.ArgValues {
	out := make(map[string]k8s.ArgValues, len(list))
	for name, values := range list {
		out[name] = k8s.ArgValues{Values: values}
	}

	return out
}

func plain(list document.Args) map[string][]string {
	out := make(map[string][]string, len(list))
	for name, values := range list {
		out[name] = values
	}

	return out
}

func extraVolumes(list []document.ExtraVolume) []k8s.ExtraVolume {
	out := make([]k8s.ExtraVolume, len(list))
	for i, v := range list {
		out[i] = k8s.ExtraVolume{
			Name: "extra-" + strconv.Itoa(i), HostPath: v.HostPath, MountPath: v.MountPath, ReadOnly: v.ReadOnly != nil && *v.ReadOnly,
		}
	}

	return out
}

func resources(r document.Resources) k8s.Resources {
	text := func(values document.Free) map[string]string {
		out := make(map[string]string, len(values))
		for name, value := range values {
			out[name] = fmt.Sprint(value)
		}

		return out
	}

	return k8s.Resources{Requests: text(r.Requests), Limits: text(r.Limits)}
}

// overlay puts the values of top over base, key by key where both are maps.
func overlay(base map[string]any, top map[string]any) {
	for key, value := range top {
		below, isMap := base[key].(map[string]any)
		above, both := value.(map[string]any)

		if isMap && both {
			overlay(below, above)
		} else {
			base[key] = value
		}
	}
}
