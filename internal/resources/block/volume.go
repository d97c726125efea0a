package block

import (
	"time"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// VolumeConfig says what a volume should be: where to find or create it, and how to format, encrypt and mount it.
type VolumeConfig struct {
	ParentID      string                  `yaml:"parentId,omitempty" protobuf:"1"`
	Type          VolumeType              `yaml:"type" protobuf:"2"`
	Provisioning  ProvisioningSpec        `yaml:"provisioning" protobuf:"3"`
	Encryption    EncryptionSpec          `yaml:"encryption,omitempty" protobuf:"6"`
	Locator       LocatorSpec             `yaml:"locator" protobuf:"4"`
	Mount         MountSpec               `yaml:"mount,omitempty" protobuf:"5"`
	Symlink       SymlinkProvisioningSpec `yaml:"symlink,omitempty" protobuf:"7"`
	TrimEnabled   bool                    `yaml:"trimEnabled,omitempty" protobuf:"8"`
	TrimInterval  time.Duration           `yaml:"trimInterval,omitempty" protobuf:"9"`
	ScrubEnabled  bool                    `yaml:"scrubEnabled,omitempty" protobuf:"10"`
	ScrubInterval time.Duration           `yaml:"scrubInterval,omitempty" protobuf:"11"`
}

// Definition implements resource.Spec.
func (VolumeConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "VolumeConfigs.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "VolumeConfig",
		Sensitive:   true,
	}
}

// VolumeStatus is how far the volume manager has come with a volume, and where it found it.
type VolumeStatus struct {
	Phase                    VolumePhase              `yaml:"phase" protobuf:"1"`
	PreFailPhase             VolumePhase              `yaml:"preFailPhase,omitempty" protobuf:"6"`
	Type                     VolumeType               `yaml:"type" protobuf:"16"`
	ParentID                 string                   `yaml:"parentID,omitempty" protobuf:"19"`
	Location                 string                   `yaml:"location,omitempty" protobuf:"2"`
	MountLocation            string                   `yaml:"mountLocation,omitempty" protobuf:"11"`
	PartitionIndex           int                      `yaml:"partitionIndex,omitempty" protobuf:"8"`
	ParentLocation           string                   `yaml:"parentLocation,omitempty" protobuf:"7"`
	UUID                     string                   `yaml:"uuid,omitempty" protobuf:"4"`
	PartitionUUID            string                   `yaml:"partitionUUID,omitempty" protobuf:"5"`
	Size                     uint64                   `yaml:"size,omitempty" protobuf:"9"`
	PrettySize               string                   `yaml:"prettySize,omitempty" protobuf:"13"`
	Filesystem               FilesystemType           `yaml:"filesystem,omitempty" protobuf:"10"`
	EncryptionProvider       EncryptionProviderType   `yaml:"encryptionProvider,omitempty" protobuf:"12"`
	EncryptionFailedSyncs    []string                 `yaml:"encryptionFailedSyncs,omitempty" protobuf:"14"`
	ConfiguredEncryptionKeys []string                 `yaml:"configuredEncryptionKeys,omitempty" protobuf:"17"`
	EncryptionLockedToState  bool                     `yaml:"encryptionLockedToState,omitempty" protobuf:"20"`
	EncryptionSlot           *int                     `yaml:"encryptionSlot,omitempty" protobuf:"21"`
	TPMEncryptionOptions     TPMEncryptionOptionsInfo `yaml:"tpmEncryptionOptions,omitempty" protobuf:"22"`
	EncryptionAllowDiscards  bool                     `yaml:"encryptionAllowDiscards,omitempty" protobuf:"23"`
	TrimEnabled              bool                     `yaml:"trimEnabled,omitempty" protobuf:"24"`
	TrimInterval             time.Duration            `yaml:"trimInterval,omitempty" protobuf:"25"`
	ScrubEnabled             bool                     `yaml:"scrubEnabled,omitempty" protobuf:"26"`
	ScrubInterval            time.Duration            `yaml:"scrubInterval,omitempty" protobuf:"27"`
	MountSpec                MountSpec                `yaml:"mountSpec,omitempty" protobuf:"15"`
	SymlinkSpec              SymlinkProvisioningSpec  `yaml:"symlink,omitempty" protobuf:"18"`
	ErrorMessage             string                   `yaml:"errorMessage,omitempty" protobuf:"3"`
}

