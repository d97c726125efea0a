package hardware

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// Processor is a CPU socket as the firmware describes it.
type Processor struct {
	Socket       string `yaml:"socket,omitempty" protobuf:"1"`
	Manufacturer string `yaml:"manufacturer,omitempty" protobuf:"2"`
	ProductName  string `yaml:"productName,omitempty" protobuf:"3"`
	MaxSpeed     uint32 `yaml:"maxSpeedMhz,omitempty" protobuf:"4"`
	BootSpeed    uint32 `yaml:"bootSpeedMhz,omitempty" protobuf:"5"`
	Status       uint32 `yaml:"status,omitempty" protobuf:"6"`
	SerialNumber string `yaml:"serialNumber,omitempty" protobuf:"7"`
	AssetTag     string `yaml:"assetTag,omitempty" protobuf:"8"`
	PartNumber   string `yaml:"partNumber,omitempty" protobuf:"9"`
	CoreCount    uint32 `yaml:"coreCount,omitempty" protobuf:"10"`
	CoreEnabled  uint32 `yaml:"coreEnabled,omitempty" protobuf:"11"`
	ThreadCount  uint32 `yaml:"threadCount,omitempty" protobuf:"12"`
}

// Definition implements resource.Spec.
func (Processor) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Processors.hardware.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Processor",
		Aliases:     []string{"cpus", "cpu"},
		Columns: []resource.Column{
			{Name: "Manufacturer", JSONPath: "{.manufacturer}"},
			{Name: "Model", JSONPath: "{.productName}"},
			{Name: "Cores", JSONPath: "{.coreCount}"},
			{Name: "Threads", JSONPath: "{.threadCount}"},
		},
	}
}

// CPUCore is a physical core as the kernel describes it.
type CPUCore struct {
	Socket           string   `yaml:"socket,omitempty" protobuf:"1"`
	CoreID           string   `yaml:"coreID,omitempty" protobuf:"2"`
	LogicalCPUs      []uint32 `yaml:"logicalCPUs,omitempty" protobuf:"3"`
	VendorID         string   `yaml:"vendorID,omitempty" protobuf:"4"`
	CPUFamily        string   `yaml:"cpuFamily,omitempty" protobuf:"5"`
	Model            string   `yaml:"model,omitempty" protobuf:"6"`
	ModelName        string   `yaml:"modelName,omitempty" protobuf:"7"`
	Stepping         string   `yaml:"stepping,omitempty" protobuf:"8"`
	Microcode        string   `yaml:"microcode,omitempty" protobuf:"9"`
	CacheSize        string   `yaml:"cacheSize,omitempty" protobuf:"10"`
	CoresPerSocket   uint32   `yaml:"coresPerSocket,omitempty" protobuf:"11"`
	ThreadsPerSocket uint32   `yaml:"threadsPerSocket,omitempty" protobuf:"12"`
	Flags            []string `yaml:"flags,omitempty" protobuf:"13"`
	Bugs             []string `yaml:"bugs,omitempty" protobuf:"14"`
	BogoMips         float64  `yaml:"bogoMips,omitempty" protobuf:"15"`
	AddressSizes     string   `yaml:"addressSizes,omitempty" protobuf:"16"`
}

// Definition implements resource.Spec.
func (CPUCore) Definition() resource.Definition {
	return resource.Definition{
		Type:        "CPUCores.hardware.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "CPUCore",
		Aliases:     []string{"cpucore", "cpucores"},
		Columns: []resource.Column{
			{Name: "Socket", JSONPath: "{.socket}"},
			{Name: "Core", JSONPath: "{.coreID}"},
			{Name: "Model", JSONPath: "{.modelName}"},
			{Name: "Logical CPUs", JSONPath: "{.logicalCPUs}"},
		},
	}
}
