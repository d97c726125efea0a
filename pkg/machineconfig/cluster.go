package machineconfig

import (
	"net/netip"
	"time"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Cluster is what a configuration says about the cluster, with defaults filled
// in. What only control plane nodes are told is empty on workers.
type Cluster struct {
	Name     string
	Endpoint document.URL // of the Kubernetes API, for all the world

	ID        string // for discovery services
	Secret    string // base64; encrypts what they store
	Discovery []*document.DiscoveryServiceConfig

	BootstrapToken string // with which kubelets join
	Network        KubeNetwork
	Etcd           Etcd

	CA             secrets.KeyPair // of Kubernetes; without a key on workers
	AcceptedCAs    []secrets.PEM   // trusted beside CA; on workers all there is
	AggregatorCA   secrets.KeyPair
	ServiceAccount ServiceAccount
	Encryption     document.Free // an EncryptionConfiguration without apiVersion and kind; nil: none

	APIServer         APIServer
	ControllerManager Component
	Scheduler         Component
	Proxy             Proxy
	CoreDNS           CoreDNS
	Flannel           *document.KubeFlannelCNIConfig // nil: the cluster's network is not ours

	InlineManifests       []*document.KubeInlineManifestConfig
	ExternalManifests     []*document.KubeExternalManifestConfig
	CloudManifests        []string // URLs
	ExternalCloudProvider bool
	AdminCertLifetime     time.Duration // of the kubeconfig that the API hands out
}

// KubeNetwork has the networks of Kubernetes.
type KubeNetwork struct {
	DNSDomain        string
	PodSubnets       []netip.Prefix
	ServiceSubnets   []netip.Prefix
	NodeMaskSizeIPv4 int // zero: the component's own default
	NodeMaskSizeIPv6 int
}

// Etcd is the member of a control plane node.
type Etcd struct {
	Image             string
	CA                secrets.KeyPair
	ExtraArgs         document.Args
	AdvertisedSubnets []string // with ! in front: excluded
	ListenSubnets     []string
}

// ServiceAccount is how service account tokens are signed and checked.
type ServiceAccount struct {
	Key                secrets.PEM
	IssuerURL          string
	AcceptedPublicKeys []secrets.PEM
	AcceptedIssuers    []string
	Audiences          []string // empty: the issuer
}

// APIServer is kube-apiserver.
type APIServer struct {
	Component
	Port          int
	CertSANs      []string
	StartupProbes bool

	AdmissionControl []*document.KubeAdmissionControlConfig
	AuditPolicy      document.Free // nil: none
	Authentication   document.Free // nil: no anonymous requests
	Authorizers      []*document.KubeAuthorizerConfig
}

// Component is a static pod of the control plane.
type Component struct {
	Enabled      bool
	Image        string
	ExtraArgs    document.Args
	Env          map[string]string
	Resources    document.Resources
	ExtraVolumes []document.ExtraVolume
	Config       document.Free // of the scheduler
}

// Proxy is kube-proxy.
type Proxy struct {
	Enabled   bool
	Image     string
	Mode      string
	Config    document.Free // merged into KubeProxyConfiguration
	ExtraArgs document.Args
	Resources document.Resources
}

// CoreDNS is the cluster's DNS server.
type CoreDNS struct {
	Enabled bool
	Image   string
}

// Defaults of a cluster.
const (
	DefaultDNSDomain        = "cluster.local"
	DefaultPodSubnet        = "10.244.0.0/16"
	DefaultServiceSubnet    = "10.96.0.0/12"
	DefaultAPIServerPort    = 6443
	defaultProxyMode        = "nftables"
	defaultAdminCertTTL     = 365 * 24 * time.Hour
	defaultFlannelBackend   = "vxlan"
	defaultFlannelPort      = 4789
	defaultDiscoveryService = "https://discovery.talos.dev/"
)

// Cluster is the cluster's part of the configuration.
func (c *Config) Cluster() Cluster {
	v1 := value(c.v1.Cluster)
	cluster := get[document.KubeClusterConfig](c)
	identity := get[document.DiscoveryIdentityConfig](c)
	etcd := value(v1.Etcd)
	cloud := value(v1.ExternalCloudProvider)

	cl := Cluster{
		Name:           cluster.ClusterName,
		Endpoint:       cluster.Endpoint,
		ID:             identity.ClusterID,
		Secret:         identity.ClusterSecret,
		Discovery:      All[document.DiscoveryServiceConfig](c),
		BootstrapToken: v1.Token,
		Network:        c.kubeNetwork(),
		Etcd: Etcd{
			Image:             or(etcd.Image, EtcdImage),
			CA:                value(etcd.CA).KeyPair(),
			ExtraArgs:         etcd.ExtraArgs,
			AdvertisedSubnets: etcd.AdvertisedSubnets,
			ListenSubnets:     etcd.ListenSubnets,
		},
		ServiceAccount: c.serviceAccount(),
		Encryption:     get[document.KubeEtcdEncryptionConfig](c).Config,

		APIServer:         c.apiServer(),
		ControllerManager: c.controllerManager(),
		Scheduler:         c.scheduler(),
		Proxy:             c.proxy(),
		Flannel:           Find[document.KubeFlannelCNIConfig](c),

		InlineManifests:       All[document.KubeInlineManifestConfig](c),
		ExternalManifests:     All[document.KubeExternalManifestConfig](c),
		ExternalCloudProvider: value(cloud.Enabled),
		AdminCertLifetime:     or(value(v1.AdminKubeconfig).CertLifetime, defaultAdminCertTTL),
	}

	if etcd.Subnet != "" {
		cl.Etcd.AdvertisedSubnets = append([]string{etcd.Subnet}, cl.Etcd.AdvertisedSubnets...)
	}

	if cl.ExternalCloudProvider {
		cl.CloudManifests = cloud.Manifests
	}

	ca := get[document.KubeAPIServerCAConfig](c)
	cl.CA = value(ca.IssuingCA).KeyPair()
	cl.AcceptedCAs = pems(ca.AcceptedCAs)
	cl.AggregatorCA = value(get[document.KubeAggregatorCAConfig](c).IssuingCA).KeyPair()

	dns := Find[document.KubeCoreDNSConfig](c)
	cl.CoreDNS = CoreDNS{Enabled: dns != nil && enabled(dns.Enabled), Image: or(value(dns).Image, CoreDNSImage)}

	return cl
}

func (c *Config) kubeNetwork() KubeNetwork {
	network := get[document.KubeNetworkConfig](c)

	return KubeNetwork{
		DNSDomain:        or(network.DNSDomain, DefaultDNSDomain),
		PodSubnets:       network.PodSubnets,
		ServiceSubnets:   network.ServiceSubnets,
		NodeMaskSizeIPv4: network.NodeCIDRMaskSizeIPv4,
		NodeMaskSizeIPv6: network.NodeCIDRMaskSizeIPv6,
	}
}

func (c *Config) serviceAccount() ServiceAccount {
	doc := get[document.KubeServiceAccountConfig](c)
	accepted := value(doc.Accepted)
	account := ServiceAccount{
		Key:                secrets.PEM(doc.Issuer.PrivateKey),
		IssuerURL:          doc.Issuer.IssuerURL.String(),
		AcceptedPublicKeys: pems(accepted.PublicKeys),
		Audiences:          accepted.Audiences,
	}

	for _, issuer := range accepted.Issuers {
		account.AcceptedIssuers = append(account.AcceptedIssuers, issuer.String())
	}

	return account
}

func (c *Config) apiServer() APIServer {
	doc := get[document.KubeAPIServerConfig](c)

	return APIServer{
		Component: Component{
			Enabled:      true,
			Image:        or(doc.Image, APIServerImage(DefaultKubernetesVersion)),
			ExtraArgs:    doc.ExtraArgs,
			Env:          doc.Env,
			Resources:    value(doc.Resources),
			ExtraVolumes: value(value(c.v1.Cluster).APIServer).ExtraVolumes,
		},
		Port:             or(doc.APIPort, DefaultAPIServerPort),
		CertSANs:         doc.CertExtraSANs,
		StartupProbes:    enabled(doc.StartupProbes),
		AdmissionControl: All[document.KubeAdmissionControlConfig](c),
		AuditPolicy:      get[document.KubeAuditPolicyConfig](c).Configuration,
		Authentication:   get[document.KubeAuthenticationConfig](c).Configuration,
		Authorizers:      All[document.KubeAuthorizerConfig](c),
	}
}

func (c *Config) controllerManager() Component {
	doc := get[document.KubeControllerManagerConfig](c)

	return Component{
		Enabled:      enabled(doc.Enabled),
		Image:        or(doc.Image, ControllerManagerImage(DefaultKubernetesVersion)),
		ExtraArgs:    doc.ExtraArgs,
		Env:          doc.Env,
		Resources:    value(doc.Resources),
		ExtraVolumes: value(value(c.v1.Cluster).ControllerManager).ExtraVolumes,
	}
}

func (c *Config) scheduler() Component {
	doc := get[document.KubeSchedulerConfig](c)

	return Component{
		Enabled:      enabled(doc.Enabled),
		Image:        or(doc.Image, SchedulerImage(DefaultKubernetesVersion)),
		ExtraArgs:    doc.ExtraArgs,
		Env:          doc.Env,
		Resources:    value(doc.Resources),
		ExtraVolumes: value(value(c.v1.Cluster).Scheduler).ExtraVolumes,
		Config:       doc.Config,
	}
}

func (c *Config) proxy() Proxy {
	doc := Find[document.KubeProxyConfig](c)
	if doc == nil {
		return Proxy{}
	}

	return Proxy{
		Enabled:   enabled(doc.Enabled),
		Image:     or(doc.Image, ProxyImage(DefaultKubernetesVersion)),
		Mode:      or(doc.Mode, defaultProxyMode),
		Config:    doc.Config,
		ExtraArgs: doc.ExtraArgs,
		Resources: value(doc.Resources),
	}
}

// enabled is a switch that is on unless it was turned off.
func enabled(b *bool) bool { return b == nil || *b }

func pems(texts []string) []secrets.PEM {
	var all []secrets.PEM
	for _, text := range texts {
		all = append(all, secrets.PEM(text))
	}

	return all
}
