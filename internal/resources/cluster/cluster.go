package cluster

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// Config is the setting of cluster discovery: registries, service endpoint and keys.
type Config struct {
	DiscoveryEnabled          bool              `yaml:"discoveryEnabled" protobuf:"1"`
	RegistryKubernetesEnabled bool              `yaml:"registryKubernetesEnabled" protobuf:"2"`
	RegistryServiceEnabled    bool              `yaml:"registryServiceEnabled" protobuf:"3"`
	ServiceEndpoint           string            `yaml:"serviceEndpoint" protobuf:"4"`
	ServiceEndpointInsecure   bool              `yaml:"serviceEndpointInsecure,omitempty" protobuf:"5"`
	ServiceEncryptionKey      []byte            `yaml:"serviceEncryptionKey" protobuf:"6"`
	ServiceClusterID          string            `yaml:"serviceClusterID" protobuf:"7"`
	ServiceEndpoints          []ServiceEndpoint `yaml:"serviceEndpoints" protobuf:"8"`
}

// Definition implements resource.Spec.
func (Config) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DiscoveryConfigs.cluster.talos.dev",
		Namespace:   ConfigNamespaceName,
		DisplayType: "DiscoveryConfig",
		Sensitive:   true,
	}
}

// Info is the identity of the cluster.
type Info struct {
	ClusterID   string `yaml:"clusterId" protobuf:"1"`
	ClusterName string `yaml:"clusterName" protobuf:"2"`
}

// Definition implements resource.Spec.
func (Info) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Infos.cluster.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Info",
		Columns: []resource.Column{
			{Name: "Cluster ID", JSONPath: "{.clusterId}"},
			{Name: "Cluster Name", JSONPath: "{.clusterName}"},
		},
	}
}

// Identity is the stable identity of this node within discovery.
type Identity struct {
	NodeID string `yaml:"nodeId" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Identity) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Identities.cluster.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Identity",
		Columns: []resource.Column{
			{Name: "ID", JSONPath: "{.nodeId}"},
		},
	}
}
