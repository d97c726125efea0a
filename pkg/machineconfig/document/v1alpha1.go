package document

import (
	"time"

	"github.com/basalt-os/basalt/pkg/secrets"
)

// V1Alpha1 is the document without a kind. It has what identifies a machine
// and a cluster; all else has moved to documents of its own, and what older
// configurations have here is translated to those on load.
type V1Alpha1 struct {
	Version string   `yaml:"version" enum:"v1alpha1"`
	Debug   *bool    `yaml:"debug,omitempty"`
	Persist *bool    `yaml:"persist,omitempty" deprecated:"it has no effect"`
	Machine *Machine `yaml:"machine,omitempty"`
	Cluster *Cluster `yaml:"cluster,omitempty"`
}

// Types of machines.
const (
	ControlPlane = "controlplane"
	Worker       = "worker"
)

// Machine is the machine's own part of [V1Alpha1].
type Machine struct {
	Type                     string               `yaml:"type,omitempty" enum:"controlplane|worker" accept:"init|join"`
	Token                    string               `yaml:"token,omitempty" secret:"true"` // with which workers ask for certificates
	CA                       *Authority           `yaml:"ca,omitempty"`                  // of the OS API
	AcceptedCAs              []Certificate        `yaml:"acceptedCAs,omitempty"`
	CertSANs                 []string             `yaml:"certSANs"` // of the OS API's certificate
	ControlPlane             *MachineControlPlane `yaml:"controlPlane,omitempty" deprecated:"use KubeControllerManagerConfig and KubeSchedulerConfig"`
	Kubelet                  *Kubelet             `yaml:"kubelet,omitempty" deprecated:"use KubeletConfig and KubeNodeConfig"`
	Pods                     []Free               `yaml:"pods,omitempty" deprecated:"use KubeStaticPodConfig"`
	Network                  *Network             `yaml:"network,omitempty" deprecated:"use the documents for links and addresses"`
	Disks                    []Disk               `yaml:"disks,omitempty" deprecated:"use UserVolumeConfig"`
	Install                  *Install             `yaml:"install,omitempty" deprecated:"use UnattendedInstallConfig"`
	Files                    []File               `yaml:"files,omitempty" deprecated:"use EtcFileConfig and CRICustomizationConfig"`
	Env                      map[string]string    `yaml:"env,omitempty" deprecated:"use EnvironmentConfig"`
	Time                     *Time                `yaml:"time,omitempty" deprecated:"use TimeSyncConfig"`
	Sysctls                  map[string]string    `yaml:"sysctls,omitempty" deprecated:"use SysctlConfig"`
	Sysfs                    map[string]string    `yaml:"sysfs,omitempty" deprecated:"use SysfsConfig"`
	Registries               *Registries          `yaml:"registries,omitempty" deprecated:"use RegistryMirrorConfig, RegistryAuthConfig and RegistryTLSConfig"`
	SystemDiskEncryption     *DiskEncryption      `yaml:"systemDiskEncryption,omitempty" deprecated:"use VolumeConfig"`
	Features                 *Features            `yaml:"features,omitempty"`
	Udev                     *Udev                `yaml:"udev,omitempty" deprecated:"use UdevRulesConfig"`
	Logging                  *Logging             `yaml:"logging,omitempty"`
	Kernel                   *Kernel              `yaml:"kernel,omitempty" deprecated:"use KernelModuleConfig"`
	SeccompProfiles          []SeccompProfile     `yaml:"seccompProfiles,omitempty" merge:"key=name"`
	BaseRuntimeSpecOverrides Free                 `yaml:"baseRuntimeSpecOverrides,omitempty" deprecated:"use CRIBaseRuntimeSpecConfig"`
	NodeLabels               map[string]string    `yaml:"nodeLabels,omitempty" deprecated:"use KubeNodeConfig"`
	NodeAnnotations          map[string]string    `yaml:"nodeAnnotations,omitempty" deprecated:"use KubeNodeConfig"`
	NodeTaints               map[string]string    `yaml:"nodeTaints,omitempty" deprecated:"use KubeNodeConfig"`
}

