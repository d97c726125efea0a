package network

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resources/enum"
)

// BondMasterSpec holds the options of a bond; times are in milliseconds.
type BondMasterSpec struct {
	Mode            BondMode           `yaml:"mode" protobuf:"1"`
	HashPolicy      BondXmitHashPolicy `yaml:"xmitHashPolicy" protobuf:"2"`
	LACPRate        LACPRate           `yaml:"lacpRate" protobuf:"3"`
	ARPValidate     ARPValidate        `yaml:"arpValidate" protobuf:"4"`
	ARPAllTargets   ARPAllTargets      `yaml:"arpAllTargets" protobuf:"5"`
	PrimaryIndex    *uint32            `yaml:"primaryIndex,omitempty" protobuf:"6"`
	PrimaryReselect PrimaryReselect    `yaml:"primaryReselect" protobuf:"7"`
	FailOverMac     FailOverMAC        `yaml:"failOverMac" protobuf:"8"`
	ADSelect        ADSelect           `yaml:"adSelect,omitempty" protobuf:"9"`
	MIIMon          uint32             `yaml:"miimon,omitempty" protobuf:"10"`
	UpDelay         uint32             `yaml:"updelay,omitempty" protobuf:"11"`
	DownDelay       uint32             `yaml:"downdelay,omitempty" protobuf:"12"`
	ARPInterval     uint32             `yaml:"arpInterval,omitempty" protobuf:"13"`
	ResendIGMP      uint32             `yaml:"resendIgmp,omitempty" protobuf:"14"`
	MinLinks        uint32             `yaml:"minLinks,omitempty" protobuf:"15"`
	LPInterval      uint32             `yaml:"lpInterval,omitempty" protobuf:"16"`
	PacketsPerSlave uint32             `yaml:"packetsPerSlave,omitempty" protobuf:"17"`
	NumPeerNotif    uint8              `yaml:"numPeerNotif,omitempty" protobuf:"18"`
	TLBDynamicLB    uint8              `yaml:"tlbLogicalLb,omitempty" protobuf:"19"`
	AllSlavesActive uint8              `yaml:"allSlavesActive,omitempty" protobuf:"20"`
	UseCarrier      bool               `yaml:"useCarrier,omitempty" protobuf:"21"`
	ADActorSysPrio  uint16             `yaml:"adActorSysPrio,omitempty" protobuf:"22"`
	ADUserPortKey   uint16             `yaml:"adUserPortKey,omitempty" protobuf:"23"`
	PeerNotifyDelay uint32             `yaml:"peerNotifyDelay,omitempty" protobuf:"24"`
	ARPIPTargets    []netip.Addr       `yaml:"arpIpTargets,omitempty" protobuf:"25"`
	NSIP6Targets    []netip.Addr       `yaml:"nsIp6Targets,omitempty" protobuf:"26"`
	ADLACPActive    *ADLACPActive      `yaml:"adLacpActive,omitempty" protobuf:"27"`
	MissedMax       uint8              `yaml:"missedMax,omitempty" protobuf:"28"`
	Primary         string             `yaml:"primary,omitempty" protobuf:"29"`
}

// BondSlave puts a link into a bond.
type BondSlave struct {
	MasterName string `yaml:"masterName,omitempty" protobuf:"1"`
	SlaveIndex int    `yaml:"slaveIndex,omitempty" protobuf:"2"`
}

// BondMode is how a bond spreads packets.
type BondMode uint8

// Values of BondMode.
const (
	BondModeBalanceRR    BondMode = 0
	BondModeActiveBackup BondMode = 1
	BondModeBalanceXOR   BondMode = 2
	BondModeBroadcast    BondMode = 3
	BondMode8023AD       BondMode = 4
	BondModeBalanceTLB   BondMode = 5
	BondModeBalanceALB   BondMode = 6
)

var bondModeNames = enum.Names[BondMode]{
	BondModeBalanceRR:    "balance-rr",
	BondModeActiveBackup: "active-backup",
	BondModeBalanceXOR:   "balance-xor",
	BondModeBroadcast:    "broadcast",
	BondMode8023AD:       "802.3ad",
	BondModeBalanceTLB:   "balance-tlb",
	BondModeBalanceALB:   "balance-alb",
}