// Definition implements resource.Spec.
func (VolumeStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "VolumeStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "VolumeStatus",
		Columns: []resource.Column{
			{Name: "Type", JSONPath: "{.type}"},
			{Name: "Phase", JSONPath: "{.phase}"},
			{Name: "Location", JSONPath: "{.location}"},
			{Name: "Size", JSONPath: "{.prettySize}"},
		},
	}
}

// VolumeLifecycle exists while volumes may be used; its tear-down closes them all.
type VolumeLifecycle struct {
}

// Definition implements resource.Spec.
func (VolumeLifecycle) Definition() resource.Definition {
	return resource.Definition{
		Type:        "VolumeLifecycles.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "VolumeLifecycle",
	}
}

// ProvisioningSpec says on which disk a volume is created, in which order, and with what partition and file system.
type ProvisioningSpec struct {
	Wave           int            `yaml:"wave,omitempty" protobuf:"3"`
	DiskSelector   DiskSelector   `yaml:"diskSelector,omitempty" protobuf:"1"`
	PartitionSpec  PartitionSpec  `yaml:"partitionSpec,omitempty" protobuf:"2"`
	FilesystemSpec FilesystemSpec `yaml:"filesystemSpec,omitempty" protobuf:"4"`
}

// DiskSelector picks the disks that may hold a volume.
type DiskSelector struct {
	Match    Expression `yaml:"match,omitempty" protobuf:"1"`
	External string     `yaml:"external,omitempty" protobuf:"2"`
}

// PartitionSpec is the partition to create: size limits in bytes, label and type.
type PartitionSpec struct {
	MinSize         uint64 `yaml:"minSize" protobuf:"1"`
	MaxSize         uint64 `yaml:"maxSize,omitempty" protobuf:"2"`
	RelativeMaxSize uint64 `yaml:"relativeMaxSize" protobuf:"6"`
	NegativeMaxSize bool   `yaml:"negativeMaxSize" protobuf:"7"`
	Grow            bool   `yaml:"grow" protobuf:"3"`
	Label           string `yaml:"label,omitempty" protobuf:"4"`
	TypeUUID        string `yaml:"typeUUID,omitempty" protobuf:"5"`
}

// FilesystemSpec is the file system to create.
type FilesystemSpec struct {
	Type                   FilesystemType `yaml:"type" protobuf:"1"`
	Label                  string         `yaml:"label,omitempty" protobuf:"2"`
	MinAllocationGroupSize uint64         `yaml:"minAllocationGroupSize,omitempty" protobuf:"3"`
}

// LocatorSpec finds a volume that exists already.
type LocatorSpec struct {
	Match     Expression `yaml:"match,omitempty" protobuf:"1"`
	DiskMatch Expression `yaml:"diskMatch,omitempty" protobuf:"2"`
}

// SymlinkProvisioningSpec is the link to create for a volume of type symlink.
type SymlinkProvisioningSpec struct {
	SymlinkTargetPath string `yaml:"symlinkTargetPath" protobuf:"1"`
	Force             bool   `yaml:"force" protobuf:"2"`
}

// VolumeType is what a volume is made of.
type VolumeType int

// Values of VolumeType.
const (
	VolumeTypePartition VolumeType = 0
	VolumeTypeDisk      VolumeType = 1
	VolumeTypeTmpfs     VolumeType = 2
	VolumeTypeDirectory VolumeType = 3
	VolumeTypeSymlink   VolumeType = 4
	VolumeTypeOverlay   VolumeType = 5
	VolumeTypeExternal  VolumeType = 6
)

var volumeTypeNames = enum.Names[VolumeType]{
	VolumeTypePartition: "partition",
	VolumeTypeDisk:      "disk",
	VolumeTypeTmpfs:     "tmpfs",
	VolumeTypeDirectory: "directory",
	VolumeTypeSymlink:   "symlink",
	VolumeTypeOverlay:   "overlay",
	VolumeTypeExternal:  "external",
}

