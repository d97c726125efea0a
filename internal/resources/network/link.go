package network

import (
	"maps"
	"slices"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// LinkSpec is a link that should exist, and how it is set up.
type LinkSpec struct {
	Name            string           `yaml:"name" protobuf:"1"`
	Logical         bool             `yaml:"logical" protobuf:"2"`
	Up              bool             `yaml:"up" protobuf:"3"`
	MTU             uint32           `yaml:"mtu" protobuf:"4"`
	Kind            string           `yaml:"kind" protobuf:"5"`
	Type            LinkType         `yaml:"type" protobuf:"6"`
	HardwareAddress MAC              `yaml:"hardwareAddr,omitempty" protobuf:"15"`
	ParentName      string           `yaml:"parentName,omitempty" protobuf:"7"`
	BondSlave       BondSlave        `yaml:",omitempty,inline" protobuf:"8"`
	BridgeSlave     BridgeSlave      `yaml:"bridgeSlave,omitempty" protobuf:"9"`
	VRFSlave        VRFSlave         `yaml:"vrfSlave,omitempty" protobuf:"18"`
	VLAN            VLANSpec         `yaml:"vlan,omitempty" protobuf:"10"`
	BondMaster      BondMasterSpec   `yaml:"bondMaster,omitempty" protobuf:"11"`
	BridgeMaster    BridgeMasterSpec `yaml:"bridgeMaster,omitempty" protobuf:"12"`
	VRFMaster       VRFMasterSpec    `yaml:"vrfMaster,omitempty" protobuf:"17"`
	Wireguard       WireguardSpec    `yaml:"wireguard,omitempty" protobuf:"13"`
	Veth            VethSpec         `yaml:"veth,omitempty" protobuf:"19"`
	ConfigLayer     ConfigLayer      `yaml:"layer" protobuf:"14"`
	Multicast       *bool            `yaml:"multicast,omitempty" protobuf:"16"`
}

// Definition implements resource.Spec.
func (LinkSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LinkSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LinkSpec",
		Sensitive:   true,
	}
}

// LinkStatus is a link of the kernel.
type LinkStatus struct {
	Alias            string           `yaml:"alias,omitempty" protobuf:"31"`
	AltNames         []string         `yaml:"altNames,omitempty" protobuf:"32"`
	Index            uint32           `yaml:"index" protobuf:"1"`
	Type             LinkType         `yaml:"type" protobuf:"2"`
	LinkIndex        uint32           `yaml:"linkIndex" protobuf:"3"`
	Flags            LinkFlags        `yaml:"flags" protobuf:"4"`
	HardwareAddr     MAC              `yaml:"hardwareAddr" protobuf:"5"`
	PermanentAddr    MAC              `yaml:"permanentAddr" protobuf:"30"`
	BroadcastAddr    MAC              `yaml:"broadcastAddr" protobuf:"6"`
	MTU              uint32           `yaml:"mtu" protobuf:"7"`
	QueueDisc        string           `yaml:"queueDisc" protobuf:"8"`
	MasterIndex      uint32           `yaml:"masterIndex,omitempty" protobuf:"9"`
	OperationalState OperationalState `yaml:"operationalState" protobuf:"10"`
	Kind             string           `yaml:"kind" protobuf:"11"`
	SlaveKind        string           `yaml:"slaveKind" protobuf:"12"`
	BusPath          string           `yaml:"busPath,omitempty" protobuf:"13"`
	PCIID            string           `yaml:"pciID,omitempty" protobuf:"14"`
	Driver           string           `yaml:"driver,omitempty" protobuf:"15"`
	DriverVersion    string           `yaml:"driverVersion,omitempty" protobuf:"16"`
	FirmwareVersion  string           `yaml:"firmwareVersion,omitempty" protobuf:"17"`
	ProductID        string           `yaml:"productID,omitempty" protobuf:"18"`
	VendorID         string           `yaml:"vendorID,omitempty" protobuf:"19"`
	Product          string           `yaml:"product,omitempty" protobuf:"20"`
	Vendor           string           `yaml:"vendor,omitempty" protobuf:"21"`
	LinkState        bool             `yaml:"linkState" protobuf:"22"`
	SpeedMegabits    int              `yaml:"speedMbit,omitempty" protobuf:"23"`
	Port             Port             `yaml:"port" protobuf:"24"`
	Duplex           Duplex           `yaml:"duplex" protobuf:"25"`
	VLAN             VLANSpec         `yaml:"vlan,omitempty" protobuf:"26"`
	BridgeMaster     BridgeMasterSpec `yaml:"bridgeMaster,omitempty" protobuf:"27"`
	BondMaster       BondMasterSpec   `yaml:"bondMaster,omitempty" protobuf:"28"`
	VRFMaster        VRFMasterSpec    `yaml:"vrfMaster,omitempty" protobuf:"33"`
	Wireguard        WireguardSpec    `yaml:"wireguard,omitempty" protobuf:"29"`
	Veth             VethSpec         `yaml:"veth,omitempty" protobuf:"34"`
}

