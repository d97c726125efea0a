package document

import (
	"net/netip"
	"time"
)

// HostnameConfig names the machine.
type HostnameConfig struct {
	Auto     string `yaml:"auto,omitempty" enum:"stable|off"` // default stable without a hostname
	Hostname string `yaml:"hostname,omitempty"`
}

// ResolverConfig configures DNS.
type ResolverConfig struct {
	Nameservers   []Nameserver   `yaml:"nameservers,omitempty" merge:"replace"`
	SearchDomains *SearchDomains `yaml:"searchDomains,omitempty"`
	HostDNS       *HostDNS       `yaml:"hostDNS,omitempty"`
}

// Nameserver is a DNS server.
type Nameserver struct {
	Address       netip.Addr `yaml:"address,omitempty"`
	Protocol      string     `yaml:"protocol,omitempty" enum:"Do53|DoT|DoH"`
	TLSServerName string     `yaml:"tlsServerName,omitempty"`
}

// SearchDomains complete short names.
type SearchDomains struct {
	Domains        []string `yaml:"domains,omitempty" merge:"replace"`
	DisableDefault *bool    `yaml:"disableDefault,omitempty"` // not the machine's own domain
}

// HostDNS is the machine's caching resolver.
type HostDNS struct {
	Enabled              *bool `yaml:"enabled,omitempty"`
	ForwardKubeDNSToHost *bool `yaml:"forwardKubeDNSToHost,omitempty"`
	ResolveMemberNames   *bool `yaml:"resolveMemberNames,omitempty"`
}

// StaticHostConfig is a line of /etc/hosts; its name is the address.
type StaticHostConfig struct {
	Name      string   `yaml:"name" required:"true"`
	Hostnames []string `yaml:"hostnames,omitempty"`
}

// TimeSyncConfig keeps the clock right.
type TimeSyncConfig struct {
	Enabled     *bool         `yaml:"enabled,omitempty"`     // default true
	BootTimeout time.Duration `yaml:"bootTimeout,omitempty"` // zero: wait for ever
	NTP         *NTP          `yaml:"ntp,omitempty"`
	PTP         *PTP          `yaml:"ptp,omitempty"`
}

// NTP are time servers.
type NTP struct {
	Servers []string `yaml:"servers,omitempty" merge:"replace"`
	UseNTS  *bool    `yaml:"useNTS,omitempty"`
}

// PTP are clock devices.
type PTP struct {
	Devices []string `yaml:"devices,omitempty" merge:"replace"`
}

// DHCPv4Config asks for an IPv4 address; its name is the link.
type DHCPv4Config struct {
	Name             string       `yaml:"name" required:"true"`
	RouteMetric      uint32       `yaml:"routeMetric,omitempty"`
	IgnoreHostname   *bool        `yaml:"ignoreHostname,omitempty"`
	IgnoreRoutes     *bool        `yaml:"ignoreRoutes,omitempty"`
	ClientIdentifier string       `yaml:"clientIdentifier,omitempty" enum:"none|mac|duid"`
	DUIDRaw          HardwareAddr `yaml:"duidRaw,omitempty" pattern:"^([0-9a-fA-F]{2}(:[0-9a-fA-F]{2})+)$"`
}

// DHCPv6Config asks for an IPv6 address; its name is the link.
type DHCPv6Config struct {
	Name             string       `yaml:"name" required:"true"`
	RouteMetric      uint32       `yaml:"routeMetric,omitempty"`
	IgnoreHostname   *bool        `yaml:"ignoreHostname,omitempty"`
	ClientIdentifier string       `yaml:"clientIdentifier,omitempty" enum:"none|mac|duid"`
	DUIDRaw          HardwareAddr `yaml:"duidRaw,omitempty" pattern:"^([0-9a-fA-F]{2}(:[0-9a-fA-F]{2})+)$"`
}

// Layer2VIPConfig is an address that moves between machines; its name is the
// address.
type Layer2VIPConfig struct {
	Name string `yaml:"name" required:"true"`
	Link string `yaml:"link,omitempty"`
}

// HCloudVIPConfig is an address that Hetzner Cloud moves between machines; its
// name is the address.
type HCloudVIPConfig struct {
	Name     string `yaml:"name" required:"true"`
	Link     string `yaml:"link,omitempty"`
	APIToken string `yaml:"apiToken,omitempty" secret:"true"`
}

// BlackholeRouteConfig drops what goes to a network; its name is the network.
type BlackholeRouteConfig struct {
	Name   string `yaml:"name" required:"true"`
	Metric uint32 `yaml:"metric,omitempty"`
}

// RoutingRuleConfig is a rule of policy routing; its name is the priority.
type RoutingRuleConfig struct {
	Name    string       `yaml:"name" required:"true"`
	Src     netip.Prefix `yaml:"src,omitempty"`
	Dst     netip.Prefix `yaml:"dst,omitempty"`
	Table   RoutingTable `yaml:"table" required:"true"`
	Action  string       `yaml:"action,omitempty" enum:"unicast|blackhole|unreachable|prohibit"` // default unicast
	IIFName string       `yaml:"iifName,omitempty"`
	OIFName string       `yaml:"oifName,omitempty"`
	FWMark  uint32       `yaml:"fwMark,omitempty"`
	FWMask  uint32       `yaml:"fwMask,omitempty"`
}

