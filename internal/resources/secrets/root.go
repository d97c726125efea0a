package secrets

import (
	"net/netip"
	"net/url"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/pki"
)

// OSRoot is the root of trust of the system API.
type OSRoot struct {
	IssuingCA       *pki.CertificateAndKey `yaml:"issuingCA" protobuf:"1"`
	AcceptedCAs     []*pki.Certificate     `yaml:"acceptedCAs" protobuf:"5"`
	CertSANIPs      []netip.Addr           `yaml:"certSANIPs" protobuf:"2"`
	CertSANDNSNames []string               `yaml:"certSANDNSNames" protobuf:"3"`
	Token           string                 `yaml:"token" protobuf:"4"`
}

// Definition implements resource.Spec.
func (OSRoot) Definition() resource.Definition {
	return resource.Definition{
		Type:        "OSRootSecrets.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "OSRootSecret",
		Sensitive:   true,
	}
}

// EtcdRoot is the root of trust of etcd.
type EtcdRoot struct {
	EtcdCA *pki.CertificateAndKey `yaml:"etcdCA" protobuf:"1"`
}

// Definition implements resource.Spec.
func (EtcdRoot) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcdRootSecrets.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcdRootSecret",
		Sensitive:   true,
	}
}

// KubernetesRoot is the root of trust of Kubernetes.
type KubernetesRoot struct {
	Name                       string                 `yaml:"name" protobuf:"1"`
	Endpoint                   *url.URL               `yaml:"endpoint" protobuf:"2"`
	LocalEndpoint              *url.URL               `yaml:"local_endpoint" protobuf:"3"`
	CertSANs                   []string               `yaml:"certSANs" protobuf:"4"`
	APIServerIPs               []netip.Addr           `yaml:"apiServerIPs" protobuf:"14"`
	DNSDomain                  string                 `yaml:"dnsDomain" protobuf:"6"`
	IssuingCA                  *pki.CertificateAndKey `yaml:"issuingCA" protobuf:"7"`
	AcceptedCAs                []*pki.Certificate     `yaml:"acceptedCAs" protobuf:"15"`
	AggregatorCA               *pki.CertificateAndKey `yaml:"aggregatorCA" protobuf:"9"`
	AcceptedAggregatorCAs      []*pki.Certificate     `yaml:"acceptedAggregatorCAs" protobuf:"17"`
	ServiceAccount             *pki.Key               `yaml:"serviceAccount" protobuf:"8"`
	ServiceAccountAcceptedKeys []*pki.Key             `yaml:"serviceAccountAcceptedKeys" protobuf:"18"`
	IssuerURL                  string                 `yaml:"issuerURL" protobuf:"19"`
	AcceptedIssuers            []string               `yaml:"acceptedIssuers" protobuf:"20"`
	APIAudiences               []string               `yaml:"apiAudiences" protobuf:"21"`
	AESCBCEncryptionSecret     string                 `yaml:"aesCBCEncryptionSecret" protobuf:"10"`
	BootstrapTokenID           string                 `yaml:"bootstrapTokenID" protobuf:"11"`
	BootstrapTokenSecret       string                 `yaml:"bootstrapTokenSecret" protobuf:"12"`
	SecretboxEncryptionSecret  string                 `yaml:"secretboxEncryptionSecret" protobuf:"13"`
	EtcdEncryptionConfig       map[string]any         `yaml:"etcdEncryptionConfig" protobuf:"16"`
}

// Definition implements resource.Spec.
func (KubernetesRoot) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubernetesRootSecrets.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubernetesRootSecret",
		Sensitive:   true,
	}
}

// MaintenanceRoot is the root of trust of the maintenance API.
type MaintenanceRoot struct {
	CA *pki.CertificateAndKey `yaml:"ca" protobuf:"1"`
}

// Definition implements resource.Spec.
func (MaintenanceRoot) Definition() resource.Definition {
	return resource.Definition{
		Type:        "MaintenanceRootSecrets.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "MaintenanceRootSecret",
		Sensitive:   true,
	}
}

// EncryptionSalt is the salt of volume encryption keys that derive from the node's identity.
type EncryptionSalt struct {
	DiskSalt []byte `yaml:"diskSalt" protobuf:"1"`
}

// Definition implements resource.Spec.
func (EncryptionSalt) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EncryptionSalts.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EncryptionSalt",
		Sensitive:   true,
	}
}