// Definition implements resource.Spec.
func (LinkStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LinkStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LinkStatus",
		Aliases:     []string{"link", "links"},
		Columns: []resource.Column{
			{Name: "Alias", JSONPath: "{.alias}"},
			{Name: "Type", JSONPath: "{.type}"},
			{Name: "Kind", JSONPath: "{.kind}"},
			{Name: "Hw Addr", JSONPath: "{.hardwareAddr}"},
			{Name: "Oper State", JSONPath: "{.operationalState}"},
			{Name: "Link State", JSONPath: "{.linkState}"},
		},
	}
}

// Physical reports whether the link is an adapter: one that nobody made.
func (s LinkStatus) Physical() bool { return s.Type == LinkTypeEther && s.Kind == "" }

// LinkNamed finds the link that has a name: its own, which is that of the map,
// before an alias, and that before an alternative one.
func LinkNamed(links map[string]LinkStatus, name string) (own string, ok bool) {
	if _, ok := links[name]; ok || name == "" {
		return name, ok
	}

	for _, has := range []func(LinkStatus) bool{
		func(s LinkStatus) bool { return s.Alias == name },
		func(s LinkStatus) bool { return slices.Contains(s.AltNames, name) },
	} {
		for _, own := range slices.Sorted(maps.Keys(links)) {
			if has(links[own]) {
				return own, true
			}
		}
	}

	return "", false
}

// LinkAliasSpec is another name for a link, which is its ID.
type LinkAliasSpec struct {
	Alias string `yaml:"alias" protobuf:"1"`
}

// Definition implements resource.Spec.
func (LinkAliasSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LinkAliasSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LinkAliasSpec",
		Columns: []resource.Column{
			{Name: "Alias", JSONPath: "{.alias}"},
		},
	}
}

// LinkRefresh asks for the links to be read again; the generation rises with every request.
type LinkRefresh struct {
	Generation int `yaml:"generation" protobuf:"1"`
}

// Definition implements resource.Spec.
func (LinkRefresh) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LinkRefreshes.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LinkRefresh",
	}
}

// VLANSpec makes a link a VLAN on its parent.
type VLANSpec struct {
	VID      uint16       `yaml:"vlanID" protobuf:"1"`
	Protocol VLANProtocol `yaml:"vlanProtocol" protobuf:"2"`
}

// VethSpec makes a link one end of a virtual Ethernet pair.
type VethSpec struct {
	PeerName string `yaml:"peerName,omitempty" protobuf:"1"`
}

// VRFMasterSpec makes a link a routing domain.
type VRFMasterSpec struct {
	Table RoutingTable `yaml:"table" protobuf:"1"`
}

// VRFSlave puts a link into a routing domain.
type VRFSlave struct {
	MasterName string `yaml:"masterName,omitempty" protobuf:"1"`
}

// HardwareAddr is the hardware address that identifies the machine.
type HardwareAddr struct {
	Name         string `yaml:"name" protobuf:"1"`
	HardwareAddr MAC    `yaml:"hardwareAddr" protobuf:"2"`
}

