// Package network holds the resources of the node's network: links, addresses, routes, rules, names, resolvers, time servers.
//
// A Spec resource says what should be, a Status resource what is. Specs exist twice: one per configuration layer in the namespace ConfigNamespaceName, and merged in NamespaceName.
package network

// NamespaceName is the namespace of most of these resources.
const NamespaceName = "network"

// ConfigNamespaceName is the namespace of specs of a single configuration layer, before they are merged.
const ConfigNamespaceName = "network-config"

// ExternalLinkName is the link of addresses that the platform knows the node by outside, and that no link of the node has.
const ExternalLinkName = "external"

// Well-known resource IDs.
const (
	// StatusID is the ID of the Status.
	StatusID = "status"
	// HostnameID is the ID of the merged HostnameSpec and the HostnameStatus.
	HostnameID = "hostname"
	// ResolverID is the ID of the merged ResolverSpec and the ResolverStatus.
	ResolverID = "resolvers"
	// TimeServerID is the ID of the merged TimeServerSpec and the TimeServerStatus.
	TimeServerID = "timeservers"
	// FirstHardwareAddrID is the ID of the HardwareAddr of the first physical link.
	FirstHardwareAddrID = "first"
	// HostDNSConfigID is the ID of the HostDNSConfig.
	HostDNSConfigID = "config"
	// PlatformConfigActiveID is the ID of the PlatformConfig in use.
	PlatformConfigActiveID = "active"
	// PlatformConfigCachedID is the ID of the PlatformConfig read from disk.
	PlatformConfigCachedID = "cached"
	// LinkRefreshID is the ID of the LinkRefresh.
	LinkRefreshID = "link-refresh"
	// NodeAddressDefaultID is the ID of the NodeAddress with the one stable address of the node.
	NodeAddressDefaultID = "default"
	// NodeAddressCurrentID is the ID of the NodeAddress with all addresses that the links have now.
	NodeAddressCurrentID = "current"
	// NodeAddressRoutedID is the ID of the NodeAddress without addresses that are not routed.
	NodeAddressRoutedID = "routed"
	// NodeAddressAccumulativeID is the ID of the NodeAddress with all addresses that the links ever had since boot.
	NodeAddressAccumulativeID = "accumulative"
	// FilterOnlyKubernetesID is the ID of the NodeAddressFilter for Kubernetes' own subnets.
	FilterOnlyKubernetesID = "only-k8s"
	// FilterNoKubernetesID is the ID of the NodeAddressFilter for everything but Kubernetes' own subnets.
	FilterNoKubernetesID = "no-k8s"
	// NodeAddressSortAlgorithmID is the ID of the NodeAddressSortAlgorithm.
	NodeAddressSortAlgorithmID = "default"
)
