package runtime

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// MetaKey is a value of the META partition; its ID is the key.
type MetaKey struct {
	Value string `yaml:"value" protobuf:"1"`
}

// Definition implements resource.Spec.
func (MetaKey) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MetaKeys.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MetaKey",
		Aliases:     []string{"meta"},
		Columns: []resource.Column{
			{Name: "Value", JSONPath: "{.value}"},
		},
	}
}

// MetaLoaded says that META was read.
type MetaLoaded struct {
	Done bool `yaml:"done" protobuf:"1"`
}

// Definition implements resource.Spec.
func (MetaLoaded) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MetaLoads.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MetaLoad",
		Columns: []resource.Column{
			{Name: "Done", JSONPath: "{.done}"},
		},
	}
}

// UniqueMachineToken is the token that names this machine to its fleet manager.
type UniqueMachineToken struct {
	Token string `yaml:"token" protobuf:"1"`
}

// Definition implements resource.Spec.
func (UniqueMachineToken) Definition() resource.Definition {
	return resource.Definition{
		Type:        "UniqueMachineTokens.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "UniqueMachineToken",
		Columns: []resource.Column{
			{Name: "Token", JSONPath: "{.token}"},
		},
	}
}