// Definition implements resource.Spec.
func (HardwareAddr) Definition() resource.Definition {
	return resource.Definition{
		Type:        "HardwareAddresses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "HardwareAddress",
	}
}

// DeviceConfigSpec is the configuration of one device as the older configuration document has it.
type DeviceConfigSpec struct {
	Device string `yaml:"device" protobuf:"1,bytes"`
}

// Definition implements resource.Spec.
func (DeviceConfigSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DeviceConfigSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DeviceConfigSpec",
		Sensitive:   true,
	}
}

// ConfigLayer is the source of a network spec; a higher layer wins.
type ConfigLayer int

// Values of ConfigLayer.
const (
	ConfigLayerDefault       ConfigLayer = 0
	ConfigLayerCmdline       ConfigLayer = 1
	ConfigLayerPlatform      ConfigLayer = 2
	ConfigLayerOperator      ConfigLayer = 3
	ConfigLayerConfiguration ConfigLayer = 4
)

var configLayerNames = enum.Names[ConfigLayer]{
	ConfigLayerDefault:       "default",
	ConfigLayerCmdline:       "cmdline",
	ConfigLayerPlatform:      "platform",
	ConfigLayerOperator:      "operator",
	ConfigLayerConfiguration: "configuration",
}

// String returns the text form.
func (c ConfigLayer) String() string { return configLayerNames.Text(c) }

// MarshalText implements encoding.TextMarshaler.
func (c ConfigLayer) MarshalText() ([]byte, error) { return configLayerNames.MarshalText(c) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *ConfigLayer) UnmarshalText(text []byte) error {
	return configLayerNames.UnmarshalText(text, c)
}

// Port is the connector type of an adapter.
type Port int

// Values of Port.
const (
	PortTwistedPair  Port = 0
	PortAUI          Port = 1
	PortMII          Port = 2
	PortBNC          Port = 4
	PortDirectAttach Port = 5
	PortNone         Port = 239
	PortOther        Port = 255
)

var portNames = enum.Names[Port]{
	PortTwistedPair:  "TwistedPair",
	PortAUI:          "AUI",
	PortMII:          "MII",
	PortBNC:          "BNC",
	PortDirectAttach: "DirectAttach",
	PortNone:         "None",
	PortOther:        "Other",
}

// String returns the text form.
func (p Port) String() string { return portNames.Text(p) }

// MarshalText implements encoding.TextMarshaler.
func (p Port) MarshalText() ([]byte, error) { return portNames.MarshalText(p) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Port) UnmarshalText(text []byte) error { return portNames.UnmarshalText(text, p) }

// Duplex is the duplex mode of an adapter.
type Duplex int

// Values of Duplex.
const (
	DuplexHalf    Duplex = 0
	DuplexFull    Duplex = 1
	DuplexUnknown Duplex = 255
)

var duplexNames = enum.Names[Duplex]{
	DuplexHalf:    "Half",
	DuplexFull:    "Full",
	DuplexUnknown: "Unknown",
}

// String returns the text form.
func (d Duplex) String() string { return duplexNames.Text(d) }

// MarshalText implements encoding.TextMarshaler.
func (d Duplex) MarshalText() ([]byte, error) { return duplexNames.MarshalText(d) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duplex) UnmarshalText(text []byte) error { return duplexNames.UnmarshalText(text, d) }

// VLANProtocol is the tag protocol of a VLAN.
type VLANProtocol uint16

// Values of VLANProtocol.
const (
	VLANProtocol8021Q  VLANProtocol = 33024
	VLANProtocol8021AD VLANProtocol = 34984
)

var vlanProtocolNames = enum.Names[VLANProtocol]{
	VLANProtocol8021Q:  "802.1q",
	VLANProtocol8021AD: "802.1ad",
}

// String returns the text form.
func (v VLANProtocol) String() string { return vlanProtocolNames.Text(v) }

// MarshalText implements encoding.TextMarshaler.
func (v VLANProtocol) MarshalText() ([]byte, error) { return vlanProtocolNames.MarshalText(v) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *VLANProtocol) UnmarshalText(text []byte) error {
	return vlanProtocolNames.UnmarshalText(text, v)
}
