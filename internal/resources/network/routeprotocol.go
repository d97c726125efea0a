package network

import (
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// RouteProtocol is who put a route into the table.
type RouteProtocol uint8

// Values of RouteProtocol.
const (
	RouteProtocolUnspec     RouteProtocol = 0
	RouteProtocolRedirect   RouteProtocol = 1
	RouteProtocolKernel     RouteProtocol = 2
	RouteProtocolBoot       RouteProtocol = 3
	RouteProtocolStatic     RouteProtocol = 4
	RouteProtocolRA         RouteProtocol = 9
	RouteProtocolMRT        RouteProtocol = 10
	RouteProtocolZebra      RouteProtocol = 11
	RouteProtocolBird       RouteProtocol = 12
	RouteProtocolDnrouted   RouteProtocol = 13
	RouteProtocolXorp       RouteProtocol = 14
	RouteProtocolNTK        RouteProtocol = 15
	RouteProtocolDHCP       RouteProtocol = 16
	RouteProtocolMrtd       RouteProtocol = 17
	RouteProtocolKeepalived RouteProtocol = 18
	RouteProtocolBabel      RouteProtocol = 42
	RouteProtocolOpenr      RouteProtocol = 99
	RouteProtocolBGP        RouteProtocol = 186
	RouteProtocolISIS       RouteProtocol = 187
	RouteProtocolOSPF       RouteProtocol = 188
	RouteProtocolRIP        RouteProtocol = 189
	RouteProtocolEIGRP      RouteProtocol = 192
)

var routeProtocolNames = enum.Names[RouteProtocol]{
	RouteProtocolUnspec:     "unspec",
	RouteProtocolRedirect:   "redirect",
	RouteProtocolKernel:     "kernel",
	RouteProtocolBoot:       "boot",
	RouteProtocolStatic:     "static",
	RouteProtocolRA:         "ra",
	RouteProtocolMRT:        "mrt",
	RouteProtocolZebra:      "zebra",
	RouteProtocolBird:       "bird",
	RouteProtocolDnrouted:   "dnrouted",
	RouteProtocolXorp:       "xorp",
	RouteProtocolNTK:        "ntk",
	RouteProtocolDHCP:       "dhcp",
	RouteProtocolMrtd:       "mrtd",
	RouteProtocolKeepalived: "keepalived",
	RouteProtocolBabel:      "babel",
	RouteProtocolOpenr:      "openr",
	RouteProtocolBGP:        "bgp",
	RouteProtocolISIS:       "isis",
	RouteProtocolOSPF:       "ospf",
	RouteProtocolRIP:        "rip",
	RouteProtocolEIGRP:      "eigrp",
}

// String returns the text form.
func (r RouteProtocol) String() string { return routeProtocolNames.Text(r) }

// MarshalText implements encoding.TextMarshaler.
func (r RouteProtocol) MarshalText() ([]byte, error) { return routeProtocolNames.MarshalText(r) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RouteProtocol) UnmarshalText(text []byte) error {
	return routeProtocolNames.UnmarshalText(text, r)
}

// RouteType is what a route does with a packet.
type RouteType uint8

// Values of RouteType.
const (
	RouteTypeUnspec      RouteType = 0
	RouteTypeUnicast     RouteType = 1
	RouteTypeLocal       RouteType = 2
	RouteTypeBroadcast   RouteType = 3
	RouteTypeAnycast     RouteType = 4
	RouteTypeMulticast   RouteType = 5
	RouteTypeBlackhole   RouteType = 6
	RouteTypeUnreachable RouteType = 7
	RouteTypeProhibit    RouteType = 8
	RouteTypeThrow       RouteType = 9
	RouteTypeNAT         RouteType = 10
	RouteTypeXResolve    RouteType = 11
)

var routeTypeNames = enum.Names[RouteType]{
	RouteTypeUnspec:      "unspec",
	RouteTypeUnicast:     "unicast",
	RouteTypeLocal:       "local",
	RouteTypeBroadcast:   "broadcast",
	RouteTypeAnycast:     "anycast",
	RouteTypeMulticast:   "multicast",
	RouteTypeBlackhole:   "blackhole",
	RouteTypeUnreachable: "unreachable",
	RouteTypeProhibit:    "prohibit",
	RouteTypeThrow:       "throw",
	RouteTypeNAT:         "nat",
	RouteTypeXResolve:    "xresolve",
}

// String returns the text form.
func (r RouteType) String() string { return routeTypeNames.Text(r) }

// MarshalText implements encoding.TextMarshaler.
func (r RouteType) MarshalText() ([]byte, error) { return routeTypeNames.MarshalText(r) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RouteType) UnmarshalText(text []byte) error { return routeTypeNames.UnmarshalText(text, r) }

// RouteFlags is the set of flags of a route.
type RouteFlags uint32

// Values of RouteFlags.
const (
	RouteFlagNotify      RouteFlags = 0x100
	RouteFlagCloned      RouteFlags = 0x200
	RouteFlagEqualize    RouteFlags = 0x400
	RouteFlagPrefix      RouteFlags = 0x800
	RouteFlagLookupTable RouteFlags = 0x1000
	RouteFlagFIBMatch    RouteFlags = 0x2000
	RouteFlagOffload     RouteFlags = 0x4000
	RouteFlagTrap        RouteFlags = 0x8000
)

var routeFlagsNames = enum.Flags[RouteFlags]{
	RouteFlagNotify:      "notify",
	RouteFlagCloned:      "cloned",
	RouteFlagEqualize:    "equalize",
	RouteFlagPrefix:      "prefix",
	RouteFlagLookupTable: "lookup_table",
	RouteFlagFIBMatch:    "fib_match",
	RouteFlagOffload:     "offload",
	RouteFlagTrap:        "trap",
}

// String returns the text form.
func (r RouteFlags) String() string { return routeFlagsNames.Text(r) }

// MarshalText implements encoding.TextMarshaler.
func (r RouteFlags) MarshalText() ([]byte, error) { return routeFlagsNames.MarshalText(r) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RouteFlags) UnmarshalText(text []byte) error { return routeFlagsNames.UnmarshalText(text, r) }

// RoutingTable is the number of a routing table; the well-known ones have names.
type RoutingTable uint32

// Values of RoutingTable.
const (
	RoutingTableUnspec  RoutingTable = 0
	RoutingTableDefault RoutingTable = 253
	RoutingTableMain    RoutingTable = 254
	RoutingTableLocal   RoutingTable = 255
)

var routingTableNames = enum.Names[RoutingTable]{
	RoutingTableUnspec:  "unspec",
	RoutingTableDefault: "default",
	RoutingTableMain:    "main",
	RoutingTableLocal:   "local",
}

// String returns the text form.
func (r RoutingTable) String() string { return routingTableNames.Text(r) }

// MarshalText implements encoding.TextMarshaler.
func (r RoutingTable) MarshalText() ([]byte, error) { return routingTableNames.MarshalText(r) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RoutingTable) UnmarshalText(text []byte) error {
	return routingTableNames.UnmarshalText(text, r)
}
