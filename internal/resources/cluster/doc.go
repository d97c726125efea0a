// Package cluster holds the resources of cluster discovery: who this node is, what it publishes, and which members it knows.
package cluster

// NamespaceName is the namespace of most of these resources.
const NamespaceName = "cluster"

// ConfigNamespaceName is the namespace of the configured part.
const ConfigNamespaceName = "config"

// RawNamespaceName is the namespace of affiliates by the source they were heard from, before they are merged.
const RawNamespaceName = "cluster-raw"

// Well-known resource IDs.
const (
	// ConfigID is the ID of the Config.
	ConfigID = "cluster"
	// InfoID is the ID of the Info.
	InfoID = "current"
	// LocalIdentityID is the ID of the Identity.
	LocalIdentityID = "local"
)
