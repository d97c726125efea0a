package hardware

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// PCIDevice is a device on the PCI bus.
type PCIDevice struct {
	Class      string `yaml:"class,omitempty" protobuf:"1"`
	Subclass   string `yaml:"subclass,omitempty" protobuf:"2"`
	Vendor     string `yaml:"vendor,omitempty" protobuf:"3"`
	Product    string `yaml:"product,omitempty" protobuf:"4"`
	ClassID    string `yaml:"class_id" protobuf:"5"`
	SubclassID string `yaml:"subclass_id" protobuf:"6"`
	VendorID   string `yaml:"vendor_id" protobuf:"7"`
	ProductID  string `yaml:"product_id" protobuf:"8"`
	Driver     string `yaml:"driver,omitempty" protobuf:"9"`
}

// Definition implements resource.Spec.
func (PCIDevice) Definition() resource.Definition {
	return resource.Definition{
		Type:        "PCIDevices.hardware.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "PCIDevice",
		Aliases:     []string{"devices", "device"},
		Columns: []resource.Column{
			{Name: "Class", JSONPath: "{.class}"},
			{Name: "Subclass", JSONPath: "{.subclass}"},
			{Name: "Vendor", JSONPath: "{.vendor}"},
			{Name: "Product", JSONPath: "{.product}"},
		},
	}
}

// PCIDriverRebindConfig asks for another driver for a PCI device.
type PCIDriverRebindConfig struct {
	PCIID        string `yaml:"pciID" protobuf:"1"`
	TargetDriver string `yaml:"targetDriver" protobuf:"2"`
}

// Definition implements resource.Spec.
func (PCIDriverRebindConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "PCIDriverRebindConfigs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "PCIDriverRebindConfig",
		Columns: []resource.Column{
			{Name: "Name", JSONPath: "{.name}"},
			{Name: "PCI ID", JSONPath: "{.pciID}"},
			{Name: "TargetDriver", JSONPath: "{.targetDriver}"},
		},
	}
}

// PCIDriverRebindStatus is a PCI device that was bound to another driver.
type PCIDriverRebindStatus struct {
	PCIID        string `yaml:"pciID" protobuf:"1"`
	TargetDriver string `yaml:"targetDriver" protobuf:"2"`
}

// Definition implements resource.Spec.
func (PCIDriverRebindStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "PCIDriverRebindStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "PCIDriverRebindStatus",
		Aliases:     []string{"pcidriverrebinds"},
		Columns: []resource.Column{
			{Name: "Name", JSONPath: "{.name}"},
			{Name: "PCI ID", JSONPath: "{.pciID}"},
			{Name: "TargetDriver", JSONPath: "{.targetDriver}"},
		},
	}
}
