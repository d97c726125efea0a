package cri

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/pki"
)

// RegistriesConfig says how to reach image registries: mirrors, credentials and TLS.
type RegistriesConfig struct {
	RegistryMirrors map[string]*RegistryMirrorConfig `yaml:"mirrors,omitempty" protobuf:"1"`
	RegistryAuths   map[string]*RegistryAuthConfig   `yaml:"auths,omitempty" protobuf:"2"`
	RegistryTLSs    map[string]*RegistryTLSConfig    `yaml:"tls,omitempty" protobuf:"3"`
}

// Definition implements resource.Spec.
func (RegistriesConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "RegistryConfigs.cri.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "RegistryConfig",
		Sensitive:   true,
	}
}

// RegistryMirrorConfig lists what stands in for a registry, in order.
type RegistryMirrorConfig struct {
	MirrorEndpoints    []RegistryEndpointConfig `yaml:"endpoints" protobuf:"1"`
	MirrorSkipFallback bool                     `yaml:"skipFallback,omitempty" protobuf:"3"`
}

// RegistryEndpointConfig is one endpoint of a mirror.
type RegistryEndpointConfig struct {
	EndpointEndpoint     string `yaml:"endpoint" protobuf:"1"`
	EndpointOverridePath bool   `yaml:"overridePath" protobuf:"2"`
}

// RegistryAuthConfig holds the credentials for a registry.
type RegistryAuthConfig struct {
	RegistryUsername      string `yaml:"username,omitempty" protobuf:"1"`
	RegistryPassword      string `yaml:"password,omitempty" protobuf:"2"`
	RegistryAuth          string `yaml:"auth,omitempty" protobuf:"3"`
	RegistryIdentityToken string `yaml:"identityToken,omitempty" protobuf:"4"`
}

// RegistryTLSConfig holds the TLS settings for a registry.
type RegistryTLSConfig struct {
	TLSClientIdentity     *pki.CertificateAndKey `yaml:"clientIdentity,omitempty" protobuf:"1"`
	TLSCA                 pki.PEM                `yaml:"ca,omitempty" protobuf:"2"`
	TLSInsecureSkipVerify bool                   `yaml:"insecureSkipVerify,omitempty" protobuf:"3"`
}
