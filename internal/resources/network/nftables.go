package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// NfTablesChain is a chain of the packet filter, with its rules.
type NfTablesChain struct {
	Type     string                `yaml:"type" protobuf:"1"`
	Hook     NfTablesChainHook     `yaml:"hook" protobuf:"2"`
	Priority NfTablesChainPriority `yaml:"priority" protobuf:"3"`
	Policy   NfTablesVerdict       `yaml:"policy" protobuf:"5"`
	Rules    []NfTablesRule        `yaml:"rules" protobuf:"4"`
}

// Definition implements resource.Spec.
func (NfTablesChain) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NfTablesChains.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NfTablesChain",
		Aliases:     []string{"chain", "chains"},
		Columns: []resource.Column{
			{Name: "Type", JSONPath: "{.type}"},
			{Name: "Hook", JSONPath: "{.hook}"},
			{Name: "Priority", JSONPath: "{.priority}"},
			{Name: "Policy", JSONPath: "{.policy}"},
		},
	}
}

// NfTablesRule is one rule of a chain: matches, then actions.
type NfTablesRule struct {
	MatchIIfName            *NfTablesIfNameMatch         `yaml:"matchIIfName,omitempty" protobuf:"8"`
	MatchOIfName            *NfTablesIfNameMatch         `yaml:"matchOIfName,omitempty" protobuf:"1"`
	MatchMark               *NfTablesMark                `yaml:"matchMark,omitempty" protobuf:"3"`
	MatchConntrackState     *NfTablesConntrackStateMatch `yaml:"matchConntrackState,omitempty" protobuf:"11"`
	MatchSourceAddress      *NfTablesAddressMatch        `yaml:"matchSourceAddress,omitempty" protobuf:"5"`
	MatchDestinationAddress *NfTablesAddressMatch        `yaml:"matchDestinationAddress,omitempty" protobuf:"6"`
	MatchLayer4             *NfTablesLayer4Match         `yaml:"matchLayer4,omitempty" protobuf:"7"`
	MatchLimit              *NfTablesLimitMatch          `yaml:"matchLimit,omitempty" protobuf:"10"`
	ClampMSS                *NfTablesClampMSS            `yaml:"clampMSS,omitempty" protobuf:"9"`
	SetMark                 *NfTablesMark                `yaml:"setMark,omitempty" protobuf:"4"`
	AnonCounter             bool                         `yaml:"anonymousCounter,omitempty" protobuf:"12"`
	Verdict                 *NfTablesVerdict             `yaml:"verdict,omitempty" protobuf:"2"`
}

// NfTablesIfNameMatch matches the name of a packet's link.
type NfTablesIfNameMatch struct {
	InterfaceNames []string      `yaml:"interfaceName" protobuf:"3"`
	Operator       MatchOperator `yaml:"operator" protobuf:"2"`
}

// NfTablesMark reads or changes the mark of a packet.
type NfTablesMark struct {
	Mask  uint32 `yaml:"mask,omitempty" protobuf:"1"`
	Xor   uint32 `yaml:"xor,omitempty" protobuf:"2"`
	Value uint32 `yaml:"value,omitempty" protobuf:"3"`
}

// NfTablesConntrackStateMatch matches the state of a packet's connection.
type NfTablesConntrackStateMatch struct {
	States []ConntrackState `yaml:"states" protobuf:"1"`
}

// NfTablesAddressMatch matches an address against subnets.
type NfTablesAddressMatch struct {
	IncludeSubnets []netip.Prefix `yaml:"includeSubnets,omitempty" protobuf:"1"`
	ExcludeSubnets []netip.Prefix `yaml:"excludeSubnets,omitempty" protobuf:"2"`
	Invert         bool           `yaml:"invert,omitempty" protobuf:"3"`
}

