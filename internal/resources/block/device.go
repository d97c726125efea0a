package block

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// Device is a block device or partition that the kernel knows.
type Device struct {
	Type            string   `yaml:"type" protobuf:"1"`
	Major           int      `yaml:"major" protobuf:"2"`
	Minor           int      `yaml:"minor" protobuf:"3"`
	PartitionName   string   `yaml:"partitionName,omitempty" protobuf:"4"`
	PartitionNumber int      `yaml:"partitionNumber,omitempty" protobuf:"5"`
	DevicePath      string   `yaml:"devicePath" protobuf:"7"`
	Generation      int      `yaml:"generation" protobuf:"6"`
	Parent          string   `yaml:"parent,omitempty" protobuf:"8"`
	Secondaries     []string `yaml:"secondaries,omitempty" protobuf:"9"`
}

// Definition implements resource.Spec.
func (Device) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BlockDevices.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "BlockDevice",
		Columns: []resource.Column{
			{Name: "Type", JSONPath: "{.type}"},
			{Name: "PartitionName", JSONPath: "{.partitionName}"},
			{Name: "Generation", JSONPath: "{.generation}"},
		},
	}
}

// Symlink lists the stable names (by-id, by-path, ...) of a block device.
type Symlink struct {
	Paths []string `yaml:"paths" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Symlink) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BlockSymlinks.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "BlockSymlink",
	}
}

// Disk describes a whole disk: size, transport, identity and media kind.
type Disk struct {
	DevPath         string   `yaml:"dev_path" protobuf:"14"`
	Size            uint64   `yaml:"size" protobuf:"1"`
	PrettySize      string   `yaml:"pretty_size" protobuf:"15"`
	IOSize          uint     `yaml:"io_size" protobuf:"2"`
	SectorSize      uint     `yaml:"sector_size" protobuf:"3"`
	Readonly        bool     `yaml:"readonly" protobuf:"4"`
	CDROM           bool     `yaml:"cdrom" protobuf:"13"`
	Model           string   `yaml:"model,omitempty" protobuf:"5"`
	FirmwareVersion string   `yaml:"firmware_version,omitempty" protobuf:"19"`
	Serial          string   `yaml:"serial,omitempty" protobuf:"6"`
	Modalias        string   `yaml:"modalias,omitempty" protobuf:"7"`
	WWID            string   `yaml:"wwid,omitempty" protobuf:"8"`
	UUID            string   `yaml:"uuid,omitempty" protobuf:"17"`
	BusPath         string   `yaml:"bus_path,omitempty" protobuf:"9"`
	SubSystem       string   `yaml:"sub_system,omitempty" protobuf:"10"`
	Transport       string   `yaml:"transport,omitempty" protobuf:"11"`
	Rotational      bool     `yaml:"rotational,omitempty" protobuf:"12"`
	SecondaryDisks  []string `yaml:"secondary_disks,omitempty" protobuf:"16"`
	Symlinks        []string `yaml:"symlinks,omitempty" protobuf:"18"`
}

// Definition implements resource.Spec.
func (Disk) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Disks.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Disk",
		Columns: []resource.Column{
			{Name: "Size", JSONPath: "{.pretty_size}"},
			{Name: "Read Only", JSONPath: "{.readonly}"},
			{Name: "Transport", JSONPath: "{.transport}"},
			{Name: "Rotational", JSONPath: "{.rotational}"},
			{Name: "WWID", JSONPath: "{.wwid}"},
			{Name: "Model", JSONPath: "{.model}"},
			{Name: "Serial", JSONPath: "{.serial}"},
		},
	}
}

// SystemDisk names the disk that the system was booted from or installed to.
type SystemDisk struct {
	DiskID  string `yaml:"diskID" protobuf:"1"`
	DevPath string `yaml:"devPath" protobuf:"2"`
}

// Definition implements resource.Spec.
func (SystemDisk) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SystemDisks.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SystemDisk",
		Columns: []resource.Column{
			{Name: "Disk", JSONPath: "{.diskID}"},
		},
	}
}

// UserDiskConfigStatus says whether the disks asked for by the configuration are set up.
type UserDiskConfigStatus struct {
	Ready    bool `yaml:"ready" protobuf:"1"`
	TornDown bool `yaml:"tornDown" protobuf:"2"`
}

// Definition implements resource.Spec.
func (UserDiskConfigStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "UserDiskConfigStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "UserDiskConfigStatus",
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: "{.ready}"},
		},
	}
}