// String returns the text form.
func (b BondMode) String() string { return bondModeNames.Text(b) }

// MarshalText implements encoding.TextMarshaler.
func (b BondMode) MarshalText() ([]byte, error) { return bondModeNames.MarshalText(b) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *BondMode) UnmarshalText(text []byte) error { return bondModeNames.UnmarshalText(text, b) }

// BondXmitHashPolicy is what a bond hashes to choose a link.
type BondXmitHashPolicy uint8

// Values of BondXmitHashPolicy.
const (
	BondXmitHashPolicyLayer2  BondXmitHashPolicy = 0
	BondXmitHashPolicyLayer34 BondXmitHashPolicy = 1
	BondXmitHashPolicyLayer23 BondXmitHashPolicy = 2
	BondXmitHashPolicyEncap23 BondXmitHashPolicy = 3
	BondXmitHashPolicyEncap34 BondXmitHashPolicy = 4
)

var bondXmitHashPolicyNames = enum.Names[BondXmitHashPolicy]{
	BondXmitHashPolicyLayer2:  "layer2",
	BondXmitHashPolicyLayer34: "layer3+4",
	BondXmitHashPolicyLayer23: "layer2+3",
	BondXmitHashPolicyEncap23: "encap2+3",
	BondXmitHashPolicyEncap34: "encap3+4",
}

// String returns the text form.
func (b BondXmitHashPolicy) String() string { return bondXmitHashPolicyNames.Text(b) }

// MarshalText implements encoding.TextMarshaler.
func (b BondXmitHashPolicy) MarshalText() ([]byte, error) {
	return bondXmitHashPolicyNames.MarshalText(b)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *BondXmitHashPolicy) UnmarshalText(text []byte) error {
	return bondXmitHashPolicyNames.UnmarshalText(text, b)
}

// LACPRate is how often LACP packets are sent.
type LACPRate uint8

// Values of LACPRate.
const (
	LACPRateSlow LACPRate = 0
	LACPRateFast LACPRate = 1
)

var lacpRateNames = enum.Names[LACPRate]{
	LACPRateSlow: "slow",
	LACPRateFast: "fast",
}

// String returns the text form.
func (l LACPRate) String() string { return lacpRateNames.Text(l) }

// MarshalText implements encoding.TextMarshaler.
func (l LACPRate) MarshalText() ([]byte, error) { return lacpRateNames.MarshalText(l) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LACPRate) UnmarshalText(text []byte) error { return lacpRateNames.UnmarshalText(text, l) }

// ARPValidate is which ARP replies a bond checks.
type ARPValidate uint32

// Values of ARPValidate.
const (
	ARPValidateNone         ARPValidate = 0
	ARPValidateActive       ARPValidate = 1
	ARPValidateBackup       ARPValidate = 2
	ARPValidateAll          ARPValidate = 3
	ARPValidateFilter       ARPValidate = 4
	ARPValidateFilterActive ARPValidate = 5
	ARPValidateFilterBackup ARPValidate = 6
)

var arpValidateNames = enum.Names[ARPValidate]{
	ARPValidateNone:         "none",
	ARPValidateActive:       "active",
	ARPValidateBackup:       "backup",
	ARPValidateAll:          "all",
	ARPValidateFilter:       "filter",
	ARPValidateFilterActive: "filter-active",
	ARPValidateFilterBackup: "filter-backup",
}

// String returns the text form.
func (a ARPValidate) String() string { return arpValidateNames.Text(a) }

// MarshalText implements encoding.TextMarshaler.
func (a ARPValidate) MarshalText() ([]byte, error) { return arpValidateNames.MarshalText(a) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ARPValidate) UnmarshalText(text []byte) error {
	return arpValidateNames.UnmarshalText(text, a)
}

// ARPAllTargets is how many ARP targets must answer.
type ARPAllTargets uint32

// Values of ARPAllTargets.
const (
	ARPAllTargetsAny ARPAllTargets = 0
	ARPAllTargetsAll ARPAllTargets = 1
)

