package block

import (
	"io/fs"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// MountSpec says where and how a volume is mounted.
type MountSpec struct {
	TargetPath          string          `yaml:"targetPath" protobuf:"1"`
	SelinuxLabel        string          `yaml:"selinuxLabel" protobuf:"2"`
	ProjectQuotaSupport bool            `yaml:"projectQuotaSupport" protobuf:"3"`
	ParentID            string          `yaml:"parentId,omitempty" protobuf:"4"`
	FileMode            fs.FileMode     `yaml:"fileMode,omitempty" protobuf:"5"`
	UID                 int             `yaml:"uid,omitempty" protobuf:"6"`
	GID                 int             `yaml:"gid,omitempty" protobuf:"7"`
	RecursiveRelabel    bool            `yaml:"recursiveRelabel,omitempty" protobuf:"8"`
	BindTarget          *string         `yaml:"bindTarget,omitempty" protobuf:"9"`
	Parameters          []ParameterSpec `yaml:"parameters,omitempty" protobuf:"10"`
	Secure              bool            `yaml:"secure,omitempty" protobuf:"11"`
	NoExec              bool            `yaml:"noExec,omitempty" protobuf:"12"`
}

// ParameterSpec is one parameter handed to the kernel when a file system is mounted.
type ParameterSpec struct {
	Type   FSParameterType `yaml:"type" protobuf:"1"`
	Name   string          `yaml:"name" protobuf:"2"`
	String *string         `yaml:"string,omitempty" protobuf:"3"`
	Binary []byte          `yaml:"binary,omitempty" protobuf:"5"`
}

// MountRequest asks for a volume to be mounted, merged over all that want it.
type MountRequest struct {
	VolumeID          string   `yaml:"volumeID" protobuf:"1"`
	ParentMountID     string   `yaml:"parentID" protobuf:"2"`
	ReadOnly          bool     `yaml:"readOnly" protobuf:"5"`
	Detached          bool     `yaml:"detached" protobuf:"6"`
	DisableAccessTime bool     `yaml:"disableAccessTime,omitempty" protobuf:"7"`
	Secure            bool     `yaml:"secure,omitempty" protobuf:"8"`
	NoExec            bool     `yaml:"noExec,omitempty" protobuf:"9"`
	Requesters        []string `yaml:"requesters" protobuf:"3"`
	RequesterIDs      []string `yaml:"requesterIDs" protobuf:"4"`
}

// Definition implements resource.Spec.
func (MountRequest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MountRequests.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MountRequest",
		Columns: []resource.Column{
			{Name: "Volume", JSONPath: "{.volumeID}"},
			{Name: "Parent", JSONPath: "{.parentID}"},
			{Name: "Requesters", JSONPath: "{.requesters}"},
		},
	}
}

// MountStatus is a volume that is mounted.
type MountStatus struct {
	Spec                MountRequest           `yaml:"spec" protobuf:"1"`
	Source              string                 `yaml:"source" protobuf:"3"`
	Target              string                 `yaml:"target" protobuf:"2"`
	Filesystem          FilesystemType         `yaml:"filesystem" protobuf:"4"`
	EncryptionProvider  EncryptionProviderType `yaml:"encryptionProvider,omitempty" protobuf:"7"`
	ReadOnly            bool                   `yaml:"readOnly" protobuf:"5"`
	ProjectQuotaSupport bool                   `yaml:"projectQuotaSupport" protobuf:"6"`
	Detached            bool                   `yaml:"detached" protobuf:"8"`
}

// Definition implements resource.Spec.
func (MountStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MountStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MountStatus",
		Columns: []resource.Column{
			{Name: "Source", JSONPath: "{.source}"},
			{Name: "Target", JSONPath: "{.target}"},
			{Name: "Filesystem", JSONPath: "{.filesystem}"},
			{Name: "Volume", JSONPath: "{.spec.volumeID}"},
		},
	}
}

// VolumeMountRequest is one requester's wish to have a volume mounted.
type VolumeMountRequest struct {
	VolumeID          string `yaml:"volumeID" protobuf:"1"`
	Requester         string `yaml:"requester" protobuf:"2"`
	ReadOnly          bool   `yaml:"readOnly" protobuf:"3"`
	Detached          bool   `yaml:"detached" protobuf:"4"`
	DisableAccessTime bool   `yaml:"disableAccessTime" protobuf:"5"`
	Secure            bool   `yaml:"secure" protobuf:"6"`
	NoExec            bool   `yaml:"noExec" protobuf:"7"`
}

// Definition implements resource.Spec.
func (VolumeMountRequest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "VolumeMountRequests.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "VolumeMountRequest",
		Columns: []resource.Column{
			{Name: "Volume ID", JSONPath: "{.volumeID}"},
			{Name: "Requester", JSONPath: "{.requester}"},
		},
	}
}

// VolumeMountStatus tells one requester where its volume is mounted.
type VolumeMountStatus struct {
	VolumeID          string `yaml:"volumeID" protobuf:"1"`
	Requester         string `yaml:"requester" protobuf:"2"`
	Target            string `yaml:"target" protobuf:"3"`
	ReadOnly          bool   `yaml:"readOnly" protobuf:"4"`
	Detached          bool   `yaml:"detached" protobuf:"5"`
	DisableAccessTime bool   `yaml:"disableAccessTime" protobuf:"6"`
	Secure            bool   `yaml:"secure" protobuf:"7"`
	NoExec            bool   `yaml:"noExec" protobuf:"8"`
}

// Definition implements resource.Spec.
func (VolumeMountStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "VolumeMountStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "VolumeMountStatus",
		Columns: []resource.Column{
			{Name: "Volume ID", JSONPath: "{.volumeID}"},
			{Name: "Requester", JSONPath: "{.requester}"},
			{Name: "Target", JSONPath: "{.target}"},
		},
	}
}

// FSParameterType is the kind of a mount parameter.
type FSParameterType int

// Values of FSParameterType.
const (
	FSParameterTypeString  FSParameterType = 0
	FSParameterTypeBoolean FSParameterType = 1
	FSParameterTypeBinary  FSParameterType = 2
)

var fsParameterTypeNames = enum.Names[FSParameterType]{
	FSParameterTypeString:  "string",
	FSParameterTypeBoolean: "boolean",
	FSParameterTypeBinary:  "binary",
}

// String returns the text form.
func (f FSParameterType) String() string { return fsParameterTypeNames.Text(f) }

// MarshalText implements encoding.TextMarshaler.
func (f FSParameterType) MarshalText() ([]byte, error) { return fsParameterTypeNames.MarshalText(f) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *FSParameterType) UnmarshalText(text []byte) error {
	return fsParameterTypeNames.UnmarshalText(text, f)
}
