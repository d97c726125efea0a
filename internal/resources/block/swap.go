package block

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// SwapStatus is an active swap device and its use.
type SwapStatus struct {
	Device    string `yaml:"device" protobuf:"1"`
	Type      string `yaml:"type" protobuf:"7"`
	SizeBytes uint64 `yaml:"size" protobuf:"2"`
	SizeHuman string `yaml:"sizeHuman" protobuf:"3"`
	UsedBytes uint64 `yaml:"used" protobuf:"4"`
	UsedHuman string `yaml:"usedHuman" protobuf:"5"`
	Priority  int32  `yaml:"priority" protobuf:"6"`
}

// Definition implements resource.Spec.
func (SwapStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SwapStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SwapStatus",
		Aliases:     []string{"swap", "swaps"},
		Columns: []resource.Column{
			{Name: "Device", JSONPath: "{.device}"},
			{Name: "Size", JSONPath: "{.sizeHuman}"},
			{Name: "Used", JSONPath: "{.usedHuman}"},
			{Name: "Priority", JSONPath: "{.priority}"},
		},
	}
}

// ZswapStatus holds the counters of the compressed swap cache.
type ZswapStatus struct {
	TotalSizeBytes      uint64 `yaml:"totalSize" protobuf:"1"`
	TotalSizeHuman      string `yaml:"totalSizeHuman" protobuf:"2"`
	StoredPages         uint64 `yaml:"storedPages" protobuf:"3"`
	PoolLimitHit        uint64 `yaml:"poolLimitHit" protobuf:"4"`
	RejectReclaimFail   uint64 `yaml:"rejectReclaimFail" protobuf:"5"`
	RejectAllocFail     uint64 `yaml:"rejectAllocFail" protobuf:"6"`
	RejectKmemcacheFail uint64 `yaml:"rejectKmemcacheFail" protobuf:"7"`
	RejectCompressFail  uint64 `yaml:"rejectCompressFail" protobuf:"8"`
	RejectCompressPoor  uint64 `yaml:"rejectCompressPoor" protobuf:"9"`
	WrittenBackPages    uint64 `yaml:"writtenBackPages" protobuf:"10"`
}

// Definition implements resource.Spec.
func (ZswapStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ZswapStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ZswapStatus",
		Columns: []resource.Column{
			{Name: "Total Size", JSONPath: "{.totalSizeHuman}"},
			{Name: "Stored Pages", JSONPath: "{.storedPages}"},
			{Name: "Written Back", JSONPath: "{.writtenBackPages}"},
			{Name: "Pool Limit Hit", JSONPath: "{.poolLimitHit}"},
		},
	}
}
