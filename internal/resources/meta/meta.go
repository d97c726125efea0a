// Package meta holds the resources that describe the node's database itself:
// its namespaces and its resource types.
package meta

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// NamespaceName is the namespace of these resources.
const NamespaceName = "meta"

// Namespace describes a namespace; its ID is the namespace's name.
type Namespace struct {
	Description string `yaml:"description" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Namespace) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Namespaces.meta.cosi.dev",
		Namespace:   NamespaceName,
		DisplayType: "Namespace",
		Aliases:     []string{"ns"},
	}
}

// ResourceDefinition describes a resource type; its ID is the type in lower
// case.
type ResourceDefinition struct {
	Type             string        `yaml:"type" protobuf:"1"`
	DisplayType      string        `yaml:"displayType" protobuf:"2"`
	DefaultNamespace string        `yaml:"defaultNamespace" protobuf:"3"`
	Aliases          []string      `yaml:"aliases" protobuf:"4"`
	AllAliases       []string      `yaml:"allAliases" protobuf:"5"`
	PrintColumns     []PrintColumn `yaml:"printColumns" protobuf:"6"`
	Sensitivity      Sensitivity   `yaml:"sensitivity" protobuf:"7"`
}

// Definition implements resource.Spec.
func (ResourceDefinition) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ResourceDefinitions.meta.cosi.dev",
		Namespace:   NamespaceName,
		DisplayType: "ResourceDefinition",
		Aliases:     []string{"api-resources"},
		Columns: []resource.Column{
			{Name: "Aliases", JSONPath: "{.aliases[:]}"},
		},
	}
}

// PrintColumn is a column of the table that lists resources of a type.
type PrintColumn struct {
	Name     string `yaml:"name" protobuf:"1"`
	JSONPath string `yaml:"jsonPath" protobuf:"2"`
}

// Sensitivity says who may read the resources of a type.
type Sensitivity int

// Values of Sensitivity.
const (
	// NonSensitive resources may be read by every reader.
	NonSensitive Sensitivity = 0
	// Sensitive resources may be read by administrators only.
	Sensitive Sensitivity = 1
)

var sensitivityNames = enum.Names[Sensitivity]{
	NonSensitive: "non-sensitive",
	Sensitive:    "sensitive",
}

// String returns the text form.
func (s Sensitivity) String() string { return sensitivityNames.Text(s) }

// MarshalText implements encoding.TextMarshaler.
func (s Sensitivity) MarshalText() ([]byte, error) { return sensitivityNames.MarshalText(s) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Sensitivity) UnmarshalText(text []byte) error {
	return sensitivityNames.UnmarshalText(text, s)
}
