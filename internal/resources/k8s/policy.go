package k8s

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// AdmissionControlConfig lists the configured admission plugins of the API server.
type AdmissionControlConfig struct {
	Config []AdmissionPluginSpec `yaml:"config" protobuf:"1"`
}

// Definition implements resource.Spec.
func (AdmissionControlConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AdmissionControlConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "AdmissionControlConfig",
	}
}

// AdmissionPluginSpec is the configuration of one admission plugin.
type AdmissionPluginSpec struct {
	Name          string         `yaml:"name" protobuf:"1"`
	Configuration map[string]any `yaml:"configuration" protobuf:"2"`
}

// AuditPolicyConfig is the audit policy of the API server.
type AuditPolicyConfig struct {
	Config map[string]any `yaml:"config" protobuf:"1"`
}

// Definition implements resource.Spec.
func (AuditPolicyConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AuditPolicyConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "AuditPolicyConfig",
		Sensitive:   true,
	}
}

// AuthenticationConfig is the structured authentication configuration of the API server.
type AuthenticationConfig struct {
	Config map[string]any `yaml:"config" protobuf:"1"`
}

// Definition implements resource.Spec.
func (AuthenticationConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AuthenticationConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "AuthenticationConfig",
		Sensitive:   true,
	}
}

// AuthorizationConfig lists the authorizers of the API server, in order.
type AuthorizationConfig struct {
	Image  string                         `yaml:"image" protobuf:"1"`
	Config []AuthorizationAuthorizersSpec `yaml:"config" protobuf:"2"`
}

// Definition implements resource.Spec.
func (AuthorizationConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AuthorizationConfigs.kubernetes.talos.dev",
		Namespace:   ControlPlaneNamespaceName,
		DisplayType: "AuthorizationConfig",
		Sensitive:   true,
	}
}

// AuthorizationAuthorizersSpec is one authorizer of the API server.
type AuthorizationAuthorizersSpec struct {
	Type    string         `yaml:"type" protobuf:"1"`
	Name    string         `yaml:"name" protobuf:"2"`
	Webhook map[string]any `yaml:"webhook" protobuf:"3"`
}

// EtcdEncryptionConfig is the encryption-at-rest configuration of the API server.
type EtcdEncryptionConfig struct {
	Configuration string `yaml:"configuration" protobuf:"1"`
}

// Definition implements resource.Spec.
func (EtcdEncryptionConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcdEncryptionConfigs.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcdEncryptionConfig",
		Sensitive:   true,
	}
}
