package kubespan

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
)

// Config is the setting of the mesh network.
type Config struct {
	Enabled                     bool             `yaml:"enabled" protobuf:"1"`
	ClusterID                   string           `yaml:"clusterId" protobuf:"2"`
	SharedSecret                string           `yaml:"sharedSecret" protobuf:"3"`
	ForceRouting                bool             `yaml:"forceRouting" protobuf:"4"`
	AdvertiseKubernetesNetworks bool             `yaml:"advertiseKubernetesNetworks" protobuf:"5"`
	MTU                         uint32           `yaml:"mtu,omitempty" protobuf:"6"`
	EndpointFilters             []string         `yaml:"endpointFilters,omitempty" protobuf:"7"`
	HarvestExtraEndpoints       bool             `yaml:"harvestExtraEndpoints" protobuf:"8"`
	ExtraEndpoints              []netip.AddrPort `yaml:"extraEndpoints,omitempty" protobuf:"9"`
	ExcludeAdvertisedNetworks   []netip.Prefix   `yaml:"excludeAdvertisedNetworks,omitempty" protobuf:"10"`
}

// Definition implements resource.Spec.
func (Config) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeSpanConfigs.kubespan.talos.dev",
		Namespace:   ConfigNamespaceName,
		DisplayType: "KubeSpanConfig",
		Sensitive:   true,
	}
}

// Identity is this node's key pair and address in the mesh.
type Identity struct {
	Address    netip.Prefix `yaml:"address" protobuf:"1"`
	Subnet     netip.Prefix `yaml:"subnet" protobuf:"2"`
	PrivateKey string       `yaml:"privateKey" protobuf:"3"`
	PublicKey  string       `yaml:"publicKey" protobuf:"4"`
}

// Definition implements resource.Spec.
func (Identity) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeSpanIdentities.kubespan.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeSpanIdentity",
		Columns: []resource.Column{
			{Name: "Address", JSONPath: "{.address}"},
			{Name: "PublicKey", JSONPath: "{.publicKey}"},
		},
		Sensitive: true,
	}
}
