package secrets

import (
	"net/netip"
	"net/url"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/pki"
)

// API is the certificates of the API gateway.
type API struct {
	AcceptedCAs             []*pki.Certificate     `yaml:"acceptedCAs" protobuf:"4"`
	Client                  *pki.CertificateAndKey `yaml:"client" protobuf:"2"`
	Server                  *pki.CertificateAndKey `yaml:"server" protobuf:"3"`
	SkipVerifyingClientCert bool                   `yaml:"skipVerifyingClientCert" protobuf:"5"`
}

// Definition implements resource.Spec.
func (API) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ApiCertificates.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ApiCertificate",
		Sensitive:   true,
	}
}

// Trustd is the certificates of the certificate signer.
type Trustd struct {
	AcceptedCAs []*pki.Certificate     `yaml:"acceptedCAs" protobuf:"3"`
	Server      *pki.CertificateAndKey `yaml:"server" protobuf:"2"`
}

// Definition implements resource.Spec.
func (Trustd) Definition() resource.Definition {
	return resource.Definition{
		Type:        "TrustdCertificates.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "TrustdCertificate",
		Sensitive:   true,
	}
}

// CertSAN is the names and addresses that go into a certificate.
type CertSAN struct {
	IPs      []netip.Addr `yaml:"ips" protobuf:"1"`
	DNSNames []string     `yaml:"dnsNames" protobuf:"2"`
	FQDN     string       `yaml:"fqdn" protobuf:"3"`
}

// Definition implements resource.Spec.
func (CertSAN) Definition() resource.Definition {
	return resource.Definition{
		Type:        "CertSANs.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "CertSAN",
		Sensitive:   true,
	}
}

// Etcd is the certificates of etcd.
type Etcd struct {
	Etcd          *pki.CertificateAndKey `yaml:"etcd" protobuf:"1"`
	EtcdPeer      *pki.CertificateAndKey `yaml:"etcdPeer" protobuf:"2"`
	EtcdAdmin     *pki.CertificateAndKey `yaml:"etcdAdmin" protobuf:"3"`
	EtcdAPIServer *pki.CertificateAndKey `yaml:"etcdAPIServer" protobuf:"4"`
}

// Definition implements resource.Spec.
func (Etcd) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcdSecrets.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcdSecret",
		Sensitive:   true,
	}
}

// Kubelet is what the kubelet needs to join the cluster.
type Kubelet struct {
	Endpoint              *url.URL           `yaml:"endpoint" protobuf:"1"`
	EndpointTLSServerName string             `yaml:"endpointTLSServerName,omitempty" protobuf:"6"`
	AcceptedCAs           []*pki.Certificate `yaml:"acceptedCAs" protobuf:"5"`
	BootstrapTokenID      string             `yaml:"bootstrapTokenID" protobuf:"3"`
	BootstrapTokenSecret  string             `yaml:"bootstrapTokenSecret" protobuf:"4"`
}

// Definition implements resource.Spec.
func (Kubelet) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubeletSecrets.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubeletSecret",
		Sensitive:   true,
	}
}

// Kubernetes is the kubeconfigs of the control plane.
type Kubernetes struct {
	SchedulerKubeconfig         string `yaml:"schedulerKubeconfig" protobuf:"4"`
	ControllerManagerKubeconfig string `yaml:"controllerManagerKubeconfig" protobuf:"5"`
	LocalhostAdminKubeconfig    string `yaml:"localhostAdminKubeconfig" protobuf:"6"`
	AdminKubeconfig             string `yaml:"adminKubeconfig" protobuf:"7"`
}

// Definition implements resource.Spec.
func (Kubernetes) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubernetesSecrets.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubernetesSecret",
		Sensitive:   true,
	}
}

// KubernetesDynamicCerts is the certificates of the control plane that are issued again before they expire.
type KubernetesDynamicCerts struct {
	APIServer              *pki.CertificateAndKey `yaml:"apiServer" protobuf:"1"`
	APIServerKubeletClient *pki.CertificateAndKey `yaml:"apiServerKubeletClient" protobuf:"2"`
	FrontProxy             *pki.CertificateAndKey `yaml:"frontProxy" protobuf:"3"`
}

// Definition implements resource.Spec.
func (KubernetesDynamicCerts) Definition() resource.Definition {
	return resource.Definition{
		Type:        "KubernetesDynamicCerts.secrets.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "KubernetesDynamicCert",
		Sensitive:   true,
	}
}
