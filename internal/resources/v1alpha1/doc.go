// Package v1alpha1 holds the resources of services and of the first configuration.
package v1alpha1

// NamespaceName is the namespace of these resources.
const NamespaceName = "runtime"

// Well-known resource IDs.
const (
	// AcquireConfigID is the ID of the AcquireConfigSpec and AcquireConfigStatus.
	AcquireConfigID = "acquire-config"
)