// KubeSpanConfig makes a WireGuard mesh of the cluster's machines.
type KubeSpanConfig struct {
	Enabled                     *bool            `yaml:"enabled,omitempty"`
	AdvertiseKubernetesNetworks *bool            `yaml:"advertiseKubernetesNetworks,omitempty"`
	AllowDownPeerBypass         *bool            `yaml:"allowDownPeerBypass,omitempty"`
	HarvestExtraEndpoints       *bool            `yaml:"harvestExtraEndpoints,omitempty"`
	MTU                         *uint32          `yaml:"mtu,omitempty"` // default 1420
	Filters                     *KubeSpanFilters `yaml:"filters,omitempty"`
}

// KubeSpanFilters choose what a machine announces.
type KubeSpanFilters struct {
	Endpoints                 []string       `yaml:"endpoints,omitempty"`
	ExcludeAdvertisedNetworks []netip.Prefix `yaml:"excludeAdvertisedNetworks,omitempty"`
}

// KubeSpanEndpoints adds endpoints to what a machine announces.
type KubeSpanEndpoints struct {
	ExtraAnnouncedEndpoints []netip.AddrPort `yaml:"extraAnnouncedEndpoints,omitempty"`
}

// NetworkDefaultActionConfig is what the firewall does without a rule.
type NetworkDefaultActionConfig struct {
	Ingress string `yaml:"ingress,omitempty" enum:"accept|block"`
}

// NetworkRuleConfig lets traffic through the firewall.
type NetworkRuleConfig struct {
	Name         string        `yaml:"name" required:"true"`
	PortSelector PortSelector  `yaml:"portSelector,omitempty"`
	Ingress      []IngressRule `yaml:"ingress,omitempty" merge:"replace"`
}

// PortSelector is the ports of a rule.
type PortSelector struct {
	Ports    []PortRange `yaml:"ports,omitempty" merge:"replace"`
	Protocol string      `yaml:"protocol,omitempty" enum:"tcp|udp|icmp|icmpv6"`
}

// IngressRule is the senders of a rule.
type IngressRule struct {
	Subnet netip.Prefix `yaml:"subnet,omitempty"`
	Except netip.Prefix `yaml:"except,omitempty"`
}

// TCPProbeConfig checks that a TCP connection can be made.
type TCPProbeConfig struct {
	Name             string        `yaml:"name" required:"true"`
	Interval         time.Duration `yaml:"interval,omitempty"`
	FailureThreshold int           `yaml:"failureThreshold,omitempty"`
	Endpoint         string        `yaml:"endpoint" required:"true"` // host:port
	Timeout          time.Duration `yaml:"timeout,omitempty"`
}

// HTTPProbeConfig checks that an HTTP request is answered.
type HTTPProbeConfig struct {
	Name             string        `yaml:"name" required:"true"`
	Interval         time.Duration `yaml:"interval,omitempty"`
	FailureThreshold int           `yaml:"failureThreshold,omitempty"`
	URL              URL           `yaml:"url" required:"true" scheme:"http|https"`
	Timeout          time.Duration `yaml:"timeout,omitempty"`
}

// BGPInstanceConfig is a BGP router.
type BGPInstanceConfig struct {
	Name          string            `yaml:"name" required:"true"`
	VRF           string            `yaml:"vrf,omitempty"`
	LocalASN      uint32            `yaml:"localASN" required:"true"`
	RouterID      netip.Addr        `yaml:"routerID,omitempty"`
	RouteSource   netip.Addr        `yaml:"routeSource,omitempty"`
	Advertise     []string          `yaml:"advertise,omitempty"`
	Multipath     *bool             `yaml:"multipath,omitempty"`
	MaxPaths      uint8             `yaml:"maxPaths,omitempty"`
	InstallRoutes *bool             `yaml:"installRoutes,omitempty"`
	ImportRoutes  []BGPImportRoutes `yaml:"importRoutes,omitempty"`
	Neighbors     []BGPNeighbor     `yaml:"neighbors,omitempty"`
}

// BGPImportRoutes takes routes over from another instance.
type BGPImportRoutes struct {
	BGPInstance string         `yaml:"bgpInstance" required:"true"`
	Prefixes    []netip.Prefix `yaml:"prefixes" required:"true"`
}

// BGPNeighbor is a peer, by address or by link.
type BGPNeighbor struct {
	Address  netip.Addr    `yaml:"address,omitempty"`
	Link     string        `yaml:"link,omitempty"`
	PeerASN  uint32        `yaml:"peerASN,omitempty"`
	LocalASN uint32        `yaml:"localASN,omitempty"`
	Passive  *bool         `yaml:"passive,omitempty"`
	HoldTime time.Duration `yaml:"holdTime,omitempty"`
	BFD      *BGPBFD       `yaml:"bfd,omitempty"`
}

// BGPBFD detects dead paths to a peer.
type BGPBFD struct {
	TransmitInterval time.Duration `yaml:"transmitInterval,omitempty"`
	ReceiveInterval  time.Duration `yaml:"receiveInterval,omitempty"`
	DetectMultiplier uint8         `yaml:"detectMultiplier,omitempty"`
}
