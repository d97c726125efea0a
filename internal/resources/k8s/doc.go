// Package k8s holds the resources of Kubernetes on this node: kubelet, control plane, static pods, manifests and the node object.
package k8s

// NamespaceName is the namespace of most of these resources.
const NamespaceName = "k8s"

// ControlPlaneNamespaceName is the namespace of the resources of the control plane.
const ControlPlaneNamespaceName = "controlplane"

// Well-known resource IDs.
const (
	// KubeletID is the ID of the kubelet's resources: KubeletConfig, KubeletSpec, KubeletStatus, KubeletKubeconfig, KubeletLifecycle, NodeIPConfig and NodeIP.
	KubeletID = "kubelet"
	// NodenameID is the ID of the Nodename.
	NodenameID = "nodename"
	// NodeCordonedID is the ID of the NodeCordonedSpec.
	NodeCordonedID = "cordoned"
	// APIServerID is the ID of the APIServerConfig.
	APIServerID = "kube-apiserver"
	// ControllerManagerID is the ID of the ControllerManagerConfig.
	ControllerManagerID = "kube-controller-manager"
	// SchedulerID is the ID of the SchedulerConfig.
	SchedulerID = "kube-scheduler"
	// AdmissionControlConfigID is the ID of the AdmissionControlConfig.
	AdmissionControlConfigID = "admission-control"
	// AuditPolicyConfigID is the ID of the AuditPolicyConfig.
	AuditPolicyConfigID = "audit-policy"
	// AuthenticationConfigID is the ID of the AuthenticationConfig.
	AuthenticationConfigID = "authentication"
	// AuthorizationConfigID is the ID of the AuthorizationConfig.
	AuthorizationConfigID = "authorization"
	// EtcdEncryptionConfigID is the ID of the EtcdEncryptionConfig.
	EtcdEncryptionConfigID = "etcd-encryption"
	// BootstrapManifestsConfigID is the ID of the BootstrapManifestsConfig.
	BootstrapManifestsConfigID = "manifests"
	// ExtraManifestsConfigID is the ID of the ExtraManifestsConfig.
	ExtraManifestsConfigID = "extra-manifests"
	// ManifestStatusID is the ID of the ManifestStatus.
	ManifestStatusID = "manifests"
	// StaticPodSecretsID is the ID of the SecretsStatus.
	StaticPodSecretsID = "static-pods"
	// StaticPodConfigID is the ID of the ConfigStatus.
	StaticPodConfigID = "static-pods"
	// StaticPodServerStatusID is the ID of the StaticPodServerStatus.
	StaticPodServerStatusID = "static-pod-server-status"
	// ControlPlaneDiscoveredEndpointsID is the ID of the Endpoint that cluster discovery found.
	ControlPlaneDiscoveredEndpointsID = "discovered"
	// ControlPlaneAPIServerEndpointsID is the ID of the Endpoint that the API server publishes.
	ControlPlaneAPIServerEndpointsID = "kube-apiserver"
	// ControlPlaneKubernetesEndpointsID is the ID of the Endpoint that this node's configuration knows.
	ControlPlaneKubernetesEndpointsID = "controlplane"
	// KubePrismConfigID is the ID of the KubePrismConfig.
	KubePrismConfigID = "k8s-loadbalancer-config"
	// KubePrismEndpointsID is the ID of the KubePrismEndpoints.
	KubePrismEndpointsID = "k8s-cluster"
	// KubePrismStatusesID is the ID of the KubePrismStatuses.
	KubePrismStatusesID = "k8s-loadbalancer"
)
