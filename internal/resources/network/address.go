package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// AddressSpec is an address that a link should have.
type AddressSpec struct {
	Address         netip.Prefix `yaml:"address" protobuf:"1"`
	LinkName        string       `yaml:"linkName" protobuf:"2"`
	Family          Family       `yaml:"family" protobuf:"3"`
	Scope           Scope        `yaml:"scope" protobuf:"4"`
	Flags           AddressFlags `yaml:"flags" protobuf:"5"`
	AnnounceWithARP bool         `yaml:"announceWithARP,omitempty" protobuf:"6"`
	Priority        uint32       `yaml:"priority,omitempty" protobuf:"8"`
	ConfigLayer     ConfigLayer  `yaml:"layer" protobuf:"7"`
}

// Definition implements resource.Spec.
func (AddressSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AddressSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "AddressSpec",
	}
}

// AddressStatus is an address of a link.
type AddressStatus struct {
	Address   netip.Prefix `yaml:"address" protobuf:"1"`
	Local     netip.Addr   `yaml:"local,omitempty" protobuf:"2"`
	Broadcast netip.Addr   `yaml:"broadcast,omitempty" protobuf:"3"`
	Anycast   netip.Addr   `yaml:"anycast,omitempty" protobuf:"4"`
	Multicast netip.Addr   `yaml:"multicast,omitempty" protobuf:"5"`
	LinkIndex uint32       `yaml:"linkIndex" protobuf:"6"`
	LinkName  string       `yaml:"linkName" protobuf:"7"`
	Family    Family       `yaml:"family" protobuf:"8"`
	Scope     Scope        `yaml:"scope" protobuf:"9"`
	Flags     AddressFlags `yaml:"flags" protobuf:"10"`
	Priority  uint32       `yaml:"priority" protobuf:"11"`
}

// Definition implements resource.Spec.
func (AddressStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AddressStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "AddressStatus",
		Aliases:     []string{"address", "addresses"},
		Columns: []resource.Column{
			{Name: "Address", JSONPath: "{.address}"},
			{Name: "Link", JSONPath: "{.linkName}"},
		},
	}
}

// NodeAddress is a set of the node's own addresses.
type NodeAddress struct {
	Addresses     []netip.Prefix       `yaml:"addresses" protobuf:"1"`
	SortAlgorithm AddressSortAlgorithm `yaml:"sortAlgorithm" protobuf:"2"`
}

// Definition implements resource.Spec.
func (NodeAddress) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeAddresses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeAddress",
		Columns: []resource.Column{
			{Name: "Addresses", JSONPath: "{.addresses}"},
			{Name: "SortAlgorithm", JSONPath: "{.sortAlgorithm}"},
		},
	}
}

// NodeAddressFilter narrows a set of node addresses by subnets.
type NodeAddressFilter struct {
	IncludeSubnets []netip.Prefix `yaml:"includeSubnets" protobuf:"1"`
	ExcludeSubnets []netip.Prefix `yaml:"excludeSubnets" protobuf:"2"`
}

// Definition implements resource.Spec.
func (NodeAddressFilter) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeAddressFilters.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeAddressFilter",
		Columns: []resource.Column{
			{Name: "Include Subnets", JSONPath: "{.includeSubnets}"},
			{Name: "Exclude Subnets", JSONPath: "{.excludeSubnets}"},
		},
	}
}

// NodeAddressSortAlgorithm is how node addresses are ordered.
type NodeAddressSortAlgorithm struct {
	Algorithm AddressSortAlgorithm `yaml:"algorithm" protobuf:"1"`
}

// Definition implements resource.Spec.
func (NodeAddressSortAlgorithm) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeAddressSortAlgorithms.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeAddressSortAlgorithm",
		Columns: []resource.Column{
			{Name: "Algorithm", JSONPath: "{.algorithm}"},
		},
	}
}

// Family is an address family.
type Family uint8

// Values of Family.
const (
	FamilyInet4 Family = 2
	FamilyInet6 Family = 10
)

var familyNames = enum.Names[Family]{
	FamilyInet4: "inet4",
	FamilyInet6: "inet6",
}

