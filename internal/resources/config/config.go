// Package config holds the machine configuration and the machine type as
// resources.
package config

import (
	"fmt"

	"go.yaml.in/yaml/v4"

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
	Text string `yaml:"text" protobuf:"1,bytes"`
}

// MarshalYAML implements yaml.Marshaler.
func (c MachineConfig) MarshalYAML() (any, error) { return c.Text, nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (c *MachineConfig) UnmarshalYAML(node *yaml.Node) error {
	if err := node.Decode(&c.Text); err != nil {
		return fmt.Errorf("reading the machine configuration's text: %w", err)
	}

	return nil
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
	Type machinetype.Type `yaml:"type" protobuf:"1"`
}

// MarshalYAML implements yaml.Marshaler.
func (t MachineType) MarshalYAML() (any, error) { return t.Type, nil }

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *MachineType) UnmarshalYAML(node *yaml.Node) error {
	if err := node.Decode(&t.Type); err != nil {
		return fmt.Errorf("reading the machine type: %w", err)
	}

	return nil
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
