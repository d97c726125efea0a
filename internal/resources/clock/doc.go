// Package clock holds the state of the node's time synchronization.
package clock

// NamespaceName is the namespace of these resources.
const NamespaceName = "runtime"

// Well-known resource IDs.
const (
	// StatusID is the ID of the Status.
	StatusID = "node"
	// AdjtimeStatusID is the ID of the AdjtimeStatus.
	AdjtimeStatusID = "node"
	// NTPStatusID is the ID of the NTPStatus.
	NTPStatusID = "node"
)
