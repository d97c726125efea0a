package storage

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// LVMLogicalVolumeSpec is a logical volume that should exist.
type LVMLogicalVolumeSpec struct {
	VGName        string               `yaml:"vgName" protobuf:"1"`
	Name          string               `yaml:"name" protobuf:"2"`
	Type          LVMLogicalVolumeType `yaml:"type" protobuf:"3"`
	SizeBytes     uint64               `yaml:"sizeBytes" protobuf:"4"`
	SizePercentVG uint32               `yaml:"sizePercentVG" protobuf:"5"`
	Mirrors       uint32               `yaml:"mirrors" protobuf:"6"`
	Stripes       uint32               `yaml:"stripes" protobuf:"7"`
}

// Definition implements resource.Spec.
func (LVMLogicalVolumeSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMLogicalVolumeSpecs.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMLogicalVolumeSpec",
		Columns: []resource.Column{
			{Name: "VG", JSONPath: "{.vgName}"},
			{Name: "Name", JSONPath: "{.name}"},
			{Name: "Type", JSONPath: "{.type}"},
		},
	}
}

// LVMPhysicalVolumeSpec is a block device that should be a physical volume.
type LVMPhysicalVolumeSpec struct {
	Device string `yaml:"device" protobuf:"1"`
	VGName string `yaml:"vgName" protobuf:"2"`
}

// Definition implements resource.Spec.
func (LVMPhysicalVolumeSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMPhysicalVolumeSpecs.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMPhysicalVolumeSpec",
		Columns: []resource.Column{
			{Name: "Device", JSONPath: "{.device}"},
			{Name: "VG", JSONPath: "{.vgName}"},
		},
	}
}

// LVMVolumeGroupSpec is a volume group that should exist.
type LVMVolumeGroupSpec struct {
	Name            string   `yaml:"name" protobuf:"1"`
	PhysicalVolumes []string `yaml:"physicalVolumes" protobuf:"2"`
}

// Definition implements resource.Spec.
func (LVMVolumeGroupSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMVolumeGroupSpecs.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMVolumeGroupSpec",
		Columns: []resource.Column{
			{Name: "Name", JSONPath: "{.name}"},
		},
	}
}

// LVMRefreshRequest asks for a new scan of logical volumes; the number rises with every request.
type LVMRefreshRequest struct {
	Request int `yaml:"request" protobuf:"1"`
}

// Definition implements resource.Spec.
func (LVMRefreshRequest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMRefreshRequests.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMRefreshRequest",
		Columns: []resource.Column{
			{Name: "Request", JSONPath: "{.request}"},
		},
	}
}

// LVMValidationError is a reason why a volume group cannot be made as asked.
type LVMValidationError struct {
	VGName  string `yaml:"vgName" protobuf:"1"`
	Message string `yaml:"message" protobuf:"2"`
}

// Definition implements resource.Spec.
func (LVMValidationError) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMValidationErrors.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMValidationError",
		Columns: []resource.Column{
			{Name: "VG", JSONPath: "{.vgName}"},
			{Name: "Message", JSONPath: "{.message}"},
		},
	}
}

// LVMLogicalVolumeType is the layout of a logical volume.
type LVMLogicalVolumeType int

// Values of LVMLogicalVolumeType.
const (
	LVMLogicalVolumeTypeLinear LVMLogicalVolumeType = 0
	LVMLogicalVolumeTypeRAID1  LVMLogicalVolumeType = 1
	LVMLogicalVolumeTypeRAID0  LVMLogicalVolumeType = 2
	LVMLogicalVolumeTypeRAID10 LVMLogicalVolumeType = 3
)

var lvmLogicalVolumeTypeNames = enum.Names[LVMLogicalVolumeType]{
	LVMLogicalVolumeTypeLinear: "linear",
	LVMLogicalVolumeTypeRAID1:  "raid1",
	LVMLogicalVolumeTypeRAID0:  "raid0",
	LVMLogicalVolumeTypeRAID10: "raid10",
}

// String returns the text form.
func (l LVMLogicalVolumeType) String() string { return lvmLogicalVolumeTypeNames.Text(l) }

// MarshalText implements encoding.TextMarshaler.
func (l LVMLogicalVolumeType) MarshalText() ([]byte, error) {
	return lvmLogicalVolumeTypeNames.MarshalText(l)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *LVMLogicalVolumeType) UnmarshalText(text []byte) error {
	return lvmLogicalVolumeTypeNames.UnmarshalText(text, l)
}
