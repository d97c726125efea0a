package cluster

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/machinetype"
)

// Affiliate is a node that discovery has heard of, before it counts as a member.
type Affiliate struct {
	NodeID          string                `yaml:"nodeId" protobuf:"1"`
	Addresses       []netip.Addr          `yaml:"addresses" protobuf:"2"`
	Hostname        string                `yaml:"hostname" protobuf:"3"`
	Nodename        string                `yaml:"nodename,omitempty" protobuf:"4"`
	OperatingSystem string                `yaml:"operatingSystem" protobuf:"5"`
	MachineType     machinetype.Type      `yaml:"machineType" protobuf:"6"`
	KubeSpan        KubeSpanAffiliateSpec `yaml:"kubespan,omitempty" protobuf:"7"`
	ControlPlane    *ControlPlane         `yaml:"controlPlane,omitempty" protobuf:"8"`
}

// Definition implements resource.Spec.
func (Affiliate) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Affiliates.cluster.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Affiliate",
		Columns: []resource.Column{
			{Name: "Hostname", JSONPath: "{.hostname}"},
			{Name: "Machine Type", JSONPath: "{.machineType}"},
			{Name: "Addresses", JSONPath: "{.addresses}"},
		},
	}
}

// Member is a node that belongs to the cluster.
type Member struct {
	NodeID          string           `yaml:"nodeId" protobuf:"1"`
	Addresses       []netip.Addr     `yaml:"addresses" protobuf:"2"`
	Hostname        string           `yaml:"hostname" protobuf:"3"`
	MachineType     machinetype.Type `yaml:"machineType" protobuf:"4"`
	OperatingSystem string           `yaml:"operatingSystem" protobuf:"5"`
	ControlPlane    *ControlPlane    `yaml:"controlPlane,omitempty" protobuf:"6"`
}

// Definition implements resource.Spec.
func (Member) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Members.cluster.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Member",
		Columns: []resource.Column{
			{Name: "Hostname", JSONPath: "{.hostname}"},
			{Name: "Machine Type", JSONPath: "{.machineType}"},
			{Name: "OS", JSONPath: "{.operatingSystem}"},
			{Name: "Addresses", JSONPath: "{.addresses}"},
		},
	}
}

// KubeSpanAffiliateSpec is what an affiliate publishes for the mesh network.
type KubeSpanAffiliateSpec struct {
	PublicKey                 string           `yaml:"publicKey" protobuf:"1"`
	Address                   netip.Addr       `yaml:"address" protobuf:"2"`
	AdditionalAddresses       []netip.Prefix   `yaml:"additionalAddresses" protobuf:"3"`
	Endpoints                 []netip.AddrPort `yaml:"endpoints" protobuf:"4"`
	ExcludeAdvertisedNetworks []netip.Prefix   `yaml:"excludeAdvertisedNetworks" protobuf:"5"`
}

// ControlPlane is what an affiliate that runs the control plane publishes.
type ControlPlane struct {
	APIServerPort int `yaml:"port" protobuf:"1"`
}

// ServiceEndpoint is a discovery service to publish to.
type ServiceEndpoint struct {
	Name     string `yaml:"name" protobuf:"1"`
	Endpoint string `yaml:"endpoint" protobuf:"2"`
	Insecure bool   `yaml:"insecure" protobuf:"3"`
}