// Features switch parts of the system on.
type Features struct {
	RBAC                     *bool              `yaml:"rbac,omitempty" deprecated:"it is always on"`
	StableHostname           *bool              `yaml:"stableHostname,omitempty" deprecated:"use HostnameConfig"`
	KubernetesTalosAPIAccess *KubernetesAccess  `yaml:"kubernetesTalosAPIAccess,omitempty" deprecated:"use KubeTalosAPIAccessConfig"`
	APIDCheckExtKeyUsage     *bool              `yaml:"apidCheckExtKeyUsage,omitempty" deprecated:"it is always on"`
	DiskQuotaSupport         *bool              `yaml:"diskQuotaSupport,omitempty"`
	KubePrism                *FeatureKubePrism  `yaml:"kubePrism,omitempty" deprecated:"use KubePrismConfig"`
	HostDNS                  *HostDNS           `yaml:"hostDNS,omitempty" deprecated:"use ResolverConfig"`
	ImageCache               *FeatureImageCache `yaml:"imageCache,omitempty" deprecated:"use ImageCacheConfig"`
	NodeAddressSortAlgorithm string             `yaml:"nodeAddressSortAlgorithm,omitempty" enum:"v1|v2"`
}

// Logging sends the logs of services away.
type Logging struct {
	Destinations []LoggingDestination `yaml:"destinations,omitempty" merge:"key=endpoint"`
}

// LoggingDestination is a server for logs.
type LoggingDestination struct {
	Endpoint  URL               `yaml:"endpoint,omitempty" scheme:"tcp|udp"`
	Format    string            `yaml:"format,omitempty" enum:"json_lines"`
	ExtraTags map[string]string `yaml:"extraTags,omitempty"`
}

// SeccompProfile is a profile that pods can refer to.
type SeccompProfile struct {
	Name  string `yaml:"name,omitempty"`
	Value Free   `yaml:"value,omitempty" merge:"replace"`
}

// Cluster is the cluster's part of [V1Alpha1].
type Cluster struct {
	ID                             string                 `yaml:"id,omitempty" deprecated:"use DiscoveryIdentityConfig"`
	Secret                         string                 `yaml:"secret,omitempty" secret:"true" deprecated:"use DiscoveryIdentityConfig"`
	ControlPlane                   *ClusterControlPlane   `yaml:"controlPlane,omitempty" deprecated:"use KubeClusterConfig"`
	ClusterName                    string                 `yaml:"clusterName,omitempty" deprecated:"use KubeClusterConfig"`
	Network                        *ClusterNetwork        `yaml:"network,omitempty" deprecated:"use KubeNetworkConfig and KubeFlannelCNIConfig"`
	Token                          string                 `yaml:"token,omitempty" secret:"true"` // with which kubelets join
	AESCBCEncryptionSecret         string                 `yaml:"aescbcEncryptionSecret,omitempty" secret:"true" deprecated:"use KubeEtcdEncryptionConfig"`
	SecretboxEncryptionSecret      string                 `yaml:"secretboxEncryptionSecret,omitempty" secret:"true" deprecated:"use KubeEtcdEncryptionConfig"`
	CA                             *Authority             `yaml:"ca,omitempty" deprecated:"use KubeAPIServerCAConfig"`
	AcceptedCAs                    []Certificate          `yaml:"acceptedCAs,omitempty" deprecated:"use KubeAPIServerCAConfig"`
	AggregatorCA                   *Authority             `yaml:"aggregatorCA,omitempty" deprecated:"use KubeAggregatorCAConfig"`
	ServiceAccount                 *PrivateKey            `yaml:"serviceAccount,omitempty" deprecated:"use KubeServiceAccountConfig"`
	APIServer                      *APIServer             `yaml:"apiServer,omitempty" deprecated:"use KubeAPIServerConfig"`
	ControllerManager              *ControllerManager     `yaml:"controllerManager,omitempty" deprecated:"use KubeControllerManagerConfig"`
	Proxy                          *Proxy                 `yaml:"proxy,omitempty" deprecated:"use KubeProxyConfig"`
	Scheduler                      *Scheduler             `yaml:"scheduler,omitempty" deprecated:"use KubeSchedulerConfig"`
	Discovery                      *Discovery             `yaml:"discovery,omitempty" deprecated:"use DiscoveryServiceConfig"`
	Etcd                           *Etcd                  `yaml:"etcd,omitempty"`
	CoreDNS                        *CoreDNS               `yaml:"coreDNS,omitempty" deprecated:"use KubeCoreDNSConfig"`
	ExternalCloudProvider          *ExternalCloudProvider `yaml:"externalCloudProvider,omitempty"`
	ExtraManifests                 []string               `yaml:"extraManifests,omitempty" deprecated:"use KubeExternalManifestConfig"`
	ExtraManifestHeaders           map[string]string      `yaml:"extraManifestHeaders,omitempty" secret:"true" deprecated:"use KubeExternalManifestConfig"`
	InlineManifests                []InlineManifest       `yaml:"inlineManifests,omitempty" merge:"key=name" deprecated:"use KubeInlineManifestConfig"`
	AdminKubeconfig                *AdminKubeconfig       `yaml:"adminKubeconfig,omitempty"`
	AllowSchedulingOnMasters       *bool                  `yaml:"allowSchedulingOnMasters,omitempty" deprecated:"use KubeNodeConfig"`
	AllowSchedulingOnControlPlanes *bool                  `yaml:"allowSchedulingOnControlPlanes,omitempty" deprecated:"use KubeNodeConfig"`
}

