package kubeaccess

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// Config says which namespaces may get which roles of the API.
type Config struct {
	Enabled                     bool     `yaml:"enabled" protobuf:"1"`
	AllowedAPIRoles             []string `yaml:"allowedAPIRoles" protobuf:"2"`
	AllowedKubernetesNamespaces []string `yaml:"allowedKubernetesNamespaces" protobuf:"3"`
}

// Definition implements resource.Spec.
func (Config) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubernetesAccessConfigs.cluster.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubernetesAccessConfig",
	}
}
