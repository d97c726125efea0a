package document

import (
	"net/netip"
	"time"
)

// Link is what all kinds of links have.
type Link struct {
	Up        *bool     `yaml:"up,omitempty"`
	MTU       uint32    `yaml:"mtu,omitempty"`
	Addresses []Address `yaml:"addresses,omitempty" merge:"key=address"`
	Routes    []Route   `yaml:"routes,omitempty"`
	Multicast *bool     `yaml:"multicast,omitempty"`
}

// Address is an address of a link.
type Address struct {
	Address       netip.Prefix `yaml:"address" required:"true"`
	RoutePriority *uint32      `yaml:"routePriority,omitempty"`
}

// Route is a route through a link.
type Route struct {
	Destination netip.Prefix `yaml:"destination,omitempty"` // none: the default route
	Gateway     netip.Addr   `yaml:"gateway,omitempty"`
	Source      netip.Addr   `yaml:"source,omitempty"`
	Metric      uint32       `yaml:"metric,omitempty"`
	MTU         uint32       `yaml:"mtu,omitempty"`
	Table       RoutingTable `yaml:"table,omitempty"`
}

// LinkConfig configures a physical link.
type LinkConfig struct {
	Name string `yaml:"name" required:"true"`
	Link `yaml:",inline"`
}

// LinkAliasConfig gives a physical link another name.
type LinkAliasConfig struct {
	Name     string `yaml:"name" required:"true"` // may contain %d
	Selector Match  `yaml:"selector,omitempty"`
}

// BondConfig is a bond of links.
type BondConfig struct {
	Name            string       `yaml:"name" required:"true"`
	HardwareAddr    HardwareAddr `yaml:"hardwareAddr,omitempty"`
	Links           []string     `yaml:"links" required:"true"`
	BondMode        string       `yaml:"bondMode" required:"true" enum:"balance-rr|active-backup|balance-xor|broadcast|802.3ad|balance-tlb|balance-alb"`
	MIIMon          *uint32      `yaml:"miimon,omitempty"`    // milliseconds
	UpDelay         *uint32      `yaml:"updelay,omitempty"`   // milliseconds
	DownDelay       *uint32      `yaml:"downdelay,omitempty"` // milliseconds
	UseCarrier      *bool        `yaml:"useCarrier,omitempty"`
	XmitHashPolicy  string       `yaml:"xmitHashPolicy,omitempty" enum:"layer2|layer3+4|layer2+3|encap2+3|encap3+4"`
	ARPInterval     *uint32      `yaml:"arpInterval,omitempty"` // milliseconds
	ARPIPTargets    []netip.Addr `yaml:"arpIpTargets,omitempty"`
	NSIP6Targets    []netip.Addr `yaml:"nsIp6Targets,omitempty"`
	ARPValidate     string       `yaml:"arpValidate,omitempty" enum:"none|active|backup|all|filter|filter-active|filter-backup"`
	ARPAllTargets   string       `yaml:"arpAllTargets,omitempty" enum:"any|all"`
	LACPRate        string       `yaml:"lacpRate,omitempty" enum:"slow|fast"`
	FailOverMAC     string       `yaml:"failOverMac,omitempty" enum:"none|active|follow"`
	ADSelect        string       `yaml:"adSelect,omitempty" enum:"stable|bandwidth|count"`
	ADActorSysPrio  *uint16      `yaml:"adActorSysPrio,omitempty"`
	ADUserPortKey   *uint16      `yaml:"adUserPortKey,omitempty"`
	ADLACPActive    string       `yaml:"adLACPActive,omitempty" enum:"on|off"`
	Primary         string       `yaml:"primary,omitempty"`
	PrimaryReselect string       `yaml:"primaryReselect,omitempty" enum:"always|better|failure"`
	ResendIGMP      *uint32      `yaml:"resendIGMP,omitempty"`
	MinLinks        *uint32      `yaml:"minLinks,omitempty"`
	LPInterval      *uint32      `yaml:"lpInterval,omitempty"` // seconds
	PacketsPerSlave *uint32      `yaml:"packetsPerSlave,omitempty"`
	NumPeerNotif    *uint8       `yaml:"numPeerNotif,omitempty"`
	TLBLogicalLB    *uint8       `yaml:"tlbLogicalLb,omitempty"`
	AllSlavesActive *uint8       `yaml:"allSlavesActive,omitempty"`
	PeerNotifDelay  *uint32      `yaml:"peerNotifDelay,omitempty"` // milliseconds
	MissedMax       *uint8       `yaml:"missedMax,omitempty"`
	Link            `yaml:",inline"`
}

