package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
)

// RouteSpec is a route that should exist.
type RouteSpec struct {
	Family      Family         `yaml:"family" protobuf:"1"`
	Destination netip.Prefix   `yaml:"dst" protobuf:"2"`
	Source      netip.Addr     `yaml:"src" protobuf:"3"`
	Gateway     netip.Addr     `yaml:"gateway" protobuf:"4"`
	OutLinkName string         `yaml:"outLinkName,omitempty" protobuf:"5"`
	Table       RoutingTable   `yaml:"table" protobuf:"6"`
	Priority    uint32         `yaml:"priority,omitempty" protobuf:"7"`
	Scope       Scope          `yaml:"scope" protobuf:"8"`
	Type        RouteType      `yaml:"type" protobuf:"9"`
	Flags       RouteFlags     `yaml:"flags" protobuf:"10"`
	Protocol    RouteProtocol  `yaml:"protocol" protobuf:"11"`
	ConfigLayer ConfigLayer    `yaml:"layer" protobuf:"12"`
	MTU         uint32         `yaml:"mtu,omitempty" protobuf:"13"`
	NextHops    []RouteNextHop `yaml:"nextHops,omitempty" protobuf:"14"`
}

// Definition implements resource.Spec.
func (RouteSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "RouteSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "RouteSpec",
	}
}

// RouteStatus is a route of the kernel.
type RouteStatus struct {
	Family       Family         `yaml:"family" protobuf:"1"`
	Destination  netip.Prefix   `yaml:"dst" protobuf:"2"`
	Source       netip.Addr     `yaml:"src" protobuf:"3"`
	Gateway      netip.Addr     `yaml:"gateway" protobuf:"4"`
	OutLinkIndex uint32         `yaml:"outLinkIndex,omitempty" protobuf:"5"`
	OutLinkName  string         `yaml:"outLinkName,omitempty" protobuf:"6"`
	Table        RoutingTable   `yaml:"table" protobuf:"7"`
	Priority     uint32         `yaml:"priority" protobuf:"8"`
	Scope        Scope          `yaml:"scope" protobuf:"9"`
	Type         RouteType      `yaml:"type" protobuf:"10"`
	Flags        RouteFlags     `yaml:"flags" protobuf:"11"`
	Protocol     RouteProtocol  `yaml:"protocol" protobuf:"12"`
	MTU          uint32         `yaml:"mtu,omitempty" protobuf:"13"`
	NextHops     []RouteNextHop `yaml:"nextHops,omitempty" protobuf:"14"`
}

// Definition implements resource.Spec.
func (RouteStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "RouteStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "RouteStatus",
		Aliases:     []string{"route", "routes"},
		Columns: []resource.Column{
			{Name: "Destination", JSONPath: "{.dst}"},
			{Name: "Gateway", JSONPath: "{.gateway}"},
			{Name: "Link", JSONPath: "{.outLinkName}"},
			{Name: "Metric", JSONPath: "{.priority}"},
		},
	}
}

// RouteNextHop is one of several next hops of a route.
type RouteNextHop struct {
	Gateway     netip.Addr `yaml:"gateway" protobuf:"1"`
	OutLinkName string     `yaml:"outLinkName,omitempty" protobuf:"2"`
	Weight      uint32     `yaml:"weight,omitempty" protobuf:"3"`
}
