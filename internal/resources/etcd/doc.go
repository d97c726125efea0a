// Package etcd holds the resources of the etcd member on this node.
package etcd

// NamespaceName is the namespace of these resources.
const NamespaceName = "etcd"

// Well-known resource IDs.
const (
	// ConfigID is the ID of the Config.
	ConfigID = "etcd"
	// SpecID is the ID of the Spec.
	SpecID = "etcd"
	// LocalMemberID is the ID of the Member.
	LocalMemberID = "local"
	// PKIStatusID is the ID of the PKIStatus.
	PKIStatusID = "etcd"
)
