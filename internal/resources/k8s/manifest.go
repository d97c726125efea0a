package k8s

import (
	"fmt"

	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/internal/resource"
)

// BootstrapManifestsConfig is what the bootstrap manifests are rendered from.
type BootstrapManifestsConfig struct {
	Server                            string         `yaml:"string" protobuf:"1"`
	ClusterDomain                     string         `yaml:"clusterDomain" protobuf:"2"`
	PodCIDRs                          []string       `yaml:"podCIDRs" protobuf:"3"`
	ProxyEnabled                      bool           `yaml:"proxyEnabled" protobuf:"4"`
	ProxyImage                        string         `yaml:"proxyImage" protobuf:"5"`
	ProxyArgs                         []string       `yaml:"proxyArgs" protobuf:"6"`
	ProxyConfig                       map[string]any `yaml:"proxyConfig" protobuf:"27"`
	ProxyConfigChecksum               string         `yaml:"proxyConfigChecksum" protobuf:"29"`
	ProxyResources                    Resources      `yaml:"proxyResources" protobuf:"28"`
	CoreDNSEnabled                    bool           `yaml:"coreDNSEnabled" protobuf:"7"`
	CoreDNSImage                      string         `yaml:"coreDNSImage" protobuf:"8"`
	DNSServiceIP                      string         `yaml:"dnsServiceIP" protobuf:"9"`
	DNSServiceIPv6                    string         `yaml:"dnsServiceIPv6" protobuf:"10"`
	FlannelEnabled                    bool           `yaml:"flannelEnabled" protobuf:"11"`
	FlannelImage                      string         `yaml:"flannelImage" protobuf:"12"`
	FlannelExtraArgs                  []string       `yaml:"flannelExtraArgs" protobuf:"16"`
	FlannelKubeServiceHost            string         `yaml:"flannelKubeServiceHost" protobuf:"17"`
	FlannelKubeServicePort            string         `yaml:"flannelKubeServicePort" protobuf:"18"`
	FlannelKubeNetworkPoliciesEnabled bool           `yaml:"flannelKubeNetworkPoliciesEnabled" protobuf:"19"`
	FlannelKubeNetworkPoliciesImage   string         `yaml:"flannelKubeNetworkPoliciesImage" protobuf:"20"`
	FlannelBackendType                string         `yaml:"flannelBackendType" protobuf:"23"`
	FlannelBackendPort                uint16         `yaml:"flannelBackendPort" protobuf:"24"`
	FlannelBackendMTU                 uint32         `yaml:"flannelBackendMTU" protobuf:"22"`
	FlannelBackendExtraConfig         map[string]any `yaml:"flannelBackendExtraConfig" protobuf:"26"`
	FlannelResources                  Resources      `yaml:"flannelResources" protobuf:"25"`
	PodSecurityPolicyEnabled          bool           `yaml:"podSecurityPolicyEnabled" protobuf:"14"`
	TalosAPIServiceEnabled            bool           `yaml:"talosAPIServiceEnabled" protobuf:"15"`
	CNIName                           string         `yaml:"cniName" protobuf:"21"`
}

// Definition implements resource.Spec.
func (BootstrapManifestsConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BootstrapManifestsConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "BootstrapManifestsConfig",
	}
}

// ExtraManifestsConfig lists further manifests to apply to the cluster.
type ExtraManifestsConfig struct {
	ExtraManifests []ExtraManifest `yaml:"extraManifests" protobuf:"1"`
}

// Definition implements resource.Spec.
func (ExtraManifestsConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ExtraManifestsConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "ExtraManifestsConfig",
	}
}

// ExtraManifest is a manifest given inline or by URL.
type ExtraManifest struct {
	Name           string            `yaml:"name" protobuf:"1"`
	URL            string            `yaml:"url" protobuf:"2"`
	Priority       string            `yaml:"priority" protobuf:"3"`
	ExtraHeaders   map[string]string `yaml:"extraHeaders" protobuf:"4"`
	InlineManifest string            `yaml:"inlineManifest" protobuf:"5"`
}

// Manifest is a set of rendered objects to apply to the cluster.
type Manifest struct {
	Items []SingleManifest `yaml:"items" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Manifest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Manifests.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "Manifest",
	}
}

// MarshalYAML implements yaml.Marshaler: a manifest prints as the list of its
// objects.
func (m Manifest) MarshalYAML() (any, error) { return m.Items, nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (m *Manifest) UnmarshalYAML(node *yaml.Node) error {
	var objects []map[string]any
	if err := node.Decode(&objects); err != nil {
		return fmt.Errorf("reading the objects of a manifest: %w", err)
	}

	m.Items = nil
	for _, object := range objects {
		m.Items = append(m.Items, SingleManifest{Object: object})
	}

	return nil
}

// SingleManifest is one object of a manifest.
type SingleManifest struct {
	Object map[string]any `yaml:",inline" protobuf:"1"`
}

// ManifestStatus lists the manifests that were applied.
type ManifestStatus struct {
	ManifestsApplied []string `yaml:"manifestsApplied" protobuf:"1"`
}

// Definition implements resource.Spec.
func (ManifestStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ManifestStatuses.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "ManifestStatus",
	}
}
