// Package perf holds snapshots of the kernel's CPU and memory counters.
package perf

// NamespaceName is the namespace of these resources.
const NamespaceName = "perf"

// Well-known resource IDs.
const (
	// LatestID is the ID of CPU and Memory.
	LatestID = "latest"
)
