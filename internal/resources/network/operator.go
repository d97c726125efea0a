package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// OperatorSpec is a program that configures a link by itself: DHCP or a shared address.
type OperatorSpec struct {
	Operator    Operator          `yaml:"operator" protobuf:"1"`
	LinkName    string            `yaml:"linkName" protobuf:"2"`
	RequireUp   bool              `yaml:"requireUp" protobuf:"3"`
	DHCP4       DHCP4OperatorSpec `yaml:"dhcp4,omitempty" protobuf:"4"`
	DHCP6       DHCP6OperatorSpec `yaml:"dhcp6,omitempty" protobuf:"5"`
	VIP         VIPOperatorSpec   `yaml:"vip,omitempty" protobuf:"6"`
	ConfigLayer ConfigLayer       `yaml:"layer" protobuf:"7"`
}

// Definition implements resource.Spec.
func (OperatorSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "OperatorSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "OperatorSpec",
		Sensitive:   true,
	}
}

// DHCP4OperatorSpec holds the options of DHCP.
type DHCP4OperatorSpec struct {
	RouteMetric         uint32               `yaml:"routeMetric" protobuf:"1"`
	SkipHostnameRequest bool                 `yaml:"skipHostnameRequest,omitempty" protobuf:"2"`
	ClientIdentifier    ClientIdentifierSpec `yaml:"clientIdentifier,omitempty" protobuf:"3"`
	SkipRoutes          bool                 `yaml:"skipRoutes,omitempty" protobuf:"4"`
}

// DHCP6OperatorSpec holds the options of DHCPv6.
type DHCP6OperatorSpec struct {
	RouteMetric         uint32               `yaml:"routeMetric" protobuf:"2"`
	SkipHostnameRequest bool                 `yaml:"skipHostnameRequest,omitempty" protobuf:"3"`
	ClientIdentifier    ClientIdentifierSpec `yaml:"clientIdentifier,omitempty" protobuf:"4"`
}

// ClientIdentifierSpec is how DHCP names the client.
type ClientIdentifierSpec struct {
	ClientIdentifier ClientIdentifier `yaml:"clientIdentifier" protobuf:"1"`
	DUIDRawHex       string           `yaml:"duidRawHex,omitempty" protobuf:"2"`
}

// VIPOperatorSpec is an address shared between control plane nodes.
type VIPOperatorSpec struct {
	IP            netip.Addr          `yaml:"ip" protobuf:"1"`
	GratuitousARP bool                `yaml:"gratuitousARP" protobuf:"2"`
	EquinixMetal  VIPEquinixMetalSpec `yaml:"equinixMetal,omitempty" protobuf:"3"`
	HCloud        VIPHCloudSpec       `yaml:"hcloud,omitempty" protobuf:"4"`
}

// VIPEquinixMetalSpec moves a shared address through the provider's API.
type VIPEquinixMetalSpec struct {
	ProjectID string `yaml:"projectID" protobuf:"1"`
	DeviceID  string `yaml:"deviceID" protobuf:"2"`
	APIToken  string `yaml:"apiToken" protobuf:"3" redact:"replace"`
}

// VIPHCloudSpec moves a shared address through the provider's API.
type VIPHCloudSpec struct {
	DeviceID  int64  `yaml:"deviceID" protobuf:"1"`
	NetworkID int64  `yaml:"networkID" protobuf:"2"`
	APIToken  string `yaml:"apiToken" protobuf:"3" redact:"replace"`
}

// Operator is a kind of link configuration program.
type Operator int

// Values of Operator.
const (
	OperatorDHCP4 Operator = 0
	OperatorDHCP6 Operator = 1
	OperatorVIP   Operator = 2
)

var operatorNames = enum.Names[Operator]{
	OperatorDHCP4: "dhcp4",
	OperatorDHCP6: "dhcp6",
	OperatorVIP:   "vip",
}

// String returns the text form.
func (o Operator) String() string { return operatorNames.Text(o) }

// MarshalText implements encoding.TextMarshaler.
func (o Operator) MarshalText() ([]byte, error) { return operatorNames.MarshalText(o) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Operator) UnmarshalText(text []byte) error { return operatorNames.UnmarshalText(text, o) }

// ClientIdentifier is what a DHCP client identifies itself by.
type ClientIdentifier int

// Values of ClientIdentifier.
const (
	ClientIdentifierNone ClientIdentifier = 0
	ClientIdentifierMAC  ClientIdentifier = 1
	ClientIdentifierDUID ClientIdentifier = 2
)

var clientIdentifierNames = enum.Names[ClientIdentifier]{
	ClientIdentifierNone: "none",
	ClientIdentifierMAC:  "mac",
	ClientIdentifierDUID: "duid",
}

// String returns the text form.
func (c ClientIdentifier) String() string { return clientIdentifierNames.Text(c) }

// MarshalText implements encoding.TextMarshaler.
func (c ClientIdentifier) MarshalText() ([]byte, error) { return clientIdentifierNames.MarshalText(c) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *ClientIdentifier) UnmarshalText(text []byte) error {
	return clientIdentifierNames.UnmarshalText(text, c)
}
