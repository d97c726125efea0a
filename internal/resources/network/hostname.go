package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
)

// HostnameSpec is a name that the host should have.
type HostnameSpec struct {
	Hostname    string      `yaml:"hostname" protobuf:"1"`
	Domainname  string      `yaml:"domainname" protobuf:"2"`
	ConfigLayer ConfigLayer `yaml:"layer" protobuf:"3"`
}

// Definition implements resource.Spec.
func (HostnameSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "HostnameSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "HostnameSpec",
	}
}

// HostnameStatus is the name of the host.
type HostnameStatus struct {
	Hostname   string `yaml:"hostname" protobuf:"1"`
	Domainname string `yaml:"domainname" protobuf:"2"`
}

// Definition implements resource.Spec.
func (HostnameStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "HostnameStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "HostnameStatus",
		Aliases:     []string{"hostname"},
		Columns: []resource.Column{
			{Name: "Hostname", JSONPath: "{.hostname}"},
			{Name: "Domainname", JSONPath: "{.domainname}"},
		},
	}
}

// StaticHost is an entry of the hosts file; its ID is the address or name.
type StaticHost struct {
	Addresses []netip.Addr `yaml:"addresses" protobuf:"1"`
}

// Definition implements resource.Spec.
func (StaticHost) Definition() resource.Definition {
	return resource.Definition{
		Type:        "StaticHosts.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "StaticHost",
		Columns: []resource.Column{
			{Name: "Addresses", JSONPath: "{.addresses}"},
		},
	}
}
