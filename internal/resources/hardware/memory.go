package hardware

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// MemoryModule is a memory module as the firmware describes it; Size is in MiB.
type MemoryModule struct {
	Size          uint32 `yaml:"sizeMiB,omitempty" protobuf:"1"`
	DeviceLocator string `yaml:"deviceLocator,omitempty" protobuf:"2"`
	BankLocator   string `yaml:"bankLocator,omitempty" protobuf:"3"`
	Speed         uint32 `yaml:"speed,omitempty" protobuf:"4"`
	Manufacturer  string `yaml:"manufacturer,omitempty" protobuf:"5"`
	SerialNumber  string `yaml:"serialNumber,omitempty" protobuf:"6"`
	AssetTag      string `yaml:"assetTag,omitempty" protobuf:"7"`
	ProductName   string `yaml:"productName,omitempty" protobuf:"8"`
}

// Definition implements resource.Spec.
func (MemoryModule) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MemoryModules.hardware.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MemoryModule",
		Aliases:     []string{"memorymodules", "ram"},
		Columns: []resource.Column{
			{Name: "Manufacturer", JSONPath: "{.manufacturer}"},
			{Name: "Model", JSONPath: "{.productName}"},
			{Name: "SizeMiB", JSONPath: "{.sizeMiB}"},
		},
	}
}