// String returns the text form.
func (v VolumeType) String() string { return volumeTypeNames.Text(v) }

// MarshalText implements encoding.TextMarshaler.
func (v VolumeType) MarshalText() ([]byte, error) { return volumeTypeNames.MarshalText(v) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *VolumeType) UnmarshalText(text []byte) error { return volumeTypeNames.UnmarshalText(text, v) }

// VolumePhase is how far a volume has come.
type VolumePhase int

// Values of VolumePhase.
const (
	VolumePhaseWaiting     VolumePhase = 0
	VolumePhaseFailed      VolumePhase = 1
	VolumePhaseMissing     VolumePhase = 2
	VolumePhaseLocated     VolumePhase = 3
	VolumePhaseProvisioned VolumePhase = 4
	VolumePhasePrepared    VolumePhase = 5
	VolumePhaseReady       VolumePhase = 6
	VolumePhaseClosed      VolumePhase = 7
)

var volumePhaseNames = enum.Names[VolumePhase]{
	VolumePhaseWaiting:     "waiting",
	VolumePhaseFailed:      "failed",
	VolumePhaseMissing:     "missing",
	VolumePhaseLocated:     "located",
	VolumePhaseProvisioned: "provisioned",
	VolumePhasePrepared:    "prepared",
	VolumePhaseReady:       "ready",
	VolumePhaseClosed:      "closed",
}

// String returns the text form.
func (v VolumePhase) String() string { return volumePhaseNames.Text(v) }

// MarshalText implements encoding.TextMarshaler.
func (v VolumePhase) MarshalText() ([]byte, error) { return volumePhaseNames.MarshalText(v) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *VolumePhase) UnmarshalText(text []byte) error {
	return volumePhaseNames.UnmarshalText(text, v)
}

// FilesystemType is a kind of file system.
type FilesystemType int

// Values of FilesystemType.
const (
	FilesystemTypeNone     FilesystemType = 0
	FilesystemTypeXFS      FilesystemType = 1
	FilesystemTypeVFAT     FilesystemType = 2
	FilesystemTypeEXT4     FilesystemType = 3
	FilesystemTypeISO9660  FilesystemType = 4
	FilesystemTypeSwap     FilesystemType = 5
	FilesystemTypeVirtioFS FilesystemType = 6
	FilesystemTypeBTRFS    FilesystemType = 7
)

var filesystemTypeNames = enum.Names[FilesystemType]{
	FilesystemTypeNone:     "none",
	FilesystemTypeXFS:      "xfs",
	FilesystemTypeVFAT:     "vfat",
	FilesystemTypeEXT4:     "ext4",
	FilesystemTypeISO9660:  "iso9660",
	FilesystemTypeSwap:     "swapi",
	FilesystemTypeVirtioFS: "virtiofs",
	FilesystemTypeBTRFS:    "btrfs",
}

// String returns the text form.
func (f FilesystemType) String() string { return filesystemTypeNames.Text(f) }

// MarshalText implements encoding.TextMarshaler.
func (f FilesystemType) MarshalText() ([]byte, error) { return filesystemTypeNames.MarshalText(f) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *FilesystemType) UnmarshalText(text []byte) error {
	return filesystemTypeNames.UnmarshalText(text, f)
}

// EncryptionProviderType is how a volume is encrypted.
type EncryptionProviderType int

// Values of EncryptionProviderType.
const (
	EncryptionProviderTypeNone  EncryptionProviderType = 0
	EncryptionProviderTypeLUKS2 EncryptionProviderType = 1
)

var encryptionProviderTypeNames = enum.Names[EncryptionProviderType]{
	EncryptionProviderTypeNone:  "none",
	EncryptionProviderTypeLUKS2: "luks2",
}

// String returns the text form.
func (e EncryptionProviderType) String() string { return encryptionProviderTypeNames.Text(e) }

// MarshalText implements encoding.TextMarshaler.
func (e EncryptionProviderType) MarshalText() ([]byte, error) {
	return encryptionProviderTypeNames.MarshalText(e)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (e *EncryptionProviderType) UnmarshalText(text []byte) error {
	return encryptionProviderTypeNames.UnmarshalText(text, e)
}
