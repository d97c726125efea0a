package runtime

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// KernelCmdline is the command line of the kernel.
type KernelCmdline struct {
	Cmdline string `yaml:"cmdline" protobuf:"1"`
}

// Definition implements resource.Spec.
func (KernelCmdline) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KernelCmdlines.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KernelCmdline",
		Aliases:     []string{"cmdline"},
		Columns: []resource.Column{
			{Name: "Cmdline", JSONPath: "{.cmdline}"},
		},
	}
}

// KernelParamSpec is a kernel parameter that should be set.
type KernelParamSpec struct {
	Value        string `yaml:"value" protobuf:"1"`
	IgnoreErrors bool   `yaml:"ignoreErrors" protobuf:"2"`
}

// Definition implements resource.Spec.
func (KernelParamSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KernelParamSpecs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KernelParamSpec",
	}
}

// KernelParamDefaultSpec is a kernel parameter that the system sets unless configured otherwise.
type KernelParamDefaultSpec struct {
	Value        string `yaml:"value" protobuf:"1"`
	IgnoreErrors bool   `yaml:"ignoreErrors" protobuf:"2"`
}

// Definition implements resource.Spec.
func (KernelParamDefaultSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KernelParamDefaultSpecs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KernelParamDefaultSpec",
	}
}

// KernelParamStatus is a kernel parameter that was set.
type KernelParamStatus struct {
	Current     string `yaml:"current" protobuf:"1"`
	Default     string `yaml:"default" protobuf:"2"`
	Unsupported bool   `yaml:"unsupported" protobuf:"3"`
}

// Definition implements resource.Spec.
func (KernelParamStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KernelParamStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KernelParamStatus",
		Aliases:     []string{"sysctls", "kernelparameters", "kernelparams"},
		Columns: []resource.Column{
			{Name: "Current", JSONPath: "{.current}"},
			{Name: "Default", JSONPath: "{.default}"},
			{Name: "Unsupported", JSONPath: "{.unsupported}"},
		},
	}
}

// KernelModuleSpec is a kernel module that should be loaded.
type KernelModuleSpec struct {
	Name       string   `yaml:"string" protobuf:"1"`
	Parameters []string `yaml:"parameters" protobuf:"2"`
}

// Definition implements resource.Spec.
func (KernelModuleSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KernelModuleSpecs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KernelModuleSpec",
	}
}

// KernelModuleStatus is a kernel module that is present, built in or loaded.
type KernelModuleStatus struct {
	Type           KernelModuleType  `yaml:"type" protobuf:"1"`
	Size           int               `yaml:"size" protobuf:"2"`
	ReferenceCount int               `yaml:"referenceCount" protobuf:"3"`
	Dependencies   []string          `yaml:"dependencies,omitempty" protobuf:"4"`
	State          KernelModuleState `yaml:"state" protobuf:"5"`
	Address        string            `yaml:"address" protobuf:"6"`
}

// Definition implements resource.Spec.
func (KernelModuleStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KernelModuleStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KernelModuleStatus",
		Aliases:     []string{"module", "modules"},
		Columns: []resource.Column{
			{Name: "Type", JSONPath: "{.type}"},
			{Name: "State", JSONPath: "{.state}"},
		},
	}
}

// LoadedKernelModule is a kernel module that is loaded.
type LoadedKernelModule struct {
	Size           int      `yaml:"size" protobuf:"1"`
	ReferenceCount int      `yaml:"referenceCount" protobuf:"2"`
	Dependencies   []string `yaml:"dependencies,omitempty" protobuf:"3"`
	State          string   `yaml:"state" protobuf:"4"`
	Address        string   `yaml:"address" protobuf:"5"`
}

// Definition implements resource.Spec.
func (LoadedKernelModule) Definition() resource.Definition {
	return resource.Definition{
		Type:        "LoadedKernelModules.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "LoadedKernelModule",
		Columns: []resource.Column{
			{Name: "State", JSONPath: "{.state}"},
		},
	}
}

// DevicesStatus says that the devices of the machine have settled.
type DevicesStatus struct {
	Ready bool `yaml:"ready" protobuf:"1"`
}

// Definition implements resource.Spec.
func (DevicesStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "DevicesStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "DevicesStatus",
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: "{.ready}"},
		},
	}
}

// KernelModuleType is whether a module is part of the kernel image.
type KernelModuleType int

// Values of KernelModuleType.
const (
	KernelModuleTypeUnknown KernelModuleType = 0
	KernelModuleTypeBuiltIn KernelModuleType = 1
	KernelModuleTypeDynamic KernelModuleType = 2
)

var kernelModuleTypeNames = enum.Names[KernelModuleType]{
	KernelModuleTypeUnknown: "unknown",
	KernelModuleTypeBuiltIn: "built-in",
	KernelModuleTypeDynamic: "dynamic",
}

// String returns the text form.
func (k KernelModuleType) String() string { return kernelModuleTypeNames.Text(k) }

// MarshalText implements encoding.TextMarshaler.
func (k KernelModuleType) MarshalText() ([]byte, error) { return kernelModuleTypeNames.MarshalText(k) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *KernelModuleType) UnmarshalText(text []byte) error {
	return kernelModuleTypeNames.UnmarshalText(text, k)
}

// KernelModuleState is the state of a kernel module.
type KernelModuleState int

// Values of KernelModuleState.
const (
	KernelModuleStateLive      KernelModuleState = 0
	KernelModuleStateLoading   KernelModuleState = 1
	KernelModuleStateUnloading KernelModuleState = 2
	KernelModuleStateBuiltIn   KernelModuleState = 3
)

var kernelModuleStateNames = enum.Names[KernelModuleState]{
	KernelModuleStateLive:      "live",
	KernelModuleStateLoading:   "loading",
	KernelModuleStateUnloading: "unloading",
	KernelModuleStateBuiltIn:   "built-in",
}

// String returns the text form.
func (k KernelModuleState) String() string { return kernelModuleStateNames.Text(k) }

// MarshalText implements encoding.TextMarshaler.
func (k KernelModuleState) MarshalText() ([]byte, error) {
	return kernelModuleStateNames.MarshalText(k)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *KernelModuleState) UnmarshalText(text []byte) error {
	return kernelModuleStateNames.UnmarshalText(text, k)
}
