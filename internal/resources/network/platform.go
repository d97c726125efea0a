package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// PlatformConfig is the network configuration that the platform gave.
type PlatformConfig struct {
	Addresses   []AddressSpec             `yaml:"addresses" protobuf:"1"`
	Links       []LinkSpec                `yaml:"links" protobuf:"2"`
	Routes      []RouteSpec               `yaml:"routes" protobuf:"3"`
	Hostnames   []HostnameSpec            `yaml:"hostnames" protobuf:"4"`
	Resolvers   []ResolverSpec            `yaml:"resolvers" protobuf:"5"`
	TimeServers []TimeServerSpec          `yaml:"timeServers" protobuf:"6"`
	Operators   []OperatorSpec            `yaml:"operators" protobuf:"7"`
	ExternalIPs []netip.Addr              `yaml:"externalIPs" protobuf:"8"`
	Probes      []ProbeSpec               `yaml:"probes,omitempty" protobuf:"9"`
	Metadata    *runtime.PlatformMetadata `yaml:"metadata,omitempty" protobuf:"10"`
}

// Definition implements resource.Spec.
func (PlatformConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "PlatformConfigs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "PlatformConfig",
	}
}

// Status is the parts of the network that are ready.
type Status struct {
	AddressReady      bool `yaml:"addressReady" protobuf:"1"`
	ConnectivityReady bool `yaml:"connectivityReady" protobuf:"2"`
	HostnameReady     bool `yaml:"hostnameReady" protobuf:"3"`
	EtcFilesReady     bool `yaml:"etcFilesReady" protobuf:"4"`
}

// Definition implements resource.Spec.
func (Status) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NetworkStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NetworkStatus",
		Aliases:     []string{"netstatus", "netstatuses"},
		Columns: []resource.Column{
			{Name: "Address", JSONPath: "{.addressReady}"},
			{Name: "Connectivity", JSONPath: "{.connectivityReady}"},
			{Name: "Hostname", JSONPath: "{.hostnameReady}"},
			{Name: "Etc", JSONPath: "{.etcFilesReady}"},
		},
	}
}