// Etcd configures the member that a control plane node runs.
type Etcd struct {
	Image             string     `yaml:"image,omitempty"`
	CA                *Authority `yaml:"ca,omitempty"`
	ExtraArgs         Args       `yaml:"extraArgs,omitempty"`
	Subnet            string     `yaml:"subnet,omitempty" deprecated:"use advertisedSubnets"`
	AdvertisedSubnets []string   `yaml:"advertisedSubnets,omitempty"`
	ListenSubnets     []string   `yaml:"listenSubnets,omitempty"`
}

// ExternalCloudProvider applies the manifests of a cloud controller.
type ExternalCloudProvider struct {
	Enabled   *bool    `yaml:"enabled,omitempty"`
	Manifests []string `yaml:"manifests,omitempty"` // URLs
}

// AdminKubeconfig configures the kubeconfig that the API hands out.
type AdminKubeconfig struct {
	CertLifetime time.Duration `yaml:"certLifetime,omitempty"` // default a year
}

// APIServer is kube-apiserver in [Cluster].
type APIServer struct {
	Image                    string             `yaml:"image,omitempty"`
	ExtraArgs                Args               `yaml:"extraArgs,omitempty"`
	ExtraVolumes             []ExtraVolume      `yaml:"extraVolumes,omitempty"`
	Env                      map[string]string  `yaml:"env,omitempty"`
	CertSANs                 []string           `yaml:"certSANs,omitempty"`
	DisablePodSecurityPolicy *bool              `yaml:"disablePodSecurityPolicy,omitempty"`
	AdmissionControl         []AdmissionControl `yaml:"admissionControl,omitempty" merge:"key=name"`
	AuditPolicy              Free               `yaml:"auditPolicy,omitempty" merge:"replace"`
	Resources                *Resources         `yaml:"resources,omitempty"`
	AuthorizationConfig      []Authorizer       `yaml:"authorizationConfig,omitempty" merge:"replace"`
}

// AdmissionControl is an admission plugin.
type AdmissionControl struct {
	Name          string `yaml:"name,omitempty"`
	Configuration Free   `yaml:"configuration,omitempty"`
}

// Authorizer is an authorizer.
type Authorizer struct {
	Type    string `yaml:"type,omitempty" enum:"Node|RBAC|Webhook"`
	Name    string `yaml:"name,omitempty"`
	Webhook Free   `yaml:"webhook,omitempty"`
}

// ExtraVolume mounts a path of the machine into a control plane pod.
type ExtraVolume struct {
	HostPath  string `yaml:"hostPath,omitempty"`
	MountPath string `yaml:"mountPath,omitempty"`
	ReadOnly  *bool  `yaml:"readonly,omitempty"`
}

// ControllerManager is kube-controller-manager in [Cluster].
type ControllerManager struct {
	Image        string            `yaml:"image,omitempty"`
	ExtraArgs    Args              `yaml:"extraArgs,omitempty"`
	ExtraVolumes []ExtraVolume     `yaml:"extraVolumes,omitempty"`
	Env          map[string]string `yaml:"env,omitempty"`
	Resources    *Resources        `yaml:"resources,omitempty"`
}

// Scheduler is kube-scheduler in [Cluster].
type Scheduler struct {
	Image        string            `yaml:"image,omitempty"`
	ExtraArgs    Args              `yaml:"extraArgs,omitempty"`
	ExtraVolumes []ExtraVolume     `yaml:"extraVolumes,omitempty"`
	Env          map[string]string `yaml:"env,omitempty"`
	Resources    *Resources        `yaml:"resources,omitempty"`
	Config       Free              `yaml:"config,omitempty"`
}

// Proxy is kube-proxy in [Cluster].
type Proxy struct {
	Disabled  *bool  `yaml:"disabled,omitempty"`
	Image     string `yaml:"image,omitempty"`
	Mode      string `yaml:"mode,omitempty"`
	ExtraArgs Args   `yaml:"extraArgs,omitempty"`
}

// CoreDNS is CoreDNS in [Cluster].
type CoreDNS struct {
	Disabled *bool  `yaml:"disabled,omitempty"`
	Image    string `yaml:"image,omitempty"`
}

// InlineManifest is a manifest to be applied.
type InlineManifest struct {
	Name     string `yaml:"name,omitempty"`
	Contents string `yaml:"contents,omitempty"`
}

