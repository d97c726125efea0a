package document

import "net/netip"

// Resources are a container's requests and limits, as Kubernetes has them.
type Resources struct {
	Requests Free `yaml:"requests,omitempty"`
	Limits   Free `yaml:"limits,omitempty"`
}

// KubeAPIServerCAConfig has the authority of the Kubernetes API.
type KubeAPIServerCAConfig struct {
	IssuingCA   *CertificateAndKey `yaml:"issuingCA,omitempty"`   // control plane nodes sign with it
	AcceptedCAs []string           `yaml:"acceptedCAs,omitempty"` // PEM; trusted beside the issuing one
}

// KubeAPIServerConfig configures kube-apiserver.
type KubeAPIServerConfig struct {
	Image         string            `yaml:"image" required:"true"`
	ExtraArgs     Args              `yaml:"extraArgs,omitempty"`
	Env           map[string]string `yaml:"env,omitempty"`
	Resources     *Resources        `yaml:"resources,omitempty"`
	APIPort       int               `yaml:"apiPort,omitempty"`       // default 6443
	CertExtraSANs []string          `yaml:"certExtraSANs,omitempty"` // of the serving certificate
	StartupProbes *bool             `yaml:"startupProbes,omitempty"`
}

// KubeAdmissionControlConfig configures one admission plugin of kube-apiserver.
type KubeAdmissionControlConfig struct {
	Name          string `yaml:"name,omitempty"`
	Configuration Free   `yaml:"configuration,omitempty"`
}

// KubeAggregatorCAConfig has the authority of the API aggregation layer.
type KubeAggregatorCAConfig struct {
	IssuingCA   *CertificateAndKey `yaml:"issuingCA,omitempty"`
	AcceptedCAs []string           `yaml:"acceptedCAs,omitempty"`
}

// KubeAuditPolicyConfig is the audit policy of kube-apiserver.
type KubeAuditPolicyConfig struct {
	Configuration Free `yaml:"configuration,omitempty" merge:"replace"`
}

// KubeAuthenticationConfig is the structured authentication configuration of
// kube-apiserver.
type KubeAuthenticationConfig struct {
	Configuration Free `yaml:"configuration,omitempty" merge:"replace"`
}

// KubeAuthorizerConfig is one authorizer of kube-apiserver.
type KubeAuthorizerConfig struct {
	Name    string `yaml:"name,omitempty"`
	Type    string `yaml:"type,omitempty" enum:"Node|RBAC|Webhook"`
	Webhook Free   `yaml:"webhook,omitempty" merge:"replace"`
}

// KubeClusterConfig names the cluster and its control plane's address.
type KubeClusterConfig struct {
	ClusterName string `yaml:"clusterName" required:"true"`
	Endpoint    URL    `yaml:"endpoint" required:"true" scheme:"https"`
}

// KubeControllerManagerConfig configures kube-controller-manager.
type KubeControllerManagerConfig struct {
	Enabled   *bool             `yaml:"enabled,omitempty"` // default true
	Image     string            `yaml:"image" required:"true"`
	ExtraArgs Args              `yaml:"extraArgs,omitempty"`
	Env       map[string]string `yaml:"env,omitempty"`
	Resources *Resources        `yaml:"resources,omitempty"`
}

// KubeCoreDNSConfig configures the CoreDNS deployment.
type KubeCoreDNSConfig struct {
	Enabled *bool  `yaml:"enabled,omitempty"` // default true
	Image   string `yaml:"image,omitempty"`
}

// KubeCredentialProviderConfig is the kubelet's image credential provider
// configuration.
type KubeCredentialProviderConfig struct {
	Configuration Free `yaml:"configuration,omitempty" merge:"replace"`
}

// KubeEtcdEncryptionConfig says how kube-apiserver encrypts what it stores.
type KubeEtcdEncryptionConfig struct {
	Config Free `yaml:"config,omitempty" merge:"replace" secret:"nested"`
}

// KubeExternalManifestConfig is a manifest to be downloaded and applied.
type KubeExternalManifestConfig struct {
	Name    string            `yaml:"name" required:"true"`
	Headers map[string]string `yaml:"headers,omitempty" secret:"true"` // of the HTTP request
	URL     URL               `yaml:"url" required:"true" scheme:"http|https"`
}

// KubeFlannelCNIConfig deploys flannel as the cluster's network.
type KubeFlannelCNIConfig struct {
	BackendType                string     `yaml:"backendType,omitempty"` // default vxlan
	BackendPort                uint16     `yaml:"backendPort,omitempty"` // default 4789
	BackendMTU                 uint32     `yaml:"backendMTU,omitempty"`
	BackendExtraConfig         Free       `yaml:"backendExtraConfig,omitempty"`
	Resources                  *Resources `yaml:"resources,omitempty"`
	ExtraArgs                  []string   `yaml:"extraArgs,omitempty"`
	KubeNetworkPoliciesEnabled *bool      `yaml:"kubeNetworkPoliciesEnabled,omitempty"`
}