// BridgeConfig is a bridge of links.
type BridgeConfig struct {
	Name         string       `yaml:"name" required:"true"`
	HardwareAddr HardwareAddr `yaml:"hardwareAddr,omitempty"`
	Links        []string     `yaml:"links" required:"true"`
	STP          *BridgeSTP   `yaml:"stp,omitempty"`
	VLAN         *BridgeVLAN  `yaml:"vlan,omitempty"`
	Link         `yaml:",inline"`
}

// BridgeSTP is the spanning tree protocol of a bridge.
type BridgeSTP struct {
	Enabled *bool `yaml:"enabled,omitempty"`
}

// BridgeVLAN is VLAN handling of a bridge.
type BridgeVLAN struct {
	Filtering *bool `yaml:"filtering,omitempty"`
}

// DummyLinkConfig is a link that leads nowhere.
type DummyLinkConfig struct {
	Name         string       `yaml:"name" required:"true"`
	HardwareAddr HardwareAddr `yaml:"hardwareAddr,omitempty"`
	Link         `yaml:",inline"`
}

// VethConfig is a pair of virtual Ethernet links.
type VethConfig struct {
	Name string   `yaml:"name" required:"true"`
	Peer VethPeer `yaml:"peer" required:"true"`
	Link `yaml:",inline"`
}

// VethPeer is the other end of a pair.
type VethPeer struct {
	Name string `yaml:"name" required:"true"`
	Link `yaml:",inline"`
}

// VLANConfig is a VLAN over a link.
type VLANConfig struct {
	Name     string `yaml:"name" required:"true"`
	VLANID   uint16 `yaml:"vlanID" required:"true" min:"1" max:"4095"`
	VLANMode string `yaml:"vlanMode,omitempty" enum:"802.1q|802.1ad"`
	Parent   string `yaml:"parent" required:"true"`
	Link     `yaml:",inline"`
}

// VRFConfig is a routing domain with its links.
type VRFConfig struct {
	Name         string       `yaml:"name" required:"true"`
	HardwareAddr HardwareAddr `yaml:"hardwareAddr,omitempty"`
	Links        []string     `yaml:"links" required:"true"`
	Table        RoutingTable `yaml:"table" required:"true"`
	Link         `yaml:",inline"`
}

// WireguardConfig is a WireGuard link.
type WireguardConfig struct {
	Name         string          `yaml:"name" required:"true"`
	PrivateKey   string          `yaml:"privateKey" required:"true" secret:"true"` // base64
	ListenPort   int             `yaml:"listenPort,omitempty" min:"0" max:"65535"`
	FirewallMark int             `yaml:"firewallMark,omitempty"`
	Peers        []WireguardPeer `yaml:"peers,omitempty" merge:"key=publicKey"`
	Link         `yaml:",inline"`
}

// WireguardPeer is a peer of a WireGuard link.
type WireguardPeer struct {
	PublicKey                   string         `yaml:"publicKey" required:"true"` // base64
	PresharedKey                string         `yaml:"presharedKey,omitempty" secret:"true"`
	Endpoint                    netip.AddrPort `yaml:"endpoint,omitempty"`
	PersistentKeepaliveInterval time.Duration  `yaml:"persistentKeepaliveInterval,omitempty"`
	AllowedIPs                  []netip.Prefix `yaml:"allowedIPs,omitempty"`
}

// EthernetConfig tunes an Ethernet device.
type EthernetConfig struct {
	Name      string            `yaml:"name" required:"true"`
	Features  map[string]bool   `yaml:"features,omitempty"`
	Rings     *EthernetRings    `yaml:"rings,omitempty"`
	Channels  *EthernetChannels `yaml:"channels,omitempty"`
	WakeOnLAN []string          `yaml:"wakeOnLan,omitempty" enum:"phy|unicast|multicast|broadcast|arp|magic|magicsecure|filter"`
}

// EthernetRings are ring buffer sizes.
type EthernetRings struct {
	RX           *uint32 `yaml:"rx,omitempty"`
	TX           *uint32 `yaml:"tx,omitempty"`
	RXMini       *uint32 `yaml:"rx-mini,omitempty"`
	RXJumbo      *uint32 `yaml:"rx-jumbo,omitempty"`
	RXBufLen     *uint32 `yaml:"rx-buf-len,omitempty"`
	CQESize      *uint32 `yaml:"cqe-size,omitempty"`
	TXPush       *bool   `yaml:"tx-push,omitempty"`
	RXPush       *bool   `yaml:"rx-push,omitempty"`
	TXPushBufLen *uint32 `yaml:"tx-push-buf-len,omitempty"`
	TCPDataSplit *bool   `yaml:"tcp-data-split,omitempty"`
}

// EthernetChannels are numbers of queues.
type EthernetChannels struct {
	RX       *uint32 `yaml:"rx,omitempty"`
	TX       *uint32 `yaml:"tx,omitempty"`
	Other    *uint32 `yaml:"other,omitempty"`
	Combined *uint32 `yaml:"combined,omitempty"`
}
