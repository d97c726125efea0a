// Package containers holds the resources of containers that run beside Kubernetes by configuration.
package containers

// NamespaceName is the namespace of these resources.
const NamespaceName = "containers"