// KubeInlineManifestConfig is a manifest to be applied.
type KubeInlineManifestConfig struct {
	Name     string `yaml:"name" required:"true"`
	Manifest string `yaml:"manifest" required:"true"`
}

// KubeNetworkConfig has the cluster's networks.
type KubeNetworkConfig struct {
	DNSDomain            string         `yaml:"dnsDomain,omitempty"` // default cluster.local
	PodSubnets           []netip.Prefix `yaml:"podSubnets" required:"true" merge:"replace"`
	ServiceSubnets       []netip.Prefix `yaml:"serviceSubnets" required:"true" merge:"replace"`
	NodeCIDRMaskSizeIPv4 int            `yaml:"nodeCIDRMaskSizeIPv4,omitempty" min:"1" max:"32"`
	NodeCIDRMaskSizeIPv6 int            `yaml:"nodeCIDRMaskSizeIPv6,omitempty" min:"1" max:"128"`
}

// KubeNodeConfig configures this machine's Node object.
type KubeNodeConfig struct {
	SkipNodeRegistration *bool             `yaml:"skipNodeRegistration,omitempty"`
	RegisterWithFQDN     *bool             `yaml:"registerWithFQDN,omitempty"`
	NodeIP               NodeIP            `yaml:"nodeIP"`
	Labels               map[string]string `yaml:"labels,omitempty"`
	Annotations          map[string]string `yaml:"annotations,omitempty"`
	Taints               map[string]string `yaml:"taints,omitempty"` // key to value:effect or effect
}

// NodeIP chooses the kubelet's address.
type NodeIP struct {
	ValidSubnets []string `yaml:"validSubnets,omitempty"` // with ! in front: excluded
}

// KubePrismConfig runs the node's own load balancer for the Kubernetes API.
type KubePrismConfig struct {
	Port          int    `yaml:"port" required:"true" min:"1" max:"65535"` // on the loopback interface
	TLSServerName string `yaml:"tlsServerName,omitempty"`
}

// KubeProxyConfig configures the kube-proxy deployment.
type KubeProxyConfig struct {
	Enabled   *bool      `yaml:"enabled,omitempty"` // default true
	Image     string     `yaml:"image" required:"true"`
	Mode      string     `yaml:"mode,omitempty"` // default nftables
	Config    Free       `yaml:"config"`
	ExtraArgs Args       `yaml:"extraArgs,omitempty"`
	Resources *Resources `yaml:"resources,omitempty"`
}

// KubeSchedulerConfig configures kube-scheduler.
type KubeSchedulerConfig struct {
	Enabled   *bool             `yaml:"enabled,omitempty"` // default true
	Image     string            `yaml:"image" required:"true"`
	Config    Free              `yaml:"config"`
	ExtraArgs Args              `yaml:"extraArgs,omitempty"`
	Env       map[string]string `yaml:"env,omitempty"`
	Resources *Resources        `yaml:"resources,omitempty"`
}

// KubeServiceAccountConfig has the keys of service account tokens.
type KubeServiceAccountConfig struct {
	Issuer   ServiceAccountIssuer    `yaml:"issuer" required:"true"`
	Accepted *ServiceAccountAccepted `yaml:"accepted,omitempty"`
}

// ServiceAccountIssuer signs service account tokens.
type ServiceAccountIssuer struct {
	PrivateKey string `yaml:"privateKey" required:"true" secret:"true"` // PEM
	IssuerURL  URL    `yaml:"issuerURL" required:"true" scheme:"http|https"`
}

// ServiceAccountAccepted is what tokens may have beside what the issuer gives.
type ServiceAccountAccepted struct {
	PublicKeys []string `yaml:"publicKeys,omitempty"` // PEM
	Issuers    []URL    `yaml:"issuers,omitempty" scheme:"http|https"`
	Audiences  []string `yaml:"audiences,omitempty"`
}

// KubeStaticPodConfig is a pod that the kubelet runs without the API.
type KubeStaticPodConfig struct {
	Name string `yaml:"name" required:"true"`
	Pod  Free   `yaml:"pod" required:"true"`
}

// KubeTalosAPIAccessConfig lets pods use the OS API through service accounts.
type KubeTalosAPIAccessConfig struct {
	AllowedRoles                []string `yaml:"allowedRoles,omitempty"`
	AllowedKubernetesNamespaces []string `yaml:"allowedKubernetesNamespaces,omitempty"`
}

// KubeletConfig configures the kubelet.
type KubeletConfig struct {
	Image                               string   `yaml:"image" required:"true"`
	Config                              Free     `yaml:"config"` // merged into KubeletConfiguration
	ExtraArgs                           Args     `yaml:"extraArgs,omitempty"`
	ClusterDNS                          []string `yaml:"clusterDNS,omitempty"`
	DefaultRuntimeSeccompProfileEnabled *bool    `yaml:"defaultRuntimeSeccompProfileEnabled,omitempty"`
}
