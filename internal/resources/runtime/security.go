package runtime

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// SecurityState is the state of the machine's protections.
type SecurityState struct {
	SecureBoot               bool         `yaml:"secureBoot" protobuf:"1"`
	UKISigningKeyFingerprint string       `yaml:"ukiSigningKeyFingerprint,omitempty" protobuf:"2"`
	PCRSigningKeyFingerprint string       `yaml:"pcrSigningKeyFingerprint,omitempty" protobuf:"3"`
	SELinuxState             SELinuxState `yaml:"selinuxState,omitempty" protobuf:"4"`
	FIPSState                FIPSState    `yaml:"fipsState,omitempty" protobuf:"6"`
	BootedWithUKI            bool         `yaml:"bootedWithUKI,omitempty" protobuf:"5"`
	ModuleSignatureEnforced  bool         `yaml:"moduleSignatureEnforced,omitempty" protobuf:"7"`
}

// Definition implements resource.Spec.
func (SecurityState) Definition() resource.Definition {
	return resource.Definition{
		Type:        "SecurityStates.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "SecurityState",
		Columns: []resource.Column{
			{Name: "SecureBoot", JSONPath: "{.secureBoot}"},
			{Name: "UKISigningKeyFingerprint", JSONPath: "{.ukiSigningKeyFingerprint}"},
			{Name: "PCRSigningKeyFingerprint", JSONPath: "{.pcrSigningKeyFingerprint}"},
			{Name: "SELinuxState", JSONPath: "{.selinuxState}"},
			{Name: "ModuleSignatureEnforced", JSONPath: "{.moduleSignatureEnforced}"},
		},
	}
}

// SELinuxState is the state of mandatory access control.
type SELinuxState int

// Values of SELinuxState.
const (
	SELinuxStateDisabled          SELinuxState = 0
	SELinuxStateEnabledPermissive SELinuxState = 1
	SELinuxStateEnabledEnforcing  SELinuxState = 2
)

var seLinuxStateNames = enum.Names[SELinuxState]{
	SELinuxStateDisabled:          "disabled",
	SELinuxStateEnabledPermissive: "enabled, permissive",
	SELinuxStateEnabledEnforcing:  "enabled, enforcing",
}

// String returns the text form.
func (s SELinuxState) String() string { return seLinuxStateNames.Text(s) }

// MarshalText implements encoding.TextMarshaler.
func (s SELinuxState) MarshalText() ([]byte, error) { return seLinuxStateNames.MarshalText(s) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *SELinuxState) UnmarshalText(text []byte) error {
	return seLinuxStateNames.UnmarshalText(text, s)
}

// FIPSState is whether only approved cryptography is used.
type FIPSState int

// Values of FIPSState.
const (
	FIPSStateDisabled      FIPSState = 0
	FIPSStateEnabled       FIPSState = 1
	FIPSStateEnabledStrict FIPSState = 2
)

var fipsStateNames = enum.Names[FIPSState]{
	FIPSStateDisabled:      "disabled",
	FIPSStateEnabled:       "enabled",
	FIPSStateEnabledStrict: "enabled, strict",
}

// String returns the text form.
func (f FIPSState) String() string { return fipsStateNames.Text(f) }

// MarshalText implements encoding.TextMarshaler.
func (f FIPSState) MarshalText() ([]byte, error) { return fipsStateNames.MarshalText(f) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *FIPSState) UnmarshalText(text []byte) error { return fipsStateNames.UnmarshalText(text, f) }
