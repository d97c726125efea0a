// Package siderolink holds the resources of the link to a fleet manager.
package siderolink

// NamespaceName is the namespace of these resources.
const NamespaceName = "config"

// Well-known resource IDs.
const (
	// ConfigID is the ID of the Config.
	ConfigID = "siderolink"
	// StatusID is the ID of the Status.
	StatusID = "siderolink-status"
	// TunnelID is the ID of the Tunnel.
	TunnelID = "siderolink-tunnel"
)