var arpAllTargetsNames = enum.Names[ARPAllTargets]{
	ARPAllTargetsAny: "any",
	ARPAllTargetsAll: "all",
}

// String returns the text form.
func (a ARPAllTargets) String() string { return arpAllTargetsNames.Text(a) }

// MarshalText implements encoding.TextMarshaler.
func (a ARPAllTargets) MarshalText() ([]byte, error) { return arpAllTargetsNames.MarshalText(a) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ARPAllTargets) UnmarshalText(text []byte) error {
	return arpAllTargetsNames.UnmarshalText(text, a)
}

// PrimaryReselect is when a bond returns to its primary link.
type PrimaryReselect uint8

// Values of PrimaryReselect.
const (
	PrimaryReselectAlways  PrimaryReselect = 0
	PrimaryReselectBetter  PrimaryReselect = 1
	PrimaryReselectFailure PrimaryReselect = 2
)

var primaryReselectNames = enum.Names[PrimaryReselect]{
	PrimaryReselectAlways:  "always",
	PrimaryReselectBetter:  "better",
	PrimaryReselectFailure: "failure",
}

// String returns the text form.
func (p PrimaryReselect) String() string { return primaryReselectNames.Text(p) }

// MarshalText implements encoding.TextMarshaler.
func (p PrimaryReselect) MarshalText() ([]byte, error) { return primaryReselectNames.MarshalText(p) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *PrimaryReselect) UnmarshalText(text []byte) error {
	return primaryReselectNames.UnmarshalText(text, p)
}

// FailOverMAC is how a bond sets hardware addresses on failover.
type FailOverMAC uint8

// Values of FailOverMAC.
const (
	FailOverMACNone   FailOverMAC = 0
	FailOverMACActive FailOverMAC = 1
	FailOverMACFollow FailOverMAC = 2
)

var failOverMACNames = enum.Names[FailOverMAC]{
	FailOverMACNone:   "none",
	FailOverMACActive: "active",
	FailOverMACFollow: "follow",
}

// String returns the text form.
func (f FailOverMAC) String() string { return failOverMACNames.Text(f) }

// MarshalText implements encoding.TextMarshaler.
func (f FailOverMAC) MarshalText() ([]byte, error) { return failOverMACNames.MarshalText(f) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *FailOverMAC) UnmarshalText(text []byte) error {
	return failOverMACNames.UnmarshalText(text, f)
}

// ADSelect is how a bond picks its aggregator.
type ADSelect uint8

// Values of ADSelect.
const (
	ADSelectStable    ADSelect = 0
	ADSelectBandwidth ADSelect = 1
	ADSelectCount     ADSelect = 2
)

var adSelectNames = enum.Names[ADSelect]{
	ADSelectStable:    "stable",
	ADSelectBandwidth: "bandwidth",
	ADSelectCount:     "count",
}

// String returns the text form.
func (a ADSelect) String() string { return adSelectNames.Text(a) }

// MarshalText implements encoding.TextMarshaler.
func (a ADSelect) MarshalText() ([]byte, error) { return adSelectNames.MarshalText(a) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ADSelect) UnmarshalText(text []byte) error { return adSelectNames.UnmarshalText(text, a) }

// ADLACPActive is whether a bond starts LACP by itself.
type ADLACPActive uint8

// Values of ADLACPActive.
const (
	ADLACPActiveOff ADLACPActive = 0
	ADLACPActiveOn  ADLACPActive = 1
)

var adlacpActiveNames = enum.Names[ADLACPActive]{
	ADLACPActiveOff: "off",
	ADLACPActiveOn:  "on",
}

// String returns the text form.
func (a ADLACPActive) String() string { return adlacpActiveNames.Text(a) }

// MarshalText implements encoding.TextMarshaler.
func (a ADLACPActive) MarshalText() ([]byte, error) { return adlacpActiveNames.MarshalText(a) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ADLACPActive) UnmarshalText(text []byte) error {
	return adlacpActiveNames.UnmarshalText(text, a)
}
