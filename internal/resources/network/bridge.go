package network

// BridgeMasterSpec holds the options of a bridge.
type BridgeMasterSpec struct {
	STP  STPSpec        `yaml:"stp,omitempty" protobuf:"1"`
	VLAN BridgeVLANSpec `yaml:"vlan,omitempty" protobuf:"2"`
}

// STPSpec switches the spanning tree protocol of a bridge.
type STPSpec struct {
	Enabled bool `yaml:"enabled" protobuf:"1"`
}

// BridgeVLANSpec switches the VLAN filter of a bridge.
type BridgeVLANSpec struct {
	FilteringEnabled bool `yaml:"filteringEnabled" protobuf:"1"`
}

// BridgeSlave puts a link into a bridge.
type BridgeSlave struct {
	MasterName string `yaml:"masterName,omitempty" protobuf:"1"`
}
