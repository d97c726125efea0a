package storage

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// LVMLogicalVolumeStatus is a logical volume as its tools report it; sizes are in bytes.
type LVMLogicalVolumeStatus struct {
	Path              string   `yaml:"path" protobuf:"1"`
	DMPath            string   `yaml:"dmPath" protobuf:"2"`
	Name              string   `yaml:"name" protobuf:"3"`
	FullName          string   `yaml:"fullName" protobuf:"4"`
	VGName            string   `yaml:"vgName" protobuf:"5"`
	UUID              string   `yaml:"uuid" protobuf:"6"`
	Layout            string   `yaml:"layout" protobuf:"7"`
	Role              string   `yaml:"role" protobuf:"8"`
	Permissions       string   `yaml:"permissions" protobuf:"9"`
	AllocationPolicy  string   `yaml:"allocationPolicy" protobuf:"10"`
	AllocationLocked  string   `yaml:"allocationLocked" protobuf:"11"`
	FixedMinor        string   `yaml:"fixedMinor" protobuf:"12"`
	Active            string   `yaml:"active" protobuf:"13"`
	ActiveLocally     string   `yaml:"activeLocally" protobuf:"14"`
	ActiveRemotely    string   `yaml:"activeRemotely" protobuf:"15"`
	ActiveExclusively string   `yaml:"activeExclusively" protobuf:"16"`
	Suspended         string   `yaml:"suspended" protobuf:"17"`
	DeviceOpen        string   `yaml:"deviceOpen" protobuf:"18"`
	SkipActivation    string   `yaml:"skipActivation" protobuf:"19"`
	Merging           string   `yaml:"merging" protobuf:"20"`
	Converting        string   `yaml:"converting" protobuf:"21"`
	Size              string   `yaml:"size" protobuf:"22"`
	MetadataSize      string   `yaml:"metadataSize" protobuf:"23"`
	ReadAhead         string   `yaml:"readAhead" protobuf:"24"`
	KernelMajor       string   `yaml:"kernelMajor" protobuf:"25"`
	KernelMinor       string   `yaml:"kernelMinor" protobuf:"26"`
	Origin            string   `yaml:"origin" protobuf:"27"`
	OriginSize        string   `yaml:"originSize" protobuf:"28"`
	PoolLV            string   `yaml:"poolLV" protobuf:"29"`
	DataLV            string   `yaml:"dataLV" protobuf:"30"`
	MetadataLV        string   `yaml:"metadataLV" protobuf:"31"`
	MovePV            string   `yaml:"movePV" protobuf:"32"`
	ConvertLV         string   `yaml:"convertLV" protobuf:"33"`
	WhenFull          string   `yaml:"whenFull" protobuf:"34"`
	Tags              []string `yaml:"tags" protobuf:"35"`
	PrettySize        string   `yaml:"prettySize,omitempty" protobuf:"36"`
}

// Definition implements resource.Spec.
func (LVMLogicalVolumeStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMLogicalVolumeStatuses.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMLogicalVolumeStatus",
		Aliases:     []string{"lvs"},
		Columns: []resource.Column{
			{Name: "Path", JSONPath: "{.path}"},
			{Name: "VG", JSONPath: "{.vgName}"},
			{Name: "Layout", JSONPath: "{.layout}"},
			{Name: "Size", JSONPath: "{.prettySize}"},
			{Name: "Active", JSONPath: "{.active}"},
		},
	}
}

