package v1alpha1

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// Service is a service of the system and its health.
type Service struct {
	Running bool `yaml:"running" protobuf:"1"`
	Healthy bool `yaml:"healthy" protobuf:"2"`
	Unknown bool `yaml:"unknown" protobuf:"3"`
}

// Definition implements resource.Spec.
func (Service) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Services.v1alpha1.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Service",
		Aliases:     []string{"svc"},
		Columns: []resource.Column{
			{Name: "Running", JSONPath: "{.running}"},
			{Name: "Healthy", JSONPath: "{.healthy}"},
			{Name: "Health Unknown", JSONPath: "{.unknown}"},
		},
	}
}

// AcquireConfigSpec asks for the machine configuration to be acquired.
type AcquireConfigSpec struct {
}

// Definition implements resource.Spec.
func (AcquireConfigSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AcquireConfigSpecs.v1alpha1.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "AcquireConfigSpec",
	}
}

// AcquireConfigStatus says that the machine configuration was acquired.
type AcquireConfigStatus struct {
}

// Definition implements resource.Spec.
func (AcquireConfigStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AcquireConfigStatuses.v1alpha1.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "AcquireConfigStatus",
	}
}