// NfTablesLayer4Match matches the transport protocol and its ports.
type NfTablesLayer4Match struct {
	Protocol             Protocol               `yaml:"protocol" protobuf:"1"`
	MatchSourcePort      *NfTablesPortMatch     `yaml:"matchSourcePort,omitempty" protobuf:"2"`
	MatchDestinationPort *NfTablesPortMatch     `yaml:"matchDestinationPort,omitempty" protobuf:"3"`
	MatchICMPType        *NfTablesICMPTypeMatch `yaml:"matchICMPType,omitempty" protobuf:"4"`
}

// NfTablesPortMatch matches a port against ranges.
type NfTablesPortMatch struct {
	Ranges []PortRange `yaml:"ranges,omitempty" protobuf:"1"`
}

// PortRange is a range of ports, both ends included.
type PortRange struct {
	Lo uint16 `yaml:"lo" protobuf:"1"`
	Hi uint16 `yaml:"hi" protobuf:"2"`
}

// NfTablesICMPTypeMatch matches the type of an ICMP packet.
type NfTablesICMPTypeMatch struct {
	Types []ICMPType `yaml:"types" protobuf:"1"`
}

// NfTablesLimitMatch matches until a rate is reached.
type NfTablesLimitMatch struct {
	PacketRatePerSecond uint64 `yaml:"packetRatePerSecond" protobuf:"1"`
}

// NfTablesClampMSS lowers the segment size of TCP connections to fit the MTU.
type NfTablesClampMSS struct {
	MTU uint16 `yaml:"mtu" protobuf:"1"`
}

// NfTablesChainHook is where a chain sees packets.
type NfTablesChainHook uint32

// Values of NfTablesChainHook.
const (
	NfTablesChainHookPrerouting  NfTablesChainHook = 0
	NfTablesChainHookInput       NfTablesChainHook = 1
	NfTablesChainHookForward     NfTablesChainHook = 2
	NfTablesChainHookOutput      NfTablesChainHook = 3
	NfTablesChainHookPostrouting NfTablesChainHook = 4
)

var nfTablesChainHookNames = enum.Names[NfTablesChainHook]{
	NfTablesChainHookPrerouting:  "prerouting",
	NfTablesChainHookInput:       "input",
	NfTablesChainHookForward:     "forward",
	NfTablesChainHookOutput:      "output",
	NfTablesChainHookPostrouting: "postrouting",
}

// String returns the text form.
func (n NfTablesChainHook) String() string { return nfTablesChainHookNames.Text(n) }

// MarshalText implements encoding.TextMarshaler.
func (n NfTablesChainHook) MarshalText() ([]byte, error) {
	return nfTablesChainHookNames.MarshalText(n)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *NfTablesChainHook) UnmarshalText(text []byte) error {
	return nfTablesChainHookNames.UnmarshalText(text, n)
}

// NfTablesChainPriority orders chains on one hook.
type NfTablesChainPriority int32

// Values of NfTablesChainPriority.
const (
	NfTablesChainPriorityFilter          NfTablesChainPriority = 0
	NfTablesChainPrioritySecurity        NfTablesChainPriority = 50
	NfTablesChainPriorityNATSource       NfTablesChainPriority = 100
	NfTablesChainPrioritySELinuxLast     NfTablesChainPriority = 225
	NfTablesChainPriorityConntrackHelper NfTablesChainPriority = 300
)

var nfTablesChainPriorityNames = enum.Names[NfTablesChainPriority]{
	NfTablesChainPriorityFilter:          "filter",
	NfTablesChainPrioritySecurity:        "security",
	NfTablesChainPriorityNATSource:       "nat-source",
	NfTablesChainPrioritySELinuxLast:     "selinux-last",
	NfTablesChainPriorityConntrackHelper: "conntrack-helper",
}

// String returns the text form.
func (n NfTablesChainPriority) String() string { return nfTablesChainPriorityNames.Text(n) }

// MarshalText implements encoding.TextMarshaler.
func (n NfTablesChainPriority) MarshalText() ([]byte, error) {
	return nfTablesChainPriorityNames.MarshalText(n)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *NfTablesChainPriority) UnmarshalText(text []byte) error {
	return nfTablesChainPriorityNames.UnmarshalText(text, n)
}

