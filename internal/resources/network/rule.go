package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// RoutingRuleSpec is a policy routing rule that should exist.
type RoutingRuleSpec struct {
	Family      Family            `yaml:"family" protobuf:"1"`
	Src         netip.Prefix      `yaml:"src" protobuf:"2"`
	Dst         netip.Prefix      `yaml:"dst" protobuf:"3"`
	Table       RoutingTable      `yaml:"table" protobuf:"4"`
	Priority    uint32            `yaml:"priority" protobuf:"5"`
	Action      RoutingRuleAction `yaml:"action" protobuf:"6"`
	IIFName     string            `yaml:"iifName,omitempty" protobuf:"7"`
	OIFName     string            `yaml:"oifName,omitempty" protobuf:"8"`
	FwMark      uint32            `yaml:"fwMark,omitempty" protobuf:"9"`
	FwMask      uint32            `yaml:"fwMask,omitempty" protobuf:"10"`
	ConfigLayer ConfigLayer       `yaml:"layer" protobuf:"11"`
}

// Definition implements resource.Spec.
func (RoutingRuleSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "RoutingRuleSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "RoutingRuleSpec",
	}
}

// RoutingRuleStatus is a policy routing rule of the kernel.
type RoutingRuleStatus struct {
	Family   Family            `yaml:"family" protobuf:"1"`
	Src      netip.Prefix      `yaml:"src" protobuf:"2"`
	Dst      netip.Prefix      `yaml:"dst" protobuf:"3"`
	Table    RoutingTable      `yaml:"table" protobuf:"4"`
	Priority uint32            `yaml:"priority" protobuf:"5"`
	Action   RoutingRuleAction `yaml:"action" protobuf:"6"`
	IIFName  string            `yaml:"iifName,omitempty" protobuf:"7"`
	OIFName  string            `yaml:"oifName,omitempty" protobuf:"8"`
	FwMark   uint32            `yaml:"fwMark,omitempty" protobuf:"9"`
	FwMask   uint32            `yaml:"fwMask,omitempty" protobuf:"10"`
}

// Definition implements resource.Spec.
func (RoutingRuleStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "RoutingRuleStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "RoutingRuleStatus",
		Aliases:     []string{"routingrule", "routingrules"},
		Columns: []resource.Column{
			{Name: "Src", JSONPath: "{.src}"},
			{Name: "Dst", JSONPath: "{.dst}"},
			{Name: "Table", JSONPath: "{.table}"},
			{Name: "Priority", JSONPath: "{.priority}"},
		},
	}
}

// RoutingRuleAction is what a routing rule does.
type RoutingRuleAction uint8

// Values of RoutingRuleAction.
const (
	RoutingRuleActionUnspec      RoutingRuleAction = 0
	RoutingRuleActionUnicast     RoutingRuleAction = 1
	RoutingRuleActionBlackhole   RoutingRuleAction = 6
	RoutingRuleActionUnreachable RoutingRuleAction = 7
	RoutingRuleActionProhibit    RoutingRuleAction = 8
)

var routingRuleActionNames = enum.Names[RoutingRuleAction]{
	RoutingRuleActionUnspec:      "unspec",
	RoutingRuleActionUnicast:     "unicast",
	RoutingRuleActionBlackhole:   "blackhole",
	RoutingRuleActionUnreachable: "unreachable",
	RoutingRuleActionProhibit:    "prohibit",
}

// String returns the text form.
func (r RoutingRuleAction) String() string { return routingRuleActionNames.Text(r) }

// MarshalText implements encoding.TextMarshaler.
func (r RoutingRuleAction) MarshalText() ([]byte, error) {
	return routingRuleActionNames.MarshalText(r)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *RoutingRuleAction) UnmarshalText(text []byte) error {
	return routingRuleActionNames.UnmarshalText(text, r)
}