// LVMPhysicalVolumeStatus is a physical volume as its tools report it; sizes are in bytes.
type LVMPhysicalVolumeStatus struct {
	Device           string   `yaml:"device" protobuf:"1"`
	VGName           string   `yaml:"vgName" protobuf:"2"`
	UUID             string   `yaml:"uuid" protobuf:"3"`
	Format           string   `yaml:"format" protobuf:"4"`
	Allocatable      string   `yaml:"allocatable" protobuf:"5"`
	Exported         string   `yaml:"exported" protobuf:"6"`
	Missing          string   `yaml:"missing" protobuf:"7"`
	InUse            string   `yaml:"inUse" protobuf:"8"`
	Size             string   `yaml:"size" protobuf:"9"`
	DeviceSize       string   `yaml:"deviceSize" protobuf:"10"`
	Free             string   `yaml:"free" protobuf:"11"`
	Used             string   `yaml:"used" protobuf:"12"`
	PECount          string   `yaml:"peCount" protobuf:"13"`
	PEAllocCount     string   `yaml:"peAllocCount" protobuf:"14"`
	Major            string   `yaml:"major" protobuf:"15"`
	Minor            string   `yaml:"minor" protobuf:"16"`
	Tags             []string `yaml:"tags" protobuf:"17"`
	PrettySize       string   `yaml:"prettySize,omitempty" protobuf:"18"`
	PrettyDeviceSize string   `yaml:"prettyDeviceSize,omitempty" protobuf:"19"`
	PrettyFree       string   `yaml:"prettyFree,omitempty" protobuf:"20"`
}

// Definition implements resource.Spec.
func (LVMPhysicalVolumeStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMPhysicalVolumeStatuses.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMPhysicalVolumeStatus",
		Aliases:     []string{"pvs"},
		Columns: []resource.Column{
			{Name: "Device", JSONPath: "{.device}"},
			{Name: "VG", JSONPath: "{.vgName}"},
			{Name: "Size", JSONPath: "{.prettySize}"},
			{Name: "Free", JSONPath: "{.prettyFree}"},
			{Name: "Allocatable", JSONPath: "{.allocatable}"},
		},
	}
}

// LVMVolumeGroupStatus is a volume group as its tools report it; sizes are in bytes.
type LVMVolumeGroupStatus struct {
	Name             string   `yaml:"name" protobuf:"1"`
	UUID             string   `yaml:"uuid" protobuf:"2"`
	Format           string   `yaml:"format" protobuf:"3"`
	Permissions      string   `yaml:"permissions" protobuf:"4"`
	Extendable       string   `yaml:"extendable" protobuf:"5"`
	Exported         string   `yaml:"exported" protobuf:"6"`
	Partial          string   `yaml:"partial" protobuf:"7"`
	AllocationPolicy string   `yaml:"allocationPolicy" protobuf:"8"`
	Clustered        string   `yaml:"clustered" protobuf:"9"`
	Shared           string   `yaml:"shared" protobuf:"10"`
	Size             string   `yaml:"size" protobuf:"11"`
	Free             string   `yaml:"free" protobuf:"12"`
	ExtentSize       string   `yaml:"extentSize" protobuf:"13"`
	ExtentCount      string   `yaml:"extentCount" protobuf:"14"`
	FreeExtentCount  string   `yaml:"freeExtentCount" protobuf:"15"`
	MaxLV            string   `yaml:"maxLV" protobuf:"16"`
	MaxPV            string   `yaml:"maxPV" protobuf:"17"`
	LVCount          string   `yaml:"lvCount" protobuf:"18"`
	PVCount          string   `yaml:"pvCount" protobuf:"19"`
	SnapCount        string   `yaml:"snapCount" protobuf:"20"`
	MissingPVCount   string   `yaml:"missingPVCount" protobuf:"21"`
	SeqNo            string   `yaml:"seqNo" protobuf:"22"`
	LockType         string   `yaml:"lockType" protobuf:"23"`
	SystemID         string   `yaml:"systemID" protobuf:"24"`
	Tags             []string `yaml:"tags" protobuf:"25"`
	PrettySize       string   `yaml:"prettySize,omitempty" protobuf:"26"`
	PrettyFree       string   `yaml:"prettyFree,omitempty" protobuf:"27"`
}

// Definition implements resource.Spec.
func (LVMVolumeGroupStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LVMVolumeGroupStatuses.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LVMVolumeGroupStatus",
		Aliases:     []string{"vgs"},
		Columns: []resource.Column{
			{Name: "Name", JSONPath: "{.name}"},
			{Name: "Permissions", JSONPath: "{.permissions}"},
			{Name: "Size", JSONPath: "{.prettySize}"},
			{Name: "Free", JSONPath: "{.prettyFree}"},
			{Name: "PVs", JSONPath: "{.pvCount}"},
			{Name: "LVs", JSONPath: "{.lvCount}"},
		},
	}
}
