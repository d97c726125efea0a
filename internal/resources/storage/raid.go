package storage

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// MDArraySpec is a software RAID array that should exist.
type MDArraySpec struct {
	Level          MDLevel          `yaml:"level" protobuf:"1"`
	VolumeSelector block.Expression `yaml:"volumeSelector" protobuf:"2"`
	Metadata       MDMetadata       `yaml:"metadata" protobuf:"3"`
}

// Definition implements resource.Spec.
func (MDArraySpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MDArraySpecs.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MDArraySpec",
		Columns: []resource.Column{
			{Name: "Level", JSONPath: "{.level}"},
		},
	}
}

// MDArrayStatus is a software RAID array of the kernel.
type MDArrayStatus struct {
	Level       MDLevel      `yaml:"level" protobuf:"1"`
	Device      string       `yaml:"device" protobuf:"2"`
	Members     []string     `yaml:"members" protobuf:"3"`
	Error       string       `yaml:"error,omitempty" protobuf:"4"`
	Status      MDArrayPhase `yaml:"status" protobuf:"5"`
	RaidDevices int          `yaml:"raidDevices" protobuf:"6"`
	UUID        string       `yaml:"uuid,omitempty" protobuf:"7"`
	Name        string       `yaml:"name,omitempty" protobuf:"8"`
	Metadata    string       `yaml:"metadata,omitempty" protobuf:"9"`
	ArrayState  string       `yaml:"arrayState,omitempty" protobuf:"10"`
	SyncAction  string       `yaml:"syncAction,omitempty" protobuf:"11"`
}

// Definition implements resource.Spec.
func (MDArrayStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MDArrayStatuses.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MDArrayStatus",
		Columns: []resource.Column{
			{Name: "Level", JSONPath: "{.level}"},
			{Name: "Status", JSONPath: "{.status}"},
			{Name: "Sync", JSONPath: "{.syncAction}"},
			{Name: "Device", JSONPath: "{.device}"},
		},
	}
}

// MDRefreshRequest asks for a new scan of arrays; the number rises with every request.
type MDRefreshRequest struct {
	Request int `yaml:"request" protobuf:"1"`
}

// Definition implements resource.Spec.
func (MDRefreshRequest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MDRefreshRequests.storage.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MDRefreshRequest",
		Columns: []resource.Column{
			{Name: "Request", JSONPath: "{.request}"},
		},
	}
}

// MDLevel is the RAID level of an array.
type MDLevel int

// Values of MDLevel.
const (
	MDLevelRAID1 MDLevel = 0
)

var mdLevelNames = enum.Names[MDLevel]{
	MDLevelRAID1: "raid1",
}

// String returns the text form.
func (m MDLevel) String() string { return mdLevelNames.Text(m) }

// MarshalText implements encoding.TextMarshaler.
func (m MDLevel) MarshalText() ([]byte, error) { return mdLevelNames.MarshalText(m) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MDLevel) UnmarshalText(text []byte) error { return mdLevelNames.UnmarshalText(text, m) }

// MDMetadata is the version of the metadata of an array.
type MDMetadata int

// Values of MDMetadata.
const (
	MDMetadata10 MDMetadata = 0
	MDMetadata12 MDMetadata = 1
)

var mdMetadataNames = enum.Names[MDMetadata]{
	MDMetadata10: "1.0",
	MDMetadata12: "1.2",
}

// String returns the text form.
func (m MDMetadata) String() string { return mdMetadataNames.Text(m) }

// MarshalText implements encoding.TextMarshaler.
func (m MDMetadata) MarshalText() ([]byte, error) { return mdMetadataNames.MarshalText(m) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MDMetadata) UnmarshalText(text []byte) error { return mdMetadataNames.UnmarshalText(text, m) }

// MDArrayPhase is the state of an array.
type MDArrayPhase int

// Values of MDArrayPhase.
const (
	MDArrayPhaseUnknown    MDArrayPhase = 0
	MDArrayPhaseWaiting    MDArrayPhase = 1
	MDArrayPhaseRebuilding MDArrayPhase = 2
	MDArrayPhaseReady      MDArrayPhase = 3
	MDArrayPhaseError      MDArrayPhase = 4
)

var mdArrayPhaseNames = enum.Names[MDArrayPhase]{
	MDArrayPhaseUnknown:    "unknown",
	MDArrayPhaseWaiting:    "waiting",
	MDArrayPhaseRebuilding: "rebuilding",
	MDArrayPhaseReady:      "ready",
	MDArrayPhaseError:      "error",
}

// String returns the text form.
func (m MDArrayPhase) String() string { return mdArrayPhaseNames.Text(m) }

// MarshalText implements encoding.TextMarshaler.
func (m MDArrayPhase) MarshalText() ([]byte, error) { return mdArrayPhaseNames.MarshalText(m) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MDArrayPhase) UnmarshalText(text []byte) error {
	return mdArrayPhaseNames.UnmarshalText(text, m)
}
