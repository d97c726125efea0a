// Package hardware holds what firmware and bus enumeration tell about the machine.
package hardware

// NamespaceName is the namespace of these resources.
const NamespaceName = "hardware"

// Well-known resource IDs.
const (
	// SystemInformationID is the ID of the SystemInformation.
	SystemInformationID = "systeminformation"
)
