// Package runtime holds the resources of the running system: machine status, kernel, modules, extensions, services, security, META.
package runtime

// NamespaceName is the namespace of these resources.
const NamespaceName = "runtime"

// Well-known resource IDs.
const (
	// MachineStatusID is the ID of the MachineStatus.
	MachineStatusID = "machine"
	// MachineResetSignalID is the ID of the MachineResetSignal.
	MachineResetSignalID = "machine"
	// RebootRequestID is the ID of the RebootRequest.
	RebootRequestID = "reboot"
	// PlatformMetadataID is the ID of the PlatformMetadata.
	PlatformMetadataID = "platformmetadata"
	// BootIDID is the ID of the BootID.
	BootIDID = "current"
	// BootedEntryID is the ID of the BootedEntry.
	BootedEntryID = "booted"
	// VersionID is the ID of the Version of the system.
	VersionID = "version"
	// KernelCmdlineID is the ID of the KernelCmdline.
	KernelCmdlineID = "cmdline"
	// DevicesID is the ID of the DevicesStatus.
	DevicesID = "devices"
	// APIServiceConfigID is the ID of the APIServiceConfig.
	APIServiceConfigID = "apid"
	// MaintenanceServiceConfigID is the ID of the MaintenanceServiceConfig.
	MaintenanceServiceConfigID = "maintenance"
	// MaintenanceServiceRequestID is the ID of the MaintenanceServiceRequest.
	MaintenanceServiceRequestID = "maintenance"
	// EnvironmentID is the ID of the Environment.
	EnvironmentID = "machined"
	// EventSinkConfigID is the ID of the EventSinkConfig.
	EventSinkConfigID = "event-sink"
	// KmsgLogConfigID is the ID of the KmsgLogConfig.
	KmsgLogConfigID = "kmsg-log"
	// WatchdogTimerID is the ID of the WatchdogTimerConfig and WatchdogTimerStatus.
	WatchdogTimerID = "timer"
	// ImageFactorySchematicID is the ID of the ImageFactorySchematic.
	ImageFactorySchematicID = "schematic"
	// UnattendedInstallStatusID is the ID of the UnattendedInstallStatus.
	UnattendedInstallStatusID = "install"
	// MetaLoadedID is the ID of the MetaLoaded.
	MetaLoadedID = "meta-loaded"
	// UniqueMachineTokenID is the ID of the UniqueMachineToken.
	UniqueMachineTokenID = "unique-machine-token"
	// SecurityStateID is the ID of the SecurityState.
	SecurityStateID = "securitystate"
)
