// Package version says which Basalt this is and which contract it serves.
package version

import "time"

// Name is the product's name as people read it.
const Name = "Basalt"

// Version is Basalt's own version, without a leading "v".
const Version = "0.1.0"

// Contract is the version of the wire contract that the API serves. Clients
// gate their features on it.
const Contract = "v1.14.0"

// Tag is what the API reports: the contract's version with Basalt's own as
// build metadata, as semantic versioning defines it.
const Tag = Contract + "+basalt." + Version

// Commit is the source revision, set by the linker; empty in a plain build.
var Commit string //nolint:gochecknoglobals // set with -ldflags -X

// Released is when this version was made, to the day: no clock that is right
// says less.
func Released() time.Time { return time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC) }
