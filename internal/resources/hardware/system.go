package hardware

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// SystemInformation is the machine's maker, model and serial numbers.
type SystemInformation struct {
	Manufacturer string `yaml:"manufacturer,omitempty" protobuf:"1"`
	ProductName  string `yaml:"productName,omitempty" protobuf:"2"`
	Version      string `yaml:"version,omitempty" protobuf:"3"`
	BIOSVersion  string `yaml:"biosVersion,omitempty" protobuf:"8"`
	SerialNumber string `yaml:"serialnumber,omitempty" protobuf:"4"`
	UUID         string `yaml:"uuid,omitempty" protobuf:"5"`
	WakeUpType   string `yaml:"wakeUpType,omitempty" protobuf:"6"`
	SKUNumber    string `yaml:"skuNumber,omitempty" protobuf:"7"`
}

// Definition implements resource.Spec.
func (SystemInformation) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SystemInformations.hardware.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SystemInformation",
		Aliases:     []string{"systeminformation"},
		Columns: []resource.Column{
			{Name: "Manufacturer", JSONPath: "{.manufacturer}"},
			{Name: "ProductName", JSONPath: "{.productName}"},
			{Name: "Version", JSONPath: "{.version}"},
			{Name: "SerialNumber", JSONPath: "{.serialnumber}"},
			{Name: "UUID", JSONPath: "{.uuid}"},
			{Name: "WakeUpType", JSONPath: "{.wakeUpType}"},
			{Name: "SKUNumber", JSONPath: "{.skuNumber}"},
		},
	}
}

// PCRStatus marks a TPM platform configuration register as extended.
type PCRStatus struct {
}

// Definition implements resource.Spec.
func (PCRStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "PCRStatuses.hardware.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "PCRStatus",
	}
}
