package k8s

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
)

// Endpoint is the control plane's addresses, by source of discovery.
type Endpoint struct {
	Addresses []netip.Addr `yaml:"addresses" protobuf:"1"`
	Hosts     []string     `yaml:"hosts" protobuf:"2"`
}

// Definition implements resource.Spec.
func (Endpoint) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Endpoints.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "Endpoint",
		Columns: []resource.Column{
			{Name: "Addresses", JSONPath: "{.addresses}"},
			{Name: "Hosts", JSONPath: "{.hosts}"},
		},
	}
}

// KubePrismConfig is the configuration of the node-local load balancer for the API server.
type KubePrismConfig struct {
	Host      string              `yaml:"host" protobuf:"1"`
	Port      int                 `yaml:"port" protobuf:"2"`
	Endpoints []KubePrismEndpoint `yaml:"endpoints" protobuf:"3"`
}

// Definition implements resource.Spec.
func (KubePrismConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubePrismConfigs.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubePrismConfig",
		Columns: []resource.Column{
			{Name: "Host", JSONPath: "{.host}"},
			{Name: "Port", JSONPath: "{.port}"},
			{Name: "Endpoints", JSONPath: "{.endpoints}"},
		},
	}
}

// KubePrismEndpoints lists the API servers that the node-local load balancer spreads over.
type KubePrismEndpoints struct {
	Endpoints []KubePrismEndpoint `yaml:"endpoints" protobuf:"1"`
}

// Definition implements resource.Spec.
func (KubePrismEndpoints) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubePrismEndpoints.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubePrismEndpoint",
		Columns: []resource.Column{
			{Name: "Hosts", JSONPath: "{.endpoints[*].host}"},
			{Name: "Ports", JSONPath: "{.endpoints[*].port}"},
		},
	}
}

// KubePrismEndpoint is one API server address.
type KubePrismEndpoint struct {
	Host string `yaml:"host" protobuf:"1"`
	Port uint32 `yaml:"port" protobuf:"2"`
}

// KubePrismStatuses is the health of the node-local load balancer.
type KubePrismStatuses struct {
	Host    string `yaml:"host" protobuf:"1"`
	Healthy bool   `yaml:"healthy" protobuf:"2"`
}

// Definition implements resource.Spec.
func (KubePrismStatuses) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubePrismStatuses.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubePrismStatus",
		Columns: []resource.Column{
			{Name: "HOST", JSONPath: "{.host}"},
			{Name: "HEALTHY", JSONPath: "{.healthy}"},
		},
	}
}