// String returns the text form.
func (f Family) String() string { return familyNames.Text(f) }

// MarshalText implements encoding.TextMarshaler.
func (f Family) MarshalText() ([]byte, error) { return familyNames.MarshalText(f) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Family) UnmarshalText(text []byte) error { return familyNames.UnmarshalText(text, f) }

// Scope is how far an address or route reaches.
type Scope uint8

// Values of Scope.
const (
	ScopeGlobal  Scope = 0
	ScopeSite    Scope = 200
	ScopeLink    Scope = 253
	ScopeHost    Scope = 254
	ScopeNowhere Scope = 255
)

var scopeNames = enum.Names[Scope]{
	ScopeGlobal:  "global",
	ScopeSite:    "site",
	ScopeLink:    "link",
	ScopeHost:    "host",
	ScopeNowhere: "nowhere",
}

// String returns the text form.
func (s Scope) String() string { return scopeNames.Text(s) }

// MarshalText implements encoding.TextMarshaler.
func (s Scope) MarshalText() ([]byte, error) { return scopeNames.MarshalText(s) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Scope) UnmarshalText(text []byte) error { return scopeNames.UnmarshalText(text, s) }

// AddressFlags is the set of flags of an address.
type AddressFlags uint32

// Values of AddressFlags.
const (
	AddressFlagTemporary         AddressFlags = 0x1
	AddressFlagNoDAD             AddressFlags = 0x2
	AddressFlagOptimistic        AddressFlags = 0x4
	AddressFlagDADFailed         AddressFlags = 0x8
	AddressFlagHomeAddress       AddressFlags = 0x10
	AddressFlagDeprecated        AddressFlags = 0x20
	AddressFlagTentative         AddressFlags = 0x40
	AddressFlagPermanent         AddressFlags = 0x80
	AddressFlagManagedTemporary  AddressFlags = 0x100
	AddressFlagNoPrefixRoute     AddressFlags = 0x200
	AddressFlagMulticastAutoJoin AddressFlags = 0x400
	AddressFlagStablePrivacy     AddressFlags = 0x800
)

var addressFlagsNames = enum.Flags[AddressFlags]{
	AddressFlagTemporary:         "temporary",
	AddressFlagNoDAD:             "nodad",
	AddressFlagOptimistic:        "optimistic",
	AddressFlagDADFailed:         "dadfailed",
	AddressFlagHomeAddress:       "homeaddress",
	AddressFlagDeprecated:        "deprecated",
	AddressFlagTentative:         "tentative",
	AddressFlagPermanent:         "permanent",
	AddressFlagManagedTemporary:  "mngmtmpaddr",
	AddressFlagNoPrefixRoute:     "noprefixroute",
	AddressFlagMulticastAutoJoin: "mcautojoin",
	AddressFlagStablePrivacy:     "stableprivacy",
}

// String returns the text form.
func (a AddressFlags) String() string { return addressFlagsNames.Text(a) }

// MarshalText implements encoding.TextMarshaler.
func (a AddressFlags) MarshalText() ([]byte, error) { return addressFlagsNames.MarshalText(a) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *AddressFlags) UnmarshalText(text []byte) error {
	return addressFlagsNames.UnmarshalText(text, a)
}

// AddressSortAlgorithm is a version of the ordering of addresses.
type AddressSortAlgorithm int

// Values of AddressSortAlgorithm.
const (
	AddressSortAlgorithmV1 AddressSortAlgorithm = 0
	AddressSortAlgorithmV2 AddressSortAlgorithm = 1
)

var addressSortAlgorithmNames = enum.Names[AddressSortAlgorithm]{
	AddressSortAlgorithmV1: "v1",
	AddressSortAlgorithmV2: "v2",
}

// String returns the text form.
func (a AddressSortAlgorithm) String() string { return addressSortAlgorithmNames.Text(a) }

// MarshalText implements encoding.TextMarshaler.
func (a AddressSortAlgorithm) MarshalText() ([]byte, error) {
	return addressSortAlgorithmNames.MarshalText(a)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *AddressSortAlgorithm) UnmarshalText(text []byte) error {
	return addressSortAlgorithmNames.UnmarshalText(text, a)
}