// ClusterControlPlane is where the control plane is.
type ClusterControlPlane struct {
	Endpoint           URL `yaml:"endpoint,omitempty" scheme:"https"`
	LocalAPIServerPort int `yaml:"localAPIServerPort,omitempty"`
}

// ClusterNetwork is the cluster's networks.
type ClusterNetwork struct {
	CNI            *CNI     `yaml:"cni,omitempty"`
	DNSDomain      string   `yaml:"dnsDomain,omitempty"`
	PodSubnets     []string `yaml:"podSubnets,omitempty" merge:"replace"`
	ServiceSubnets []string `yaml:"serviceSubnets,omitempty" merge:"replace"`
}

// CNI is the cluster's network plugin.
type CNI struct {
	Name    string   `yaml:"name,omitempty" enum:"flannel|custom|none"`
	URLs    []string `yaml:"urls,omitempty"`
	Flannel *Flannel `yaml:"flannel,omitempty"`
}

// Flannel is flannel in [CNI].
type Flannel struct {
	ExtraArgs                  []string `yaml:"extraArgs,omitempty"`
	KubeNetworkPoliciesEnabled *bool    `yaml:"kubeNetworkPoliciesEnabled,omitempty"`
}

// Discovery is how nodes find each other.
type Discovery struct {
	Enabled    *bool                `yaml:"enabled,omitempty"`
	Registries *DiscoveryRegistries `yaml:"registries,omitempty"`
}

// DiscoveryRegistries are the places where nodes look for each other.
type DiscoveryRegistries struct {
	Kubernetes *DiscoveryKubernetes `yaml:"kubernetes,omitempty"`
	Service    *DiscoveryService    `yaml:"service,omitempty"`
}

// DiscoveryKubernetes is discovery through Node objects.
type DiscoveryKubernetes struct {
	Disabled *bool `yaml:"disabled,omitempty"`
}

// DiscoveryService is discovery through a service.
type DiscoveryService struct {
	Disabled *bool `yaml:"disabled,omitempty"`
	Endpoint URL   `yaml:"endpoint,omitempty"`
}

// Kernel has the modules to load.
type Kernel struct {
	Modules []KernelModule `yaml:"modules,omitempty" merge:"key=name"`
}

// KernelModule is a module to load.
type KernelModule struct {
	Name       string   `yaml:"name,omitempty"`
	Parameters []string `yaml:"parameters,omitempty"`
}

// Udev has rules for devices.
type Udev struct {
	Rules []string `yaml:"rules,omitempty"`
}

// Registries are the registries that images come from.
type Registries struct {
	Mirrors map[string]RegistryMirror   `yaml:"mirrors,omitempty"`
	Config  map[string]RegistrySettings `yaml:"config,omitempty"`
}

// RegistryMirror is the mirrors of a registry.
type RegistryMirror struct {
	Endpoints    []string `yaml:"endpoints,omitempty"`
	OverridePath *bool    `yaml:"overridePath,omitempty"`
	SkipFallback *bool    `yaml:"skipFallback,omitempty"`
}

// RegistrySettings are how to talk to a registry.
type RegistrySettings struct {
	TLS  *RegistryTLS  `yaml:"tls,omitempty"`
	Auth *RegistryAuth `yaml:"auth,omitempty"`
}

// RegistryTLS is the TLS settings of a registry.
type RegistryTLS struct {
	ClientIdentity     *Authority  `yaml:"clientIdentity,omitempty"`
	CA                 secrets.PEM `yaml:"ca,omitempty"`
	InsecureSkipVerify *bool       `yaml:"insecureSkipVerify,omitempty"`
}

// RegistryAuth is the credentials of a registry.
type RegistryAuth struct {
	Username      string `yaml:"username,omitempty"`
	Password      string `yaml:"password,omitempty" secret:"true"`
	Auth          string `yaml:"auth,omitempty" secret:"true"`
	IdentityToken string `yaml:"identityToken,omitempty" secret:"true"`
}

// KubernetesAccess lets pods use the OS API.
type KubernetesAccess struct {
	Enabled                     *bool    `yaml:"enabled,omitempty"`
	AllowedRoles                []string `yaml:"allowedRoles,omitempty"`
	AllowedKubernetesNamespaces []string `yaml:"allowedKubernetesNamespaces,omitempty"`
}

// FeatureKubePrism is the node's load balancer for the Kubernetes API.
type FeatureKubePrism struct {
	Enabled *bool `yaml:"enabled,omitempty"`
	Port    int   `yaml:"port,omitempty"`
}

// FeatureImageCache is the image cache.
type FeatureImageCache struct {
	LocalEnabled *bool `yaml:"localEnabled,omitempty"`
}
