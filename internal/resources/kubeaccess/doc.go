// Package kubeaccess holds the setting for access to this system's API from inside Kubernetes.
package kubeaccess

// NamespaceName is the namespace of these resources.
const NamespaceName = "config"

// Well-known resource IDs.
const (
	// ConfigID is the ID of the Config.
	ConfigID = "config"
)
