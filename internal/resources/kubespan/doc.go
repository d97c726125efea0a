// Package kubespan holds the resources of the encrypted mesh network between nodes.
package kubespan

// NamespaceName is the namespace of most of these resources.
const NamespaceName = "kubespan"

// ConfigNamespaceName is the namespace of the configured part.
const ConfigNamespaceName = "config"

// Well-known resource IDs.
const (
	// ConfigID is the ID of the Config.
	ConfigID = "kubespan"
	// LocalIdentityID is the ID of the Identity.
	LocalIdentityID = "local"
)
