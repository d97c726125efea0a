package etcd

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
)

// Config is the configured part of the etcd member.
type Config struct {
	AdvertiseValidSubnets   []string             `yaml:"advertiseValidSubnets,omitempty" protobuf:"1"`
	AdvertiseExcludeSubnets []string             `yaml:"advertiseExcludeSubnets" protobuf:"2"`
	ListenValidSubnets      []string             `yaml:"listenValidSubnets,omitempty" protobuf:"5"`
	ListenExcludeSubnets    []string             `yaml:"listenExcludeSubnets" protobuf:"6"`
	Image                   string               `yaml:"image" protobuf:"3"`
	ExtraArgs               map[string]ArgValues `yaml:"extraArgs" protobuf:"7"`
}

// Definition implements resource.Spec.
func (Config) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcdConfigs.etcd.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcdConfig",
		Columns: []resource.Column{
			{Name: "Image", JSONPath: "{.image}"},
		},
	}
}

// Spec is all that is needed to start the etcd member.
type Spec struct {
	Name                  string               `yaml:"name" protobuf:"1"`
	AdvertisedAddresses   []netip.Addr         `yaml:"advertisedAddresses" protobuf:"2"`
	ListenPeerAddresses   []netip.Addr         `yaml:"listenPeerAddresses" protobuf:"5"`
	ListenClientAddresses []netip.Addr         `yaml:"listenClientAddresses" protobuf:"6"`
	Image                 string               `yaml:"image" protobuf:"3"`
	ExtraArgs             map[string]ArgValues `yaml:"extraArgs" protobuf:"7"`
}

// Definition implements resource.Spec.
func (Spec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcdSpecs.etcd.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcdSpec",
		Columns: []resource.Column{
			{Name: "Name", JSONPath: "{.name}"},
			{Name: "AdvertisedAddresses", JSONPath: "{.advertisedAddresses}"},
			{Name: "ListenPeerAddresses", JSONPath: "{.listenPeerAddresses}"},
			{Name: "ListenClientAddresses", JSONPath: "{.listenClientAddresses}"},
		},
	}
}

// Member is the identity of this node's etcd member.
type Member struct {
	MemberID string `yaml:"memberID" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Member) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcdMembers.etcd.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcdMember",
		Columns: []resource.Column{
			{Name: "Member ID", JSONPath: "{.memberID}"},
		},
	}
}

// PKIStatus says that the certificates of etcd are on disk, and of which version.
type PKIStatus struct {
	Ready   bool   `yaml:"ready" protobuf:"1"`
	Version string `yaml:"version" protobuf:"2"`
}

// Definition implements resource.Spec.
func (PKIStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "PKIStatuses.etcd.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "PKIStatus",
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: "{.ready}"},
			{Name: "Secrets Version", JSONPath: "{.version}"},
		},
	}
}

// ArgValues is the values of one command-line flag, in order.
type ArgValues struct {
	Values []string `yaml:"values" protobuf:"1"`
}
