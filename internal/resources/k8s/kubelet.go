package k8s

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// KubeletConfig is the configured part of the kubelet.
type KubeletConfig struct {
	Image                        string               `yaml:"image" protobuf:"1"`
	ClusterDNS                   []string             `yaml:"clusterDNS" protobuf:"2"`
	ClusterDomain                string               `yaml:"clusterDomain" protobuf:"3"`
	ExtraArgs                    map[string]ArgValues `yaml:"extraArgs,omitempty" protobuf:"15"`
	ExtraMounts                  []Mount              `yaml:"extraMounts,omitempty" protobuf:"5"`
	ExtraConfig                  map[string]any       `yaml:"extraConfig,omitempty" protobuf:"6"`
	CloudProviderExternal        bool                 `yaml:"cloudProviderExternal" protobuf:"7"`
	DefaultRuntimeSeccompEnabled bool                 `yaml:"defaultRuntimeSeccompEnabled" protobuf:"8"`
	SkipNodeRegistration         bool                 `yaml:"skipNodeRegistration" protobuf:"9"`
	StaticPodListURL             string               `yaml:"staticPodListURL" protobuf:"10"`
	DisableManifestsDirectory    bool                 `yaml:"disableManifestsDirectory" protobuf:"11"`
	EnableFSQuotaMonitoring      bool                 `yaml:"enableFSQuotaMonitoring" protobuf:"12"`
	CredentialProviderConfig     map[string]any       `yaml:"credentialProviderConfig,omitempty" protobuf:"13"`
	RegisterWithTaints           map[string]string    `yaml:"registerWithTaints,omitempty" protobuf:"16"`
}

// Definition implements resource.Spec.
func (KubeletConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeletConfigs.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeletConfig",
		Sensitive:   true,
	}
}

// KubeletSpec is all that is needed to start the kubelet.
type KubeletSpec struct {
	Image                    string         `yaml:"image" protobuf:"1"`
	Args                     []string       `yaml:"args,omitempty" protobuf:"2"`
	ExtraMounts              []Mount        `yaml:"extraMounts,omitempty" protobuf:"3"`
	ExpectedNodename         string         `yaml:"expectedNodename,omitempty" protobuf:"4"`
	Config                   map[string]any `yaml:"config" protobuf:"5"`
	CredentialProviderConfig map[string]any `yaml:"credentialProviderConfig,omitempty" protobuf:"6"`
}

// Definition implements resource.Spec.
func (KubeletSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeletSpecs.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeletSpec",
		Sensitive:   true,
	}
}

// KubeletStatus is the kubelet that runs.
type KubeletStatus struct {
	Image string `yaml:"image" protobuf:"1"`
}

// Definition implements resource.Spec.
func (KubeletStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeletStatuses.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeletStatus",
		Columns: []resource.Column{
			{Name: "Image", JSONPath: "{.image}"},
		},
	}
}

// KubeletKubeconfig is the hash of the kubeconfig the kubelet uses.
type KubeletKubeconfig struct {
	Hash string `yaml:"hash" protobuf:"1"`
}

// Definition implements resource.Spec.
func (KubeletKubeconfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeletKubeconfigs.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeletKubeconfig",
		Columns: []resource.Column{
			{Name: "Hash", JSONPath: "{.hash}"},
		},
	}
}

// KubeletLifecycle exists while the kubelet may run; its finalizers are cleared before the kubelet stops.
type KubeletLifecycle struct {
}

// Definition implements resource.Spec.
func (KubeletLifecycle) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeletLifecycles.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeletLifecycle",
	}
}

// Mount is a mount of the kubelet's container.
type Mount struct {
	Destination string           `yaml:"destination" protobuf:"1"`
	Type        string           `yaml:"type,omitempty" protobuf:"2"`
	Source      string           `yaml:"source,omitempty" protobuf:"3"`
	Options     []string         `yaml:"options,omitempty" protobuf:"4"`
	UIDMappings []LinuxIDMapping `yaml:"uidMappings,omitempty" protobuf:"5"`
	GIDMappings []LinuxIDMapping `yaml:"gidMappings,omitempty" protobuf:"6"`
}

// LinuxIDMapping maps a range of user or group ids of a mount.
type LinuxIDMapping struct {
	ContainerID uint32 `yaml:"containerID" protobuf:"1"`
	HostID      uint32 `yaml:"hostID" protobuf:"2"`
	Size        uint32 `yaml:"size" protobuf:"3"`
}
