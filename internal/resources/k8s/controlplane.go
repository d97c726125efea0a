package k8s

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// APIServerConfig is the configuration of the API server.
type APIServerConfig struct {
	Image                   string               `yaml:"image" protobuf:"1"`
	CloudProvider           string               `yaml:"cloudProvider" protobuf:"2"`
	ControlPlaneEndpoint    string               `yaml:"controlPlaneEndpoint" protobuf:"3"`
	EtcdServers             []string             `yaml:"etcdServers" protobuf:"4"`
	LocalPort               int                  `yaml:"localPort" protobuf:"5"`
	ServiceCIDRs            []string             `yaml:"serviceCIDR" protobuf:"6"`
	ExtraArgs               map[string]ArgValues `yaml:"extraArgs" protobuf:"13"`
	Args                    []string             `yaml:"args,omitempty" protobuf:"16"`
	ExtraVolumes            []ExtraVolume        `yaml:"extraVolumes" protobuf:"8"`
	EnvironmentVariables    map[string]string    `yaml:"environmentVariables" protobuf:"9"`
	AdvertisedAddress       string               `yaml:"advertisedAddress" protobuf:"11"`
	Resources               Resources            `yaml:"resources" protobuf:"12"`
	StartupProbesEnabled    bool                 `yaml:"startupProbesEnabled" protobuf:"14"`
	UseAuthenticationConfig bool                 `yaml:"useAuthenticationConfig" protobuf:"15"`
}

// Definition implements resource.Spec.
func (APIServerConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "APIServerConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "APIServerConfig",
		Sensitive:   true,
	}
}

// ControllerManagerConfig is the configuration of the controller manager.
type ControllerManagerConfig struct {
	Enabled              bool                 `yaml:"enabled" protobuf:"1"`
	Image                string               `yaml:"image" protobuf:"2"`
	CloudProvider        string               `yaml:"cloudProvider" protobuf:"3"`
	PodCIDRs             []string             `yaml:"podCIDRs" protobuf:"4"`
	ServiceCIDRs         []string             `yaml:"serviceCIDRs" protobuf:"5"`
	ExtraArgs            map[string]ArgValues `yaml:"extraArgs,omitempty" protobuf:"10"`
	Args                 []string             `yaml:"args,omitempty" protobuf:"11"`
	ExtraVolumes         []ExtraVolume        `yaml:"extraVolumes" protobuf:"7"`
	EnvironmentVariables map[string]string    `yaml:"environmentVariables" protobuf:"8"`
	Resources            Resources            `yaml:"resources" protobuf:"9"`
	NodeCIDRMaskSizeIPv4 int                  `yaml:"nodeCIDRMaskSizeIPv4" protobuf:"12"`
	NodeCIDRMaskSizeIPv6 int                  `yaml:"nodeCIDRMaskSizeIPv6" protobuf:"13"`
}

// Definition implements resource.Spec.
func (ControllerManagerConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ControllerManagerConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "ControllerManagerConfig",
	}
}

// SchedulerConfig is the configuration of the scheduler.
type SchedulerConfig struct {
	Enabled              bool                 `yaml:"enabled" protobuf:"1"`
	Image                string               `yaml:"image" protobuf:"2"`
	ExtraArgs            map[string]ArgValues `yaml:"extraArgs,omitempty" protobuf:"8"`
	Args                 []string             `yaml:"args,omitempty" protobuf:"9"`
	Config               map[string]any       `yaml:"config" protobuf:"7"`
	ExtraVolumes         []ExtraVolume        `yaml:"extraVolumes" protobuf:"4"`
	EnvironmentVariables map[string]string    `yaml:"environmentVariables" protobuf:"5"`
	Resources            Resources            `yaml:"resources" protobuf:"6"`
}

// Definition implements resource.Spec.
func (SchedulerConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SchedulerConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "SchedulerConfig",
	}
}

// ArgValues is the values of one command-line flag, in order.
type ArgValues struct {
	Values []string `yaml:"values" protobuf:"1"`
}

// ExtraVolume is a directory of the host mounted into a control plane pod.
type ExtraVolume struct {
	Name      string `yaml:"name" protobuf:"1"`
	HostPath  string `yaml:"hostPath" protobuf:"2"`
	MountPath string `yaml:"mountPath" protobuf:"3"`
	ReadOnly  bool   `yaml:"readonly" protobuf:"4"`
}

// Resources is the resource requests and limits of a pod.
type Resources struct {
	Requests map[string]string `yaml:"requests" protobuf:"1"`
	Limits   map[string]string `yaml:"limits" protobuf:"2"`
}

// SecretsStatus says that the secrets of the control plane are on disk, and of which version.
type SecretsStatus struct {
	Ready   bool   `yaml:"ready" protobuf:"1"`
	Version string `yaml:"version" protobuf:"2"`
}

// Definition implements resource.Spec.
func (SecretsStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SecretStatuses.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "SecretStatus",
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: "{.ready}"},
			{Name: "Secrets Version", JSONPath: "{.version}"},
		},
	}
}

// ConfigStatus says that the configuration files of the control plane are on disk, and of which version.
type ConfigStatus struct {
	Ready   bool   `yaml:"ready" protobuf:"1"`
	Version string `yaml:"version" protobuf:"2"`
}

// Definition implements resource.Spec.
func (ConfigStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ConfigStatuses.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "ConfigStatus",
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: "{.ready}"},
			{Name: "Secrets Version", JSONPath: "{.version}"},
		},
	}
}
