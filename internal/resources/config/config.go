// Package config holds the machine configuration and the machine type as
// resources.
package config

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
)

// NamespaceName is the namespace of these resources.
const NamespaceName = "config"

// Well-known resource IDs.
const (
	// ActiveID is the ID of the MachineConfig that the machine runs with.
	ActiveID = "v1alpha1"
	// PersistentID is the ID of the MachineConfig that is on disk.
	PersistentID = "persistent"
	// MaintenanceID is the ID of the MachineConfig for the time before there is one.
	MaintenanceID = "maintenance"
	// MachineTypeID is the ID of the MachineType.
	MachineTypeID = "machine-type"
)

// MachineConfig is a machine configuration, as the text of its YAML documents.
// In YAML the whole spec is that text.
type MachineConfig struct {
	Text string `yaml:",inline" protobuf:"1,bytes"`
}

// Definition implements resource.Spec.
func (MachineConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MachineConfigs.config.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MachineConfig",
		Sensitive:   true,
	}
}

// MachineType is the role of this machine. In YAML the whole spec is its name.
type MachineType struct {
	Type machinetype.Type `yaml:",inline" protobuf:"1"`
}

// Definition implements resource.Spec.
func (MachineType) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MachineTypes.config.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MachineType",
		Columns: []resource.Column{
			{Name: "Type", JSONPath: "{@}"},
		},
	}
}
