// Package machinetype names the roles that a machine can have in a cluster.
package machinetype

import "github.com/basalt-os/basalt/internal/resources/enum"

// Type is the role of a machine in the cluster.
type Type int

// Values of Type.
const (
	Unknown Type = iota
	// Init is a control plane machine that bootstraps etcd by itself.
	Init
	ControlPlane
	Worker
)

var names = enum.Names[Type]{
	Unknown:      "unknown",
	Init:         "init",
	ControlPlane: "controlplane",
	Worker:       "worker",
}

// IsControlPlane says whether a machine of this type runs the control plane.
func (t Type) IsControlPlane() bool { return t == Init || t == ControlPlane }

// String returns the text form.
func (t Type) String() string { return names.Text(t) }

// MarshalText implements encoding.TextMarshaler.
func (t Type) MarshalText() ([]byte, error) { return names.MarshalText(t) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Type) UnmarshalText(text []byte) error { return names.UnmarshalText(text, t) }
