package network

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// EthernetSpec is the wanted setting of an Ethernet adapter.
type EthernetSpec struct {
	Rings     EthernetRingsSpec    `yaml:"rings,omitempty" protobuf:"1"`
	Features  map[string]bool      `yaml:"features,omitempty" protobuf:"2"`
	Channels  EthernetChannelsSpec `yaml:"channels,omitempty" protobuf:"3"`
	WakeOnLAN []WOLMode            `yaml:"wakeOnLan,omitempty" protobuf:"4"`
}

// Definition implements resource.Spec.
func (EthernetSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EthernetSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EthernetSpec",
	}
}

// EthernetStatus is the setting of an Ethernet adapter.
type EthernetStatus struct {
	LinkState     *bool                     `yaml:"linkState,omitempty" protobuf:"1"`
	SpeedMegabits int                       `yaml:"speedMbit,omitempty" protobuf:"2"`
	Port          Port                      `yaml:"port" protobuf:"3"`
	Duplex        Duplex                    `yaml:"duplex" protobuf:"4"`
	OurModes      []string                  `yaml:"ourModes,omitempty" protobuf:"5"`
	PeerModes     []string                  `yaml:"peerModes,omitempty" protobuf:"6"`
	Rings         *EthernetRingsStatus      `yaml:"rings,omitempty" protobuf:"7"`
	Features      EthernetFeatureStatusList `yaml:"features,omitempty" protobuf:"8"`
	Channels      *EthernetChannelsStatus   `yaml:"channels,omitempty" protobuf:"9"`
	WakeOnLAN     []WOLMode                 `yaml:"wakeOnLAN,omitempty" protobuf:"10"`
}

// Definition implements resource.Spec.
func (EthernetStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EthernetStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EthernetStatus",
		Aliases:     []string{"ethtool"},
		Columns: []resource.Column{
			{Name: "Link", JSONPath: "{.linkState}"},
			{Name: "Speed", JSONPath: "{.speedMbit}"},
		},
	}
}

// EthernetRingsSpec is the wanted ring sizes of an adapter.
type EthernetRingsSpec struct {
	RX           *uint32 `yaml:"rx,omitempty" protobuf:"1"`
	TX           *uint32 `yaml:"tx,omitempty" protobuf:"4"`
	RXMini       *uint32 `yaml:"rx-mini,omitempty" protobuf:"2"`
	RXJumbo      *uint32 `yaml:"rx-jumbo,omitempty" protobuf:"3"`
	RXBufLen     *uint32 `yaml:"rx-buf-len,omitempty" protobuf:"5"`
	CQESize      *uint32 `yaml:"cqe-size,omitempty" protobuf:"6"`
	TXPush       *bool   `yaml:"tx-push,omitempty" protobuf:"7"`
	RXPush       *bool   `yaml:"rx-push,omitempty" protobuf:"8"`
	TXPushBufLen *uint32 `yaml:"tx-push-buf-len,omitempty" protobuf:"9"`
	TCPDataSplit *bool   `yaml:"tcp-data-split,omitempty" protobuf:"10"`
}

// EthernetRingsStatus is the ring sizes of an adapter and their limits.
type EthernetRingsStatus struct {
	RXMax           *uint32 `yaml:"rx-max,omitempty" protobuf:"1"`
	RXMiniMax       *uint32 `yaml:"rx-mini-max,omitempty" protobuf:"2"`
	RXJumboMax      *uint32 `yaml:"rx-jumbo-max,omitempty" protobuf:"3"`
	TXMax           *uint32 `yaml:"tx-max,omitempty" protobuf:"4"`
	TXPushBufLenMax *uint32 `yaml:"tx-push-buf-len-max,omitempty" protobuf:"5"`
	RX              *uint32 `yaml:"rx,omitempty" protobuf:"6"`
	RXMini          *uint32 `yaml:"rx-mini,omitempty" protobuf:"7"`
	RXJumbo         *uint32 `yaml:"rx-jumbo,omitempty" protobuf:"8"`
	TX              *uint32 `yaml:"tx,omitempty" protobuf:"9"`
	RXBufLen        *uint32 `yaml:"rx-buf-len,omitempty" protobuf:"10"`
	CQESize         *uint32 `yaml:"cqe-size,omitempty" protobuf:"11"`
	TXPush          *bool   `yaml:"tx-push,omitempty" protobuf:"12"`
	RXPush          *bool   `yaml:"rx-push,omitempty" protobuf:"13"`
	TXPushBufLen    *uint32 `yaml:"tx-push-buf-len,omitempty" protobuf:"14"`
	TCPDataSplit    *bool   `yaml:"tcp-data-split,omitempty" protobuf:"15"`
}

// EthernetChannelsSpec is the wanted number of an adapter's queues.
type EthernetChannelsSpec struct {
	RX       *uint32 `yaml:"rx,omitempty" protobuf:"1"`
	TX       *uint32 `yaml:"tx,omitempty" protobuf:"2"`
	Other    *uint32 `yaml:"other,omitempty" protobuf:"3"`
	Combined *uint32 `yaml:"combined,omitempty" protobuf:"4"`
}

// EthernetChannelsStatus is the number of an adapter's queues and its limits.
type EthernetChannelsStatus struct {
	RXMax       *uint32 `yaml:"rx-max,omitempty" protobuf:"1"`
	TXMax       *uint32 `yaml:"tx-max,omitempty" protobuf:"2"`
	OtherMax    *uint32 `yaml:"other-max,omitempty" protobuf:"3"`
	CombinedMax *uint32 `yaml:"combined-max,omitempty" protobuf:"4"`
	RX          *uint32 `yaml:"rx,omitempty" protobuf:"5"`
	TX          *uint32 `yaml:"tx,omitempty" protobuf:"6"`
	Other       *uint32 `yaml:"other,omitempty" protobuf:"7"`
	Combined    *uint32 `yaml:"combined,omitempty" protobuf:"8"`
}

// EthernetFeatureStatus is one offload feature of an adapter.
type EthernetFeatureStatus struct {
	Name   string `yaml:"name" protobuf:"1"`
	Status string `yaml:"status" protobuf:"2"`
}

// WOLMode is an event that wakes the machine over the network.
type WOLMode int

// Values of WOLMode.
const (
	WOLModePHY         WOLMode = 1
	WOLModeUnicast     WOLMode = 2
	WOLModeMulticast   WOLMode = 4
	WOLModeBroadcast   WOLMode = 8
	WOLModeMagic       WOLMode = 32
	WOLModeMagicSecure WOLMode = 64
	WOLModeFilter      WOLMode = 128
)

var wolModeNames = enum.Names[WOLMode]{
	WOLModePHY:         "phy",
	WOLModeUnicast:     "unicast",
	WOLModeMulticast:   "multicast",
	WOLModeBroadcast:   "broadcast",
	WOLModeMagic:       "magic",
	WOLModeMagicSecure: "magicsecure",
	WOLModeFilter:      "filter",
}

// String returns the text form.
func (w WOLMode) String() string { return wolModeNames.Text(w) }

// MarshalText implements encoding.TextMarshaler.
func (w WOLMode) MarshalText() ([]byte, error) { return wolModeNames.MarshalText(w) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *WOLMode) UnmarshalText(text []byte) error { return wolModeNames.UnmarshalText(text, w) }
