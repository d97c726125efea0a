package kubespan

import (
	"net/netip"
	"time"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// Endpoint is an address of a peer that was seen to work.
type Endpoint struct {
	AffiliateID string         `yaml:"affiliateID" protobuf:"1"`
	Endpoint    netip.AddrPort `yaml:"endpoint" protobuf:"2"`
}

// Definition implements resource.Spec.
func (Endpoint) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeSpanEndpoints.kubespan.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeSpanEndpoint",
		Columns: []resource.Column{
			{Name: "Endpoint", JSONPath: "{.endpoint}"},
			{Name: "Affiliate ID", JSONPath: "{.affiliateID}"},
		},
	}
}

// PeerSpec is a peer to connect to.
type PeerSpec struct {
	Address    netip.Addr       `yaml:"address" protobuf:"1"`
	AllowedIPs []netip.Prefix   `yaml:"allowedIPs" protobuf:"2"`
	Endpoints  []netip.AddrPort `yaml:"endpoints" protobuf:"3"`
	Label      string           `yaml:"label" protobuf:"4"`
}

// Definition implements resource.Spec.
func (PeerSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeSpanPeerSpecs.kubespan.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeSpanPeerSpec",
		Columns: []resource.Column{
			{Name: "Label", JSONPath: "{.label}"},
			{Name: "Endpoints", JSONPath: "{.endpoints}"},
		},
	}
}

// PeerStatus is the state of the connection to a peer.
type PeerStatus struct {
	Endpoint           netip.AddrPort `yaml:"endpoint" protobuf:"1"`
	Label              string         `yaml:"label" protobuf:"2"`
	State              PeerState      `yaml:"state" protobuf:"3"`
	ReceiveBytes       int64          `yaml:"receiveBytes" protobuf:"4"`
	TransmitBytes      int64          `yaml:"transmitBytes" protobuf:"5"`
	LastHandshakeTime  time.Time      `yaml:"lastHandshakeTime" protobuf:"6"`
	LastUsedEndpoint   netip.AddrPort `yaml:"lastUsedEndpoint" protobuf:"7"`
	LastEndpointChange time.Time      `yaml:"lastEndpointChange" protobuf:"8"`
}

// Definition implements resource.Spec.
func (PeerStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeSpanPeerStatuses.kubespan.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeSpanPeerStatus",
		Columns: []resource.Column{
			{Name: "Label", JSONPath: "{.label}"},
			{Name: "Endpoint", JSONPath: "{.endpoint}"},
			{Name: "State", JSONPath: "{.state}"},
			{Name: "Rx", JSONPath: "{.receiveBytes}"},
			{Name: "Tx", JSONPath: "{.transmitBytes}"},
		},
	}
}

// PeerState is whether a peer answers.
type PeerState int

// Values of PeerState.
const (
	PeerStateUnknown PeerState = 0
	PeerStateUp      PeerState = 1
	PeerStateDown    PeerState = 2
)

var peerStateNames = enum.Names[PeerState]{
	PeerStateUnknown: "unknown",
	PeerStateUp:      "up",
	PeerStateDown:    "down",
}

// String returns the text form.
func (p PeerState) String() string { return peerStateNames.Text(p) }

// MarshalText implements encoding.TextMarshaler.
func (p PeerState) MarshalText() ([]byte, error) { return peerStateNames.MarshalText(p) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PeerState) UnmarshalText(text []byte) error { return peerStateNames.UnmarshalText(text, p) }
