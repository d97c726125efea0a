package network

import (
	"net/netip"
	"time"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// BGPInstanceConfig is a BGP speaker.
type BGPInstanceConfig struct {
	LocalASN       uint32                  `yaml:"localASN" protobuf:"1"`
	RouterID       netip.Addr              `yaml:"routerID,omitempty" protobuf:"2"`
	RouteSource    netip.Addr              `yaml:"routeSource,omitempty" protobuf:"3"`
	AdvertiseLinks []string                `yaml:"advertiseLinks,omitempty" protobuf:"4"`
	Multipath      bool                    `yaml:"multipath,omitempty" protobuf:"5"`
	MaxPaths       uint8                   `yaml:"maxPaths,omitempty" protobuf:"6"`
	Neighbors      []BGPNeighborConfigSpec `yaml:"neighbors,omitempty" protobuf:"7"`
	VRF            string                  `yaml:"vrf,omitempty" protobuf:"8"`
	VRFTable       RoutingTable            `yaml:"vrfTable,omitempty" protobuf:"9"`
	ImportRoutes   []BGPImportRouteSpec    `yaml:"importRoutes,omitempty" protobuf:"10"`
	InstallRoutes  bool                    `yaml:"installRoutes" protobuf:"11"`
}

// Definition implements resource.Spec.
func (BGPInstanceConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BGPInstanceConfigs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "BGPInstanceConfig",
		Columns: []resource.Column{
			{Name: "Local ASN", JSONPath: "{.localASN}"},
			{Name: "Router ID", JSONPath: "{.routerID}"},
			{Name: "VRF", JSONPath: "{.vrf}"},
			{Name: "Neighbors", JSONPath: "{.neighbors}"},
		},
	}
}

// BGPNeighborConfigSpec is a neighbour of a BGP speaker.
type BGPNeighborConfigSpec struct {
	Address  netip.Addr        `yaml:"address,omitempty" protobuf:"1"`
	Link     string            `yaml:"link,omitempty" protobuf:"2"`
	PeerASN  uint32            `yaml:"peerASN,omitempty" protobuf:"3"`
	HoldTime time.Duration     `yaml:"holdTime,omitempty" protobuf:"4"`
	BFD      *BGPBFDConfigSpec `yaml:"bfd,omitempty" protobuf:"5"`
	LocalASN uint32            `yaml:"localASN,omitempty" protobuf:"6"`
	Passive  bool              `yaml:"passive,omitempty" protobuf:"7"`
}

// BGPBFDConfigSpec holds the options of forwarding detection with a neighbour.
type BGPBFDConfigSpec struct {
	TransmitInterval time.Duration `yaml:"transmitInterval,omitempty" protobuf:"1"`
	ReceiveInterval  time.Duration `yaml:"receiveInterval,omitempty" protobuf:"2"`
	DetectMultiplier uint8         `yaml:"detectMultiplier,omitempty" protobuf:"3"`
}

// BGPImportRouteSpec takes routes from another BGP speaker.
type BGPImportRouteSpec struct {
	BGPInstance string         `yaml:"bgpInstance" protobuf:"1"`
	Prefixes    []netip.Prefix `yaml:"prefixes" protobuf:"2"`
}

// BGPPeerStatus is the session with a neighbour.
type BGPPeerStatus struct {
	Peer       string          `yaml:"peer" protobuf:"1"`
	LocalASN   uint32          `yaml:"localASN" protobuf:"2"`
	PeerASN    uint32          `yaml:"peerASN" protobuf:"3"`
	State      BGPSessionState `yaml:"state" protobuf:"4"`
	RouterID   netip.Addr      `yaml:"routerID,omitempty" protobuf:"5"`
	Since      time.Time       `yaml:"since,omitempty" protobuf:"6"`
	Received   uint32          `yaml:"received" protobuf:"7"`
	Advertised uint32          `yaml:"advertised" protobuf:"8"`
	Accepted   uint32          `yaml:"accepted" protobuf:"9"`
	BFDState   string          `yaml:"bfdState,omitempty" protobuf:"10"`
	Instance   string          `yaml:"instance" protobuf:"11"`
}

// Definition implements resource.Spec.
func (BGPPeerStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BGPPeerStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "BGPPeerStatus",
		Columns: []resource.Column{
			{Name: "Instance", JSONPath: "{.instance}"},
			{Name: "Peer", JSONPath: "{.peer}"},
			{Name: "Peer AS", JSONPath: "{.peerASN}"},
			{Name: "State", JSONPath: "{.state}"},
			{Name: "Since", JSONPath: "{.since}"},
			{Name: "Received", JSONPath: "{.received}"},
		},
	}
}

// BGPSessionState is the state of a BGP session.
type BGPSessionState uint8

// Values of BGPSessionState.
const (
	BGPSessionStateUnknown     BGPSessionState = 0
	BGPSessionStateIdle        BGPSessionState = 1
	BGPSessionStateConnect     BGPSessionState = 2
	BGPSessionStateActive      BGPSessionState = 3
	BGPSessionStateOpenSent    BGPSessionState = 4
	BGPSessionStateOpenConfirm BGPSessionState = 5
	BGPSessionStateEstablished BGPSessionState = 6
)

var bgpSessionStateNames = enum.Names[BGPSessionState]{
	BGPSessionStateUnknown:     "UNKNOWN",
	BGPSessionStateIdle:        "IDLE",
	BGPSessionStateConnect:     "CONNECT",
	BGPSessionStateActive:      "ACTIVE",
	BGPSessionStateOpenSent:    "OPEN_SENT",
	BGPSessionStateOpenConfirm: "OPEN_CONFIRM",
	BGPSessionStateEstablished: "ESTABLISHED",
}

// String returns the text form.
func (b BGPSessionState) String() string { return bgpSessionStateNames.Text(b) }

// MarshalText implements encoding.TextMarshaler.
func (b BGPSessionState) MarshalText() ([]byte, error) { return bgpSessionStateNames.MarshalText(b) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *BGPSessionState) UnmarshalText(text []byte) error {
	return bgpSessionStateNames.UnmarshalText(text, b)
}
