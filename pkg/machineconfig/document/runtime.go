package document

import "time"

// DiscoveryIdentityConfig identifies the cluster to discovery services.
type DiscoveryIdentityConfig struct {
	ClusterID     string `yaml:"clusterID" required:"true"`
	ClusterSecret string `yaml:"clusterSecret" required:"true" secret:"true"`
}

// DiscoveryServiceConfig is a service through which nodes find each other.
type DiscoveryServiceConfig struct {
	Name     string `yaml:"name" required:"true"`
	Endpoint URL    `yaml:"endpoint" required:"true" scheme:"http|https|grpc"`
}

// EnvironmentConfig has environment variables of the system's services.
type EnvironmentConfig struct {
	Variables map[string]string `yaml:"variables,omitempty"`
}

// EtcFileConfig is a file under /etc; its name is the path below it.
type EtcFileConfig struct {
	Name     string   `yaml:"name" required:"true"`
	Mode     FileMode `yaml:"mode,omitempty"` // default 0o644
	Contents string   `yaml:"contents,omitempty"`
}

// EventSinkConfig sends the machine's events to a server.
type EventSinkConfig struct {
	Endpoint string `yaml:"endpoint,omitempty"` // host:port of a gRPC service
}

// KernelModuleConfig loads a kernel module.
type KernelModuleConfig struct {
	Name       string   `yaml:"name" required:"true"`
	Parameters []string `yaml:"parameters,omitempty"`
}

// KmsgLogConfig sends the kernel log to a server.
type KmsgLogConfig struct {
	Name string `yaml:"name,omitempty"`
	URL  URL    `yaml:"url,omitempty" scheme:"tcp|udp"`
}

// OOMConfig says when and what to kill when memory runs out, as CEL expressions.
type OOMConfig struct {
	TriggerExpression         string        `yaml:"triggerExpression,omitempty"`
	CgroupRankingExpression   string        `yaml:"cgroupRankingExpression,omitempty"`
	StrictCgroupClassOrdering *bool         `yaml:"strictCgroupClassOrdering,omitempty"`
	SampleInterval            time.Duration `yaml:"sampleInterval,omitempty"`
}

// SecurityProfileConfig hardens the machine.
type SecurityProfileConfig struct {
	WorkloadIsolation *bool `yaml:"workloadIsolation,omitempty"` // has no effect yet
}

// SysctlConfig sets kernel parameters under /proc/sys.
type SysctlConfig struct {
	Params map[string]string `yaml:"params,omitempty"`
}

// SysfsConfig sets kernel parameters under /sys.
type SysfsConfig struct {
	Params map[string]string `yaml:"params,omitempty"`
}

// UdevRulesConfig adds udev rules.
type UdevRulesConfig struct {
	Rules []string `yaml:"rules,omitempty"`
}

// UnattendedInstallConfig installs the OS to a disk without being asked.
type UnattendedInstallConfig struct {
	Reboot       *bool               `yaml:"reboot,omitempty"` // after the installation
	Installer    Installer           `yaml:"installer,omitempty"`
	Provisioning InstallProvisioning `yaml:"provisioning,omitempty"`
}

// Installer is the image that installs.
type Installer struct {
	Image string `yaml:"image,omitempty"`
}

// InstallProvisioning says where to install.
type InstallProvisioning struct {
	DiskSelector Match `yaml:"diskSelector,omitempty"` // over disk and system_disk
	Wipe         *bool `yaml:"wipe,omitempty"`
}

// Match selects by a CEL expression.
type Match struct {
	Match string `yaml:"match,omitempty"`
}

// WatchdogTimerConfig arms a hardware watchdog.
type WatchdogTimerConfig struct {
	Device  string        `yaml:"device,omitempty"`
	Timeout time.Duration `yaml:"timeout,omitempty"`
}

// BootHealthConfig says what a new version of the system must show on its first
// boots to stay. When it does not, the machine returns to the version before.
type BootHealthConfig struct {
	// Gates are the names of what must hold: network, time, api, kubelet, etcd,
	// nodeReady, services. Empty: network, api, kubelet, etcd.
	Gates []string `yaml:"gates,omitempty"`
	// Timeout is how long after the start all gates must hold; zero: 10m.
	Timeout time.Duration `yaml:"timeout,omitempty"`
	// StableFor is how long they must hold without a break; zero: 30s.
	StableFor time.Duration `yaml:"stableFor,omitempty"`
}

// BootGates are the names of the gates of a [BootHealthConfig].
func BootGates() []string {
	return []string{"network", "time", "api", "kubelet", "etcd", "nodeReady", "services"}
}

