// Package security holds the rules by which container images are verified.
package security

// NamespaceName is the namespace of these resources.
const NamespaceName = "security"

// Well-known resource IDs.
const (
	// TUFTrustedRootID is the ID of the TUFTrustedRoot.
	TUFTrustedRootID = "default"
)
