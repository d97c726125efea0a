// Package storage holds the resources of logical volumes and software RAID.
package storage

// NamespaceName is the namespace of these resources.
const NamespaceName = "storage"

// Well-known resource IDs.
const (
	// RefreshID is the ID of the LVMRefreshRequest and MDRefreshRequest.
	RefreshID = "system"
)
