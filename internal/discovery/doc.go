// Package discovery lets the nodes of a cluster find each other.
//
// The service is a blackboard: each node writes a note about itself (its
// affiliate), which is forgotten unless it is renewed, and reads the notes of
// all nodes that name the same cluster. Notes are encrypted with the cluster's
// secret, which the service does not know. [Server] is the blackboard, and
// [Client] what a node does with it.
package discovery

import "time"

// Limits of the service. They are part of the protocol.
const (
	maxID         = 256  // bytes of a cluster's or an affiliate's ID
	maxData       = 2048 // bytes of an affiliate
	maxEndpoint   = 32   // bytes of an endpoint
	maxTTL        = 30 * time.Minute
	maxAffiliates = 1024 // of a cluster
	maxEndpoints  = 64   // of an affiliate
	watchBuffer   = 32   // events that a slow watcher may be behind

	// maxClusters bounds the memory that strangers can take.
	maxClusters = 65536
)
