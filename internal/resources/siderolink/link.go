package siderolink

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
)

// Config is how to reach the fleet manager.
type Config struct {
	APIEndpoint string `yaml:"apiEndpoint" protobuf:"1"`
	Host        string `yaml:"host" protobuf:"2"`
	JoinToken   string `yaml:"joinToken" protobuf:"3"`
	Insecure    bool   `yaml:"insecure" protobuf:"4"`
	Tunnel      bool   `yaml:"tunnel" protobuf:"5"`
}

// Definition implements resource.Spec.
func (Config) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SiderolinkConfigs.siderolink.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SiderolinkConfig",
		Columns: []resource.Column{
			{Name: "API Endpoint", JSONPath: "{.apiEndpoint}"},
			{Name: "Tunnel", JSONPath: "{.tunnel}"},
		},
		Sensitive: true,
	}
}

// Status is the state of the link to the fleet manager.
type Status struct {
	Host       string `yaml:"host" protobuf:"1"`
	Connected  bool   `yaml:"connected" protobuf:"2"`
	LinkName   string `yaml:"linkName" protobuf:"3"`
	GRPCTunnel bool   `yaml:"grpcTunnel" protobuf:"4"`
}

// Definition implements resource.Spec.
func (Status) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SiderolinkStatuses.siderolink.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SiderolinkStatus",
		Columns: []resource.Column{
			{Name: "Host", JSONPath: "{.host}"},
			{Name: "Connected", JSONPath: "{.connected}"},
		},
	}
}

// Tunnel is the tunnel that carries the link over gRPC.
type Tunnel struct {
	APIEndpoint string         `yaml:"apiEndpoint" protobuf:"1"`
	LinkName    string         `yaml:"linkName" protobuf:"2"`
	MTU         int            `yaml:"mtu" protobuf:"3"`
	NodeAddress netip.AddrPort `yaml:"nodeAddress" protobuf:"4"`
}

// Definition implements resource.Spec.
func (Tunnel) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SiderolinkTunnels.siderolink.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SiderolinkTunnel",
		Columns: []resource.Column{
			{Name: "API Endpoint", JSONPath: "{.apiEndpoint}"},
			{Name: "Link name", JSONPath: "{.linkName}"},
			{Name: "MTU", JSONPath: "{.mtu}"},
			{Name: "Node address", JSONPath: "{.nodeAddress}"},
		},
		Sensitive: true,
	}
}