// NfTablesVerdict is what becomes of a packet.
type NfTablesVerdict int64

// Values of NfTablesVerdict.
const (
	NfTablesVerdictDrop   NfTablesVerdict = 0
	NfTablesVerdictAccept NfTablesVerdict = 1
)

var nfTablesVerdictNames = enum.Names[NfTablesVerdict]{
	NfTablesVerdictDrop:   "drop",
	NfTablesVerdictAccept: "accept",
}

// String returns the text form.
func (n NfTablesVerdict) String() string { return nfTablesVerdictNames.Text(n) }

// MarshalText implements encoding.TextMarshaler.
func (n NfTablesVerdict) MarshalText() ([]byte, error) { return nfTablesVerdictNames.MarshalText(n) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *NfTablesVerdict) UnmarshalText(text []byte) error {
	return nfTablesVerdictNames.UnmarshalText(text, n)
}

// MatchOperator compares in a filter rule.
type MatchOperator int

// Values of MatchOperator.
const (
	MatchOperatorEqual    MatchOperator = 0
	MatchOperatorNotEqual MatchOperator = 1
)

var matchOperatorNames = enum.Names[MatchOperator]{
	MatchOperatorEqual:    "==",
	MatchOperatorNotEqual: "!=",
}

// String returns the text form.
func (m MatchOperator) String() string { return matchOperatorNames.Text(m) }

// MarshalText implements encoding.TextMarshaler.
func (m MatchOperator) MarshalText() ([]byte, error) { return matchOperatorNames.MarshalText(m) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MatchOperator) UnmarshalText(text []byte) error {
	return matchOperatorNames.UnmarshalText(text, m)
}

// ConntrackState is a state of a tracked connection.
type ConntrackState uint32

// Values of ConntrackState.
const (
	ConntrackStateInvalid     ConntrackState = 1
	ConntrackStateEstablished ConntrackState = 2
	ConntrackStateRelated     ConntrackState = 4
	ConntrackStateNew         ConntrackState = 8
)

var conntrackStateNames = enum.Names[ConntrackState]{
	ConntrackStateInvalid:     "invalid",
	ConntrackStateEstablished: "established",
	ConntrackStateRelated:     "related",
	ConntrackStateNew:         "new",
}

// String returns the text form.
func (c ConntrackState) String() string { return conntrackStateNames.Text(c) }

// MarshalText implements encoding.TextMarshaler.
func (c ConntrackState) MarshalText() ([]byte, error) { return conntrackStateNames.MarshalText(c) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *ConntrackState) UnmarshalText(text []byte) error {
	return conntrackStateNames.UnmarshalText(text, c)
}

// Protocol is a transport protocol by its IP number.
type Protocol uint8

// Values of Protocol.
const (
	ProtocolICMP   Protocol = 1
	ProtocolTCP    Protocol = 6
	ProtocolUDP    Protocol = 17
	ProtocolICMPv6 Protocol = 58
)

var protocolNames = enum.Names[Protocol]{
	ProtocolICMP:   "icmp",
	ProtocolTCP:    "tcp",
	ProtocolUDP:    "udp",
	ProtocolICMPv6: "icmpv6",
}

// String returns the text form.
func (p Protocol) String() string { return protocolNames.Text(p) }

// MarshalText implements encoding.TextMarshaler.
func (p Protocol) MarshalText() ([]byte, error) { return protocolNames.MarshalText(p) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Protocol) UnmarshalText(text []byte) error { return protocolNames.UnmarshalText(text, p) }

// ICMPType is the type of an ICMP packet.
type ICMPType uint8

// Values of ICMPType.
const (
	ICMPTypeUnspecified        ICMPType = 0
	ICMPTypeTimestampRequest   ICMPType = 13
	ICMPTypeTimestampReply     ICMPType = 14
	ICMPTypeAddressMaskRequest ICMPType = 17
	ICMPTypeAddressMaskReply   ICMPType = 18
)
