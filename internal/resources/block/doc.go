// Package block holds the resources of disks, volumes and mounts: what was discovered, what is wanted, and what is mounted where.
package block

// NamespaceName is the namespace of these resources.
const NamespaceName = "runtime"

// Well-known resource IDs.
const (
	// SystemDiskID is the ID of the SystemDisk.
	SystemDiskID = "system-disk"
	// VolumeLifecycleID is the ID of the VolumeLifecycle.
	VolumeLifecycleID = "volume-lifecycle"
	// RefreshID is the ID of the DiscoveryRefreshRequest and DiscoveryRefreshStatus.
	RefreshID = "system"
	// UserDiskConfigStatusID is the ID of the UserDiskConfigStatus.
	UserDiskConfigStatusID = "user-disks"
)