// CRIBaseRuntimeSpecConfig changes the base OCI specification of containers.
type CRIBaseRuntimeSpecConfig struct {
	Overrides Free `yaml:"overrides,omitempty"`
}

// CRICustomizationConfig is a part of containerd's configuration file.
type CRICustomizationConfig struct {
	Name    string `yaml:"name" required:"true"`
	Content string `yaml:"content,omitempty"` // TOML
}

// ImageCacheConfig configures the image cache of the machine.
type ImageCacheConfig struct {
	Local *LocalImageCache `yaml:"local,omitempty"`
}

// LocalImageCache is the cache on the machine's disk.
type LocalImageCache struct {
	Enabled *bool `yaml:"enabled,omitempty"`
}

// RegistryAuthConfig has the credentials of a registry; its name is the
// registry's host.
type RegistryAuthConfig struct {
	Name          string `yaml:"name" required:"true"`
	Username      string `yaml:"username,omitempty"`
	Password      string `yaml:"password,omitempty" secret:"true"`
	Auth          string `yaml:"auth,omitempty" secret:"true"`
	IdentityToken string `yaml:"identityToken,omitempty" secret:"true"`
}

// RegistryMirrorConfig has mirrors of a registry; its name is the registry's
// host, or * for all.
type RegistryMirrorConfig struct {
	Name         string             `yaml:"name" required:"true"`
	Endpoints    []RegistryEndpoint `yaml:"endpoints,omitempty"`
	SkipFallback *bool              `yaml:"skipFallback,omitempty"` // never ask the registry itself
}

// RegistryEndpoint is a mirror.
type RegistryEndpoint struct {
	URL          URL   `yaml:"url" required:"true" scheme:"http|https"`
	OverridePath *bool `yaml:"overridePath,omitempty"` // the URL's path takes the place of /v2
}

// RegistryTLSConfig has the TLS settings of a registry.
type RegistryTLSConfig struct {
	Name               string             `yaml:"name" required:"true"`
	ClientIdentity     *CertificateAndKey `yaml:"clientIdentity,omitempty"`
	CA                 string             `yaml:"ca,omitempty"` // PEM
	InsecureSkipVerify *bool              `yaml:"insecureSkipVerify,omitempty"`
}

// ImageVerificationConfig says which images may run; the first rule that
// matches decides.
type ImageVerificationConfig struct {
	Rules []ImageVerificationRule `yaml:"rules,omitempty"`
}

// ImageVerificationRule is what an image needs.
type ImageVerificationRule struct {
	Image     string                `yaml:"image,omitempty"` // glob
	Skip      *bool                 `yaml:"skip,omitempty"`
	Deny      *bool                 `yaml:"deny,omitempty"`
	Keyless   *ImageKeylessVerifier `yaml:"keyless,omitempty"`
	PublicKey *ImageKeyVerifier     `yaml:"publicKey,omitempty"`
}

// ImageKeylessVerifier accepts signatures by identity.
type ImageKeylessVerifier struct {
	Issuer       string `yaml:"issuer,omitempty"`
	Subject      string `yaml:"subject,omitempty"`
	SubjectRegex string `yaml:"subjectRegex,omitempty"`
}

// ImageKeyVerifier accepts signatures by key.
type ImageKeyVerifier struct {
	Certificate string `yaml:"certificate,omitempty"` // PEM
}

// TrustedRootsConfig adds authorities that the system trusts.
type TrustedRootsConfig struct {
	Name         string `yaml:"name" required:"true"`
	Certificates string `yaml:"certificates,omitempty"` // PEM
}

// SideroLinkConfig connects the machine to its manager.
type SideroLinkConfig struct {
	APIURL      URL    `yaml:"apiUrl,omitempty" scheme:"https|grpc" secret:"query"`
	UniqueToken string `yaml:"uniqueToken,omitempty" secret:"true"`
}

// ExtensionServiceConfig configures a service that an extension brings.
type ExtensionServiceConfig struct {
	Name        string       `yaml:"name" required:"true"`
	ConfigFiles []ConfigFile `yaml:"configFiles,omitempty" merge:"key=mountPath"`
	Environment []string     `yaml:"environment,omitempty"`
}

// ConfigFile is a file that a service sees.
type ConfigFile struct {
	Content   string `yaml:"content,omitempty"`
	MountPath string `yaml:"mountPath,omitempty"`
}

// PCIDriverRebindConfig binds a PCI device to another driver; its name is the
// device's address.
type PCIDriverRebindConfig struct {
	Name         string `yaml:"name" required:"true"`
	TargetDriver string `yaml:"targetDriver" required:"true"`
}
