// Package kubeaccess holds the setting for access to this system's API from inside Kubernetes.
package kubeaccess

// NamespaceName is the namespace of these resources.
const NamespaceName = "config"

// Well-known resource IDs.
const (
	// ConfigID is the ID of the Config.
	ConfigID = "config"
)

// ServiceNames are the names by which pods call the API, the first of them the
// one to use. It is a Service in front of the control plane nodes.
func ServiceNames() []string { return []string{"talos.default", "talos.default.svc"} }
