package block

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// DiscoveredVolume is what a probe found on a block device: partition table, file system or encryption header.
type DiscoveredVolume struct {
	DevPath             string `yaml:"dev_path" protobuf:"17"`
	Type                string `yaml:"type" protobuf:"14"`
	DevicePath          string `yaml:"device_path" protobuf:"15"`
	Parent              string `yaml:"parent,omitempty" protobuf:"16"`
	ParentDevPath       string `yaml:"parent_dev_path,omitempty" protobuf:"18"`
	Offset              uint64 `yaml:"offset" protobuf:"20"`
	Size                uint64 `yaml:"size" protobuf:"1"`
	PrettySize          string `yaml:"pretty_size" protobuf:"19"`
	SectorSize          uint   `yaml:"sector_size,omitempty" protobuf:"2"`
	IOSize              uint   `yaml:"io_size,omitempty" protobuf:"3"`
	Name                string `yaml:"name" protobuf:"4"`
	UUID                string `yaml:"uuid,omitempty" protobuf:"5"`
	Label               string `yaml:"label,omitempty" protobuf:"6"`
	BlockSize           uint32 `yaml:"block_size,omitempty" protobuf:"7"`
	FilesystemBlockSize uint32 `yaml:"filesystem_block_size,omitempty" protobuf:"8"`
	ProbedSize          uint64 `yaml:"probed_size,omitempty" protobuf:"9"`
	PartitionUUID       string `yaml:"partition_uuid,omitempty" protobuf:"10"`
	PartitionType       string `yaml:"partition_type,omitempty" protobuf:"11"`
	PartitionLabel      string `yaml:"partition_label,omitempty" protobuf:"12"`
	PartitionIndex      uint   `yaml:"partition_index,omitempty" protobuf:"13"`
}

// Definition implements resource.Spec.
func (DiscoveredVolume) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DiscoveredVolumes.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DiscoveredVolume",
		Columns: []resource.Column{
			{Name: "Type", JSONPath: "{.type}"},
			{Name: "Size", JSONPath: "{.pretty_size}"},
			{Name: "Discovered", JSONPath: "{.name}"},
			{Name: "Label", JSONPath: "{.label}"},
			{Name: "PartitionLabel", JSONPath: "{.partition_label}"},
		},
	}
}

// DiscoveredVolumesStatus says that the first full discovery round is over.
type DiscoveredVolumesStatus struct {
	Ready bool `yaml:"ready" protobuf:"1"`
}

// Definition implements resource.Spec.
func (DiscoveredVolumesStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DiscoveredVolumesStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DiscoveredVolumesStatus",
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: "{.ready}"},
		},
	}
}

// DiscoveryRefreshRequest asks for a new discovery round; the number rises with every request.
type DiscoveryRefreshRequest struct {
	Request int `yaml:"request" protobuf:"1"`
}

// Definition implements resource.Spec.
func (DiscoveryRefreshRequest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DiscoveryRefreshRequests.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DiscoveryRefreshRequest",
		Columns: []resource.Column{
			{Name: "Request", JSONPath: "{.request}"},
		},
	}
}

// DiscoveryRefreshStatus is the last discovery request that was served.
type DiscoveryRefreshStatus struct {
	Request int `yaml:"request" protobuf:"1"`
}

// Definition implements resource.Spec.
func (DiscoveryRefreshStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DiscoveryRefreshStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DiscoveryRefreshStatus",
		Columns: []resource.Column{
			{Name: "Request", JSONPath: "{.request}"},
		},
	}
}
