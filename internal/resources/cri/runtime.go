package cri

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// BaseRuntimeSpecConfig is the OCI runtime spec that every pod container starts from.
type BaseRuntimeSpecConfig struct {
	Object map[string]any `yaml:",inline" protobuf:"1"`
}

// Definition implements resource.Spec.
func (BaseRuntimeSpecConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BaseRuntimeSpecConfigs.cri.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "BaseRuntimeSpecConfig",
	}
}

// CustomizationConfig is the configured addition to the container runtime's own configuration.
type CustomizationConfig struct {
	Content string `yaml:"content" protobuf:"1"`
}

// Definition implements resource.Spec.
func (CustomizationConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "CustomizationConfigs.cri.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "CustomizationConfig",
		Sensitive:   true,
	}
}

// SeccompProfile is a named seccomp profile for pods.
type SeccompProfile struct {
	Name  string         `yaml:"name" protobuf:"1"`
	Value map[string]any `yaml:"value" protobuf:"2"`
}

// Definition implements resource.Spec.
func (SeccompProfile) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SeccompProfiles.cri.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SeccompProfile",
	}
}
