package runtime

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// ExtensionStatus is a system extension that is part of the booted image.
type ExtensionStatus struct {
	Image    string            `yaml:"image" protobuf:"1"`
	Metadata ExtensionMetadata `yaml:"metadata" protobuf:"2"`
}

// Definition implements resource.Spec.
func (ExtensionStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ExtensionStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ExtensionStatus",
		Aliases:     []string{"extensions"},
		Columns: []resource.Column{
			{Name: "Name", JSONPath: "{.metadata.name}"},
			{Name: "Version", JSONPath: "{.metadata.version}"},
		},
	}
}

// ExtensionMetadata describes a system extension.
type ExtensionMetadata struct {
	Name          string                 `yaml:"name" protobuf:"1"`
	Version       string                 `yaml:"version" protobuf:"2"`
	Author        string                 `yaml:"author" protobuf:"3"`
	Description   string                 `yaml:"description" protobuf:"4"`
	Compatibility ExtensionCompatibility `yaml:"compatibility" protobuf:"5"`
	ExtraInfo     string                 `yaml:"extraInfo,omitempty" protobuf:"6"`
}

// ExtensionCompatibility is the systems that an extension works with.
type ExtensionCompatibility struct {
	Talos ExtensionConstraint `yaml:"talos" protobuf:"1"`
}

// ExtensionConstraint is a range of versions.
type ExtensionConstraint struct {
	Version string `yaml:"version" protobuf:"1"`
}

// ExtensionServiceConfig is the configuration of an extension's service.
type ExtensionServiceConfig struct {
	Files       []ExtensionServiceConfigFile `yaml:"files,omitempty" protobuf:"1"`
	Environment []string                     `yaml:"environment,omitempty" protobuf:"2"`
}

// Definition implements resource.Spec.
func (ExtensionServiceConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ExtensionServiceConfigs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ExtensionServiceConfig",
		Sensitive:   true,
	}
}

// ExtensionServiceConfigFile is a file for an extension's service.
type ExtensionServiceConfigFile struct {
	Content   string `yaml:"content" protobuf:"1"`
	MountPath string `yaml:"mountPath" protobuf:"2"`
}

// ExtensionServiceConfigStatus says which version of an extension's configuration is in place.
type ExtensionServiceConfigStatus struct {
	SpecVersion string `yaml:"specVersion" protobuf:"1"`
}

// Definition implements resource.Spec.
func (ExtensionServiceConfigStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ExtensionServiceConfigStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ExtensionServiceConfigStatus",
	}
}

// ImageFactorySchematic is how the booted image was composed.
type ImageFactorySchematic struct {
	SchematicID string `yaml:"schematicId" protobuf:"1"`
	Flavor      string `yaml:"flavor" protobuf:"2"`
	APIURL      string `yaml:"apiUrl" protobuf:"3"`
}

// Definition implements resource.Spec.
func (ImageFactorySchematic) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ImageFactorySchematics.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ImageFactorySchematic",
		Columns: []resource.Column{
			{Name: "Schematic ID", JSONPath: "{.schematicId}"},
			{Name: "Flavor", JSONPath: "{.flavor}"},
			{Name: "API URL", JSONPath: "{.apiUrl}"},
		},
	}
}

// UnattendedInstallStatus is how far the installation without an operator has come.
type UnattendedInstallStatus struct {
	Image string                 `yaml:"image,omitempty" protobuf:"1"`
	Phase UnattendedInstallPhase `yaml:"phase,omitempty" protobuf:"2"`
	Error string                 `yaml:"error,omitempty" protobuf:"3"`
}

// Definition implements resource.Spec.
func (UnattendedInstallStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "UnattendedInstallStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "UnattendedInstallStatus",
		Columns: []resource.Column{
			{Name: "Phase", JSONPath: "{.phase}"},
		},
	}
}

// UnattendedInstallPhase is how far an unattended installation has come.
type UnattendedInstallPhase int

// Values of UnattendedInstallPhase.
const (
	UnattendedInstallPhasePending          UnattendedInstallPhase = 0
	UnattendedInstallPhaseInstalling       UnattendedInstallPhase = 1
	UnattendedInstallPhaseInstalled        UnattendedInstallPhase = 2
	UnattendedInstallPhaseWaitingForReboot UnattendedInstallPhase = 3
	UnattendedInstallPhaseFailed           UnattendedInstallPhase = 4
)

var unattendedInstallPhaseNames = enum.Names[UnattendedInstallPhase]{
	UnattendedInstallPhasePending:          "pending",
	UnattendedInstallPhaseInstalling:       "installing",
	UnattendedInstallPhaseInstalled:        "installed",
	UnattendedInstallPhaseWaitingForReboot: "waiting-for-reboot",
	UnattendedInstallPhaseFailed:           "failed",
}

// String returns the text form.
func (u UnattendedInstallPhase) String() string { return unattendedInstallPhaseNames.Text(u) }

// MarshalText implements encoding.TextMarshaler.
func (u UnattendedInstallPhase) MarshalText() ([]byte, error) {
	return unattendedInstallPhaseNames.MarshalText(u)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (u *UnattendedInstallPhase) UnmarshalText(text []byte) error {
	return unattendedInstallPhaseNames.UnmarshalText(text, u)
}
