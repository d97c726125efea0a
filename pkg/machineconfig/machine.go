package machineconfig

import (
	"time"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// Machine is what a configuration says about the machine itself, with defaults
// filled in.
type Machine struct {
	Type        string // document.ControlPlane or document.Worker
	Debug       bool
	Token       string          // with which workers ask for certificates
	CA          secrets.KeyPair // of the OS API; without a key on workers
	AcceptedCAs []secrets.PEM   // trusted beside CA
	CertSANs    []string

	Hostname     string // empty: not set by the configuration
	AutoHostname bool   // derive a stable hostname when no other is known

	Kubelet          Kubelet
	Node             Node
	StaticPods       []*document.KubeStaticPodConfig
	KubernetesAccess *document.KubeTalosAPIAccessConfig // nil: pods get no access to the OS API
	KubePrism        KubePrism
	HostDNS          HostDNS
	Nameservers      []document.Nameserver
	SearchDomains    []string
	NoDefaultSearch  bool // do not search the machine's own domain
	StaticHosts      []*document.StaticHostConfig
	Time             Time

	Sysctls map[string]string // by name as after sysctl -w
	Sysfs   map[string]string
	Env     map[string]string // of the system's services
	Modules []*document.KernelModuleConfig
	Udev    []string // rules
	Files   []document.File
	Disks   []document.Disk // to be partitioned
	Logging []document.LoggingDestination
	Seccomp []document.SeccompProfile

	RegistryMirrors  []*document.RegistryMirrorConfig
	RegistryAuth     []*document.RegistryAuthConfig
	RegistryTLS      []*document.RegistryTLSConfig
	BaseRuntimeSpec  document.Free // merged into the OCI specification of containers
	CRICustomization []*document.CRICustomizationConfig

	Install           *document.UnattendedInstallConfig // nil: do not install
	ExtraKernelArgs   []string                          // of what is installed; "-NAME" takes one away
	DiskQuota         bool
	WorkloadIsolation bool
	NodeAddressSort   string // v1 or v2
}

// IsControlPlane reports whether the machine runs the control plane.
func (m Machine) IsControlPlane() bool { return m.Type == document.ControlPlane }

// Kubelet is the kubelet of the machine.
type Kubelet struct {
	Image              string
	ExtraArgs          document.Args
	ExtraConfig        document.Free // merged into KubeletConfiguration
	CredentialProvider document.Free // nil: none
	ClusterDNS         []string      // empty: from the service networks
	DefaultSeccomp     bool          // RuntimeDefault for pods that ask for nothing
	ExtraMounts        []document.ExtraMount
}

// Node is the Node object of the machine.
type Node struct {
	SkipRegistration bool
	RegisterWithFQDN bool
	ValidSubnets     []string // of the node's addresses; with ! in front: excluded
	Labels           map[string]string
	Annotations      map[string]string
	Taints           map[string]string // key to value:effect or effect
}

// KubePrism is the machine's load balancer for the Kubernetes API.
type KubePrism struct {
	Enabled       bool
	Port          int
	TLSServerName string
}

// HostDNS is the machine's caching resolver.
type HostDNS struct {
	Enabled            bool
	ForwardKubeDNS     bool // cluster DNS asks it
	ResolveMemberNames bool
}

// Time is the synchronization of the clock.
type Time struct {
	Enabled     bool
	BootTimeout time.Duration // zero: wait for ever
	Servers     []string      // never empty
	UseNTS      bool
	PTPDevices  []string
}

// Defaults of the machine.
const (
	DefaultTimeServer    = "time.cloudflare.com"
	defaultKubePrismPort = 7445
)

// Machine is the machine's part of the configuration.
func (c *Config) Machine() Machine {
	v1 := value(c.v1.Machine)

	m := Machine{
		Type:     machineType(v1.Type),
		Debug:    value(c.v1.Debug),
		Token:    v1.Token,
		CA:       value(v1.CA).KeyPair(),
		CertSANs: v1.CertSANs,

		Kubelet:          c.kubelet(),
		Node:             c.node(),
		StaticPods:       All[document.KubeStaticPodConfig](c),
		KubernetesAccess: Find[document.KubeTalosAPIAccessConfig](c),
		StaticHosts:      All[document.StaticHostConfig](c),
		Time:             c.time(),

		Sysctls: get[document.SysctlConfig](c).Params,
		Sysfs:   get[document.SysfsConfig](c).Params,
		Env:     get[document.EnvironmentConfig](c).Variables,
		Modules: All[document.KernelModuleConfig](c),
		Udev:    get[document.UdevRulesConfig](c).Rules,
		Files:   v1.Files,
		Disks:   v1.Disks,
		Logging: value(v1.Logging).Destinations,
		Seccomp: v1.SeccompProfiles,

		RegistryMirrors:  All[document.RegistryMirrorConfig](c),
		RegistryAuth:     All[document.RegistryAuthConfig](c),
		RegistryTLS:      All[document.RegistryTLSConfig](c),
		BaseRuntimeSpec:  get[document.CRIBaseRuntimeSpecConfig](c).Overrides,
		CRICustomization: All[document.CRICustomizationConfig](c),

		Install:           Find[document.UnattendedInstallConfig](c),
		ExtraKernelArgs:   value(v1.Install).ExtraKernelArgs,
		DiskQuota:         value(value(v1.Features).DiskQuotaSupport),
		WorkloadIsolation: value(get[document.SecurityProfileConfig](c).WorkloadIsolation),
		NodeAddressSort:   or(value(v1.Features).NodeAddressSortAlgorithm, "v1"),
	}

	for _, ca := range v1.AcceptedCAs {
		m.AcceptedCAs = append(m.AcceptedCAs, ca.Cert)
	}

	hostname := get[document.HostnameConfig](c)
	m.Hostname = hostname.Hostname
	m.AutoHostname = hostname.Auto != "off"

	if prism := Find[document.KubePrismConfig](c); prism != nil {
		m.KubePrism = KubePrism{Enabled: true, Port: or(prism.Port, defaultKubePrismPort), TLSServerName: prism.TLSServerName}
	}

	resolver := get[document.ResolverConfig](c)
	m.Nameservers = resolver.Nameservers
	m.SearchDomains = value(resolver.SearchDomains).Domains
	m.NoDefaultSearch = value(value(resolver.SearchDomains).DisableDefault)

	dns := value(resolver.HostDNS)
	m.HostDNS = HostDNS{
		Enabled:            value(dns.Enabled),
		ForwardKubeDNS:     value(dns.Enabled) && value(dns.ForwardKubeDNSToHost),
		ResolveMemberNames: value(dns.Enabled) && value(dns.ResolveMemberNames),
	}

	return m
}

// machineType is the type of today for one that older documents have.
func machineType(t string) string {
	switch t {
	case "init":
		return document.ControlPlane
	case "join", "":
		return document.Worker
	default:
		return t
	}
}

func (c *Config) kubelet() Kubelet {
	kubelet := get[document.KubeletConfig](c)

	return Kubelet{
		Image:              or(kubelet.Image, KubeletImage(DefaultKubernetesVersion)),
		ExtraArgs:          kubelet.ExtraArgs,
		ExtraConfig:        kubelet.Config,
		CredentialProvider: get[document.KubeCredentialProviderConfig](c).Configuration,
		ClusterDNS:         kubelet.ClusterDNS,
		DefaultSeccomp:     value(kubelet.DefaultRuntimeSeccompProfileEnabled),
		ExtraMounts:        value(value(c.v1.Machine).Kubelet).ExtraMounts,
	}
}

func (c *Config) node() Node {
	node := get[document.KubeNodeConfig](c)

	return Node{
		SkipRegistration: value(node.SkipNodeRegistration),
		RegisterWithFQDN: value(node.RegisterWithFQDN),
		ValidSubnets:     node.NodeIP.ValidSubnets,
		Labels:           node.Labels,
		Annotations:      node.Annotations,
		Taints:           node.Taints,
	}
}

func (c *Config) time() Time {
	sync := get[document.TimeSyncConfig](c)
	t := Time{
		Enabled:     sync.Enabled == nil || *sync.Enabled,
		BootTimeout: sync.BootTimeout,
		Servers:     value(sync.NTP).Servers,
		UseNTS:      value(value(sync.NTP).UseNTS),
		PTPDevices:  value(sync.PTP).Devices,
	}

	if len(t.Servers) == 0 {
		t.Servers = []string{DefaultTimeServer}
	}

	return t
}

// get is the document of a type, or its zero value.
func get[T any](c *Config) T { return value(Find[T](c)) }

// value is what a pointer points to, or the zero value.
func value[T any](p *T) T {
	if p == nil {
		return *new(T)
	}

	return *p
}

// or is the first value unless it is zero.
func or[T comparable](v, otherwise T) T {
	if v == *new(T) {
		return otherwise
	}

	return v
}
