package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// ResolverSpec is the name servers and search domains to use.
type ResolverSpec struct {
	DNSServers              []netip.Addr     `yaml:"dnsServers" protobuf:"1"`
	NameServers             []NameServerSpec `yaml:"nameServers,omitempty" protobuf:"4"`
	ConfigLayer             ConfigLayer      `yaml:"layer" protobuf:"2"`
	SearchDomains           []string         `yaml:"searchDomains,omitempty" protobuf:"3"`
	SearchDomainsOverridden bool             `yaml:"searchDomainsOverridden,omitempty" protobuf:"5"`
}

// Definition implements resource.Spec.
func (ResolverSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ResolverSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ResolverSpec",
		Columns: []resource.Column{
			{Name: "Layer", JSONPath: "{.layer}"},
			{Name: "Resolvers", JSONPath: "{.dnsServers}"},
			{Name: "Search Domains", JSONPath: "{.searchDomains}"},
		},
	}
}

// ResolverStatus is the name servers and search domains in use.
type ResolverStatus struct {
	DNSServers    []netip.Addr     `yaml:"dnsServers" protobuf:"1"`
	NameServers   []NameServerSpec `yaml:"nameServers,omitempty" protobuf:"4"`
	SearchDomains []string         `yaml:"searchDomains" protobuf:"2"`
}

// Definition implements resource.Spec.
func (ResolverStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ResolverStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ResolverStatus",
		Aliases:     []string{"resolvers"},
		Columns: []resource.Column{
			{Name: "Resolvers", JSONPath: "{.dnsServers}"},
			{Name: "Search Domains", JSONPath: "{.searchDomains}"},
		},
	}
}

// NameServerSpec is a name server and how to speak to it.
type NameServerSpec struct {
	Addr          netip.Addr  `yaml:"addr" protobuf:"1"`
	Protocol      DNSProtocol `yaml:"protocol" protobuf:"2"`
	TLSServerName string      `yaml:"tlsServerName" protobuf:"3"`
}

// HostDNSConfig is the setting of the DNS server that runs on the node.
type HostDNSConfig struct {
	Enabled                 bool             `yaml:"enabled" protobuf:"1"`
	ListenAddresses         []netip.AddrPort `yaml:"listenAddresses,omitempty" protobuf:"2"`
	ServiceHostDNSAddress   netip.Addr       `yaml:"serviceHostDNSAddress,omitempty" protobuf:"3"`
	ResolveMemberNames      bool             `yaml:"resolveMemberNames,omitempty" protobuf:"4"`
	ServiceHostDNSAddressV6 netip.Addr       `yaml:"serviceHostDNSAddressV6,omitempty" protobuf:"5"`
}

// Definition implements resource.Spec.
func (HostDNSConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "HostDNSConfigs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "HostDNSConfig",
		Columns: []resource.Column{
			{Name: "Enabled", JSONPath: "{.enabled}"},
		},
	}
}

// DNSUpstream is a name server that the DNS server on the node asks, and its health.
type DNSUpstream struct {
	Healthy bool   `yaml:"healthy"`
	Addr    string `yaml:"addr"`
}

// Definition implements resource.Spec.
func (DNSUpstream) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DNSUpstreams.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DNSUpstream",
		Columns: []resource.Column{
			{Name: "Healthy", JSONPath: "{.healthy}"},
			{Name: "Address", JSONPath: "{.addr}"},
		},
	}
}

// DNSResolveCache is a listener of the DNS server that runs on the node.
type DNSResolveCache struct {
	Status string `yaml:"status" protobuf:"1"`
}

// Definition implements resource.Spec.
func (DNSResolveCache) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DNSResolveCaches.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DNSResolveCach",
		Columns: []resource.Column{
			{Name: "Status", JSONPath: "{.status}"},
		},
	}
}

// DNSProtocol is how a name server is spoken to.
type DNSProtocol uint8

// Values of DNSProtocol.
const (
	DNSProtocolDo53 DNSProtocol = 0
	DNSProtocolDoT  DNSProtocol = 1
	DNSProtocolDoH  DNSProtocol = 2
)

var dnsProtocolNames = enum.Names[DNSProtocol]{
	DNSProtocolDo53: "Do53",
	DNSProtocolDoT:  "DoT",
	DNSProtocolDoH:  "DoH",
}

// String returns the text form.
func (d DNSProtocol) String() string { return dnsProtocolNames.Text(d) }

// MarshalText implements encoding.TextMarshaler.
func (d DNSProtocol) MarshalText() ([]byte, error) { return dnsProtocolNames.MarshalText(d) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *DNSProtocol) UnmarshalText(text []byte) error {
	return dnsProtocolNames.UnmarshalText(text, d)
}
