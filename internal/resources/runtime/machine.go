package runtime

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// MachineStatus is the stage that the machine is in and whether it is ready.
type MachineStatus struct {
	Stage  MachineStage        `yaml:"stage" protobuf:"1"`
	Status MachineStatusStatus `yaml:"status" protobuf:"2"`
}

// Definition implements resource.Spec.
func (MachineStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MachineStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MachineStatus",
		Columns: []resource.Column{
			{Name: "Stage", JSONPath: "{.stage}"},
			{Name: "Ready", JSONPath: "{.status.ready}"},
		},
	}
}

// MachineStatusStatus is the readiness of the machine and what it lacks.
type MachineStatusStatus struct {
	Ready           bool             `yaml:"ready" protobuf:"1"`
	UnmetConditions []UnmetCondition `yaml:"unmetConditions" protobuf:"2"`
}

// UnmetCondition is one reason why the machine is not ready.
type UnmetCondition struct {
	Name   string `yaml:"name" protobuf:"1"`
	Reason string `yaml:"reason" protobuf:"2"`
}

// MachineResetSignal asks for the machine to be reset.
type MachineResetSignal struct {
}

// Definition implements resource.Spec.
func (MachineResetSignal) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MachineResetSignals.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MachineResetSignal",
	}
}

// RebootRequest asks for the machine to be rebooted.
type RebootRequest struct {
}

// Definition implements resource.Spec.
func (RebootRequest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "RebootRequests.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "RebootRequest",
	}
}

// PlatformMetadata is what the platform tells about the machine.
type PlatformMetadata struct {
	Platform     string            `yaml:"platform,omitempty" protobuf:"1"`
	Hostname     string            `yaml:"hostname,omitempty" protobuf:"2"`
	Region       string            `yaml:"region,omitempty" protobuf:"3"`
	Zone         string            `yaml:"zone,omitempty" protobuf:"4"`
	InstanceType string            `yaml:"instanceType,omitempty" protobuf:"5"`
	InstanceID   string            `yaml:"instanceId,omitempty" protobuf:"6"`
	ProviderID   string            `yaml:"providerId,omitempty" protobuf:"7"`
	Spot         bool              `yaml:"spot,omitempty" protobuf:"8"`
	InternalDNS  string            `yaml:"internalDNS,omitempty" protobuf:"9"`
	ExternalDNS  string            `yaml:"externalDNS,omitempty" protobuf:"10"`
	Tags         map[string]string `yaml:"tags,omitempty" protobuf:"11"`
}

// Definition implements resource.Spec.
func (PlatformMetadata) Definition() resource.Definition {
	return resource.Definition{
		Type:        "PlatformMetadatas.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "PlatformMetadata",
		Columns: []resource.Column{
			{Name: "Platform", JSONPath: "{.platform}"},
			{Name: "Type", JSONPath: "{.instanceType}"},
			{Name: "Region", JSONPath: "{.region}"},
			{Name: "Zone", JSONPath: "{.zone}"},
		},
	}
}

// BootID is the random id of this boot.
type BootID struct {
	BootID string `yaml:"bootID" protobuf:"1"`
}

// Definition implements resource.Spec.
func (BootID) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BootIDs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "BootID",
		Columns: []resource.Column{
			{Name: "Boot ID", JSONPath: "{.bootID}"},
		},
	}
}

// BootedEntry is the boot loader entry that was booted.
type BootedEntry struct {
	BootedEntry string `yaml:"bootedEntry,omitempty" protobuf:"1"`
}

// Definition implements resource.Spec.
func (BootedEntry) Definition() resource.Definition {
	return resource.Definition{
		Type:        "BootedEntries.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "BootedEntry",
		Columns: []resource.Column{
			{Name: "Booted Entry", JSONPath: "{.bootedEntry}"},
		},
	}
}

// Version is a component of the system and its version.
type Version struct {
	Name    string `yaml:"name" protobuf:"2"`
	Version string `yaml:"version" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Version) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Versions.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Version",
		Columns: []resource.Column{
			{Name: "Name", JSONPath: "{.name}"},
			{Name: "Version", JSONPath: "{.version}"},
		},
	}
}

// SBOMItem is a component of the system's bill of materials.
type SBOMItem struct {
	Name      string   `yaml:"name" protobuf:"1"`
	Version   string   `yaml:"version" protobuf:"2"`
	License   string   `yaml:"license,omitempty" protobuf:"3"`
	CPEs      []string `yaml:"cpes,omitempty" protobuf:"4"`
	PURLs     []string `yaml:"purls,omitempty" protobuf:"5"`
	Extension bool     `yaml:"extension,omitempty" protobuf:"6"`
}

// Definition implements resource.Spec.
func (SBOMItem) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SBOMItems.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SBOMItem",
		Aliases:     []string{"sbom", "sboms"},
		Columns: []resource.Column{
			{Name: "Version", JSONPath: "{.version}"},
			{Name: "License", JSONPath: "{.license}"},
			{Name: "Extension", JSONPath: "{.extension}"},
		},
	}
}

// MachineStage is what the machine is doing.
type MachineStage int

// Values of MachineStage.
const (
	MachineStageUnknown      MachineStage = 0
	MachineStageBooting      MachineStage = 1
	MachineStageInstalling   MachineStage = 2
	MachineStageMaintenance  MachineStage = 3
	MachineStageRunning      MachineStage = 4
	MachineStageRebooting    MachineStage = 5
	MachineStageShuttingDown MachineStage = 6
	MachineStageResetting    MachineStage = 7
	MachineStageUpgrading    MachineStage = 8
)

var machineStageNames = enum.Names[MachineStage]{
	MachineStageUnknown:      "unknown",
	MachineStageBooting:      "booting",
	MachineStageInstalling:   "installing",
	MachineStageMaintenance:  "maintenance",
	MachineStageRunning:      "running",
	MachineStageRebooting:    "rebooting",
	MachineStageShuttingDown: "shutting down",
	MachineStageResetting:    "resetting",
	MachineStageUpgrading:    "upgrading",
}

// String returns the text form.
func (m MachineStage) String() string { return machineStageNames.Text(m) }

// MarshalText implements encoding.TextMarshaler.
func (m MachineStage) MarshalText() ([]byte, error) { return machineStageNames.MarshalText(m) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MachineStage) UnmarshalText(text []byte) error {
	return machineStageNames.UnmarshalText(text, m)
}
