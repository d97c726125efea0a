// Package secrets holds certificates, keys and tokens. Every type is sensitive.
package secrets

// NamespaceName is the namespace of these resources.
const NamespaceName = "secrets"

// Well-known resource IDs.
const (
	// OSRootID is the ID of the OSRoot.
	OSRootID = "os"
	// EtcdRootID is the ID of the EtcdRoot.
	EtcdRootID = "etcd"
	// KubernetesRootID is the ID of the KubernetesRoot.
	KubernetesRootID = "k8s"
	// MaintenanceRootID is the ID of the MaintenanceRoot.
	MaintenanceRootID = "maintenance"
	// EncryptionSaltID is the ID of the EncryptionSalt.
	EncryptionSaltID = "encryption-salt"
	// APIID is the ID of the API.
	APIID = "api"
	// TrustdID is the ID of the Trustd.
	TrustdID = "trustd"
	// CertSANAPIID is the ID of the CertSAN of the API gateway.
	CertSANAPIID = "api"
	// CertSANKubernetesID is the ID of the CertSAN of the API server.
	CertSANKubernetesID = "k8s"
	// CertSANMaintenanceID is the ID of the CertSAN of the maintenance API.
	CertSANMaintenanceID = "maintenance"
	// EtcdID is the ID of the Etcd.
	EtcdID = "etcd"
	// KubeletID is the ID of the Kubelet.
	KubeletID = "kubelet"
	// KubernetesID is the ID of the Kubernetes.
	KubernetesID = "k8s-certs"
	// KubernetesDynamicCertsID is the ID of the KubernetesDynamicCerts.
	KubernetesDynamicCertsID = "k8s-dynamic-certs"
)
