package runtime

import (
	"net/netip"
	"net/url"
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// APIServiceConfig is the setting of the API gateway.
type APIServiceConfig struct {
	ListenAddress           string `yaml:"listenAddress" protobuf:"1"`
	NodeRoutingDisabled     bool   `yaml:"nodeRoutingDisabled" protobuf:"2"`
	ReadonlyRoleMode        bool   `yaml:"readonlyRoleMode" protobuf:"3"`
	SkipVerifyingClientCert bool   `yaml:"skipVerifyingClientCert" protobuf:"4"`
}

// Definition implements resource.Spec.
func (APIServiceConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "APIServiceConfigs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "APIServiceConfig",
	}
}

// MaintenanceServiceConfig is the setting of the API before the machine has a configuration.
type MaintenanceServiceConfig struct {
	ListenAddress      string       `yaml:"listenAddress" protobuf:"1"`
	ReachableAddresses []netip.Addr `yaml:"reachableAddresses" protobuf:"2"`
}

// Definition implements resource.Spec.
func (MaintenanceServiceConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MaintenanceServiceConfigs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MaintenanceServiceConfig",
	}
}

// MaintenanceServiceRequest asks for the maintenance API.
type MaintenanceServiceRequest struct {
}

// Definition implements resource.Spec.
func (MaintenanceServiceRequest) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MaintenanceServiceRequests.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MaintenanceServiceRequest",
	}
}

// ServicePID is the process of a running service.
type ServicePID struct {
	PID            int32  `yaml:"pid" protobuf:"1"`
	MountNamespace string `yaml:"mountNamespace" protobuf:"2"`
}

// Definition implements resource.Spec.
func (ServicePID) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ServicePIDs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ServicePID",
		Columns: []resource.Column{
			{Name: "PID", JSONPath: "{.pid}"},
		},
	}
}

// Environment is the environment variables of the system's own services.
type Environment struct {
	Variables []string `yaml:"variables" protobuf:"1"`
}

// Definition implements resource.Spec.
func (Environment) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Environments.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Environment",
		Aliases:     []string{"env"},
		Columns: []resource.Column{
			{Name: "Variables", JSONPath: "{.variables}"},
		},
	}
}

// EventSinkConfig is where events are streamed to.
type EventSinkConfig struct {
	Endpoint string `yaml:"endpoint" protobuf:"1"`
}

// Definition implements resource.Spec.
func (EventSinkConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EventSinkConfigs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EventSinkConfig",
	}
}

// KmsgLogConfig is where the kernel log is streamed to.
type KmsgLogConfig struct {
	Destinations []*url.URL `yaml:"destinations" protobuf:"1"`
}

// Definition implements resource.Spec.
func (KmsgLogConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KmsgLogConfigs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KmsgLogConfig",
	}
}

// Diagnostic is a problem that the node has found in itself.
type Diagnostic struct {
	Message string   `yaml:"message" protobuf:"1"`
	Details []string `yaml:"details" protobuf:"2"`
}

// Definition implements resource.Spec.
func (Diagnostic) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Diagnostics.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Diagnostic",
		Columns: []resource.Column{
			{Name: "Message", JSONPath: "{.message}"},
		},
	}
}

// OOMAction is a kill of processes by the out-of-memory handler.
type OOMAction struct {
	TriggerContext string   `yaml:"triggerContext,omitempty" protobuf:"1"`
	Score          float64  `yaml:"score,omitempty" protobuf:"2"`
	Processes      []string `yaml:"processes,omitempty" protobuf:"3"`
}

// Definition implements resource.Spec.
func (OOMAction) Definition() resource.Definition {
	return resource.Definition{
		Type:        "OOMActions.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "OOMAction",
		Aliases:     []string{"oomaction", "oomactions"},
		Columns: []resource.Column{
			{Name: "Time", JSONPath: "{.time}"},
			{Name: "Score", JSONPath: "{.score}"},
		},
		Sensitive: true,
	}
}

// WatchdogTimerConfig is the wanted hardware watchdog.
type WatchdogTimerConfig struct {
	Device  string        `yaml:"device" protobuf:"1"`
	Timeout time.Duration `yaml:"timeout" protobuf:"2"`
}

// Definition implements resource.Spec.
func (WatchdogTimerConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "WatchdogTimerConfigs.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "WatchdogTimerConfig",
		Columns: []resource.Column{
			{Name: "Device", JSONPath: "{.device}"},
			{Name: "Timeout", JSONPath: "{.timeout}"},
		},
	}
}

// WatchdogTimerStatus is the armed hardware watchdog.
type WatchdogTimerStatus struct {
	Device       string        `yaml:"device" protobuf:"1"`
	Timeout      time.Duration `yaml:"timeout" protobuf:"2"`
	FeedInterval time.Duration `yaml:"feedInterval" protobuf:"3"`
}

// Definition implements resource.Spec.
func (WatchdogTimerStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "WatchdogTimerStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "WatchdogTimerStatus",
		Columns: []resource.Column{
			{Name: "Device", JSONPath: "{.device}"},
			{Name: "Timeout", JSONPath: "{.timeout}"},
		},
	}
}

// MountStatus is a file system that the system has mounted.
type MountStatus struct {
	Source              string   `yaml:"source" protobuf:"1"`
	Target              string   `yaml:"target" protobuf:"2"`
	FilesystemType      string   `yaml:"filesystemType" protobuf:"3"`
	Options             []string `yaml:"options" protobuf:"4"`
	Encrypted           bool     `yaml:"encrypted" protobuf:"5"`
	EncryptionProviders []string `yaml:"encryptionProviders,omitempty" protobuf:"6"`
}

// Definition implements resource.Spec.
func (MountStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MountStatuses.runtime.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MountStatus",
		Aliases:     []string{"mounts"},
		Columns: []resource.Column{
			{Name: "Source", JSONPath: "{.source}"},
			{Name: "Target", JSONPath: "{.target}"},
			{Name: "Filesystem Type", JSONPath: "{.filesystemType}"},
		},
	}
}
