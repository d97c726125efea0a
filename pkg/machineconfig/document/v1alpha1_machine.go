package document

import "time"

// MachineControlPlane switches parts of the control plane off.
type MachineControlPlane struct {
	ControllerManager *Switch `yaml:"controllerManager,omitempty"`
	Scheduler         *Switch `yaml:"scheduler,omitempty"`
}

// Switch switches something off.
type Switch struct {
	Disabled *bool `yaml:"disabled,omitempty"`
}

// Kubelet is the kubelet in [Machine].
type Kubelet struct {
	Image                               string       `yaml:"image,omitempty"`
	ClusterDNS                          []string     `yaml:"clusterDNS,omitempty"`
	ExtraArgs                           Args         `yaml:"extraArgs,omitempty"`
	ExtraMounts                         []ExtraMount `yaml:"extraMounts,omitempty" merge:"key=destination"`
	ExtraConfig                         Free         `yaml:"extraConfig,omitempty"`
	CredentialProviderConfig            Free         `yaml:"credentialProviderConfig,omitempty"`
	DefaultRuntimeSeccompProfileEnabled *bool        `yaml:"defaultRuntimeSeccompProfileEnabled,omitempty"`
	RegisterWithFQDN                    *bool        `yaml:"registerWithFQDN,omitempty"`
	NodeIP                              *NodeIP      `yaml:"nodeIP,omitempty"`
	SkipNodeRegistration                *bool        `yaml:"skipNodeRegistration,omitempty"`
	DisableManifestsDirectory           *bool        `yaml:"disableManifestsDirectory,omitempty"`
}

// ExtraMount is an OCI mount of the kubelet's container.
type ExtraMount struct {
	Destination string      `yaml:"destination,omitempty"`
	Type        string      `yaml:"type,omitempty"`
	Source      string      `yaml:"source,omitempty"`
	Options     []string    `yaml:"options,omitempty"`
	UIDMappings []IDMapping `yaml:"uidMappings,omitempty"`
	GIDMappings []IDMapping `yaml:"gidMappings,omitempty"`
}

// IDMapping maps user or group identifiers.
type IDMapping struct {
	ContainerID uint32 `yaml:"containerID"`
	HostID      uint32 `yaml:"hostID"`
	Size        uint32 `yaml:"size"`
}

// Disk is a disk with partitions for workloads.
type Disk struct {
	Device     string      `yaml:"device,omitempty"`
	Partitions []Partition `yaml:"partitions,omitempty"`
}

// Partition is a partition of a [Disk].
type Partition struct {
	Size       ByteSize `yaml:"size,omitempty"`
	MountPoint string   `yaml:"mountpoint,omitempty"`
}

// Install says where to install the OS.
type Install struct {
	Disk              string         `yaml:"disk,omitempty"`
	DiskSelector      *DiskSelector  `yaml:"diskSelector,omitempty"`
	ExtraKernelArgs   []string       `yaml:"extraKernelArgs,omitempty"`
	Image             string         `yaml:"image,omitempty"`
	Extensions        []ExtensionRef `yaml:"extensions,omitempty"`
	Bootloader        *bool          `yaml:"bootloader,omitempty"`
	Wipe              *bool          `yaml:"wipe,omitempty"`
	LegacyBIOSSupport *bool          `yaml:"legacyBIOSSupport,omitempty"`
	GrubUseUKICmdline *bool          `yaml:"grubUseUKICmdline,omitempty"`
}

// ExtensionRef is a system extension by image.
type ExtensionRef struct {
	Image string `yaml:"image,omitempty"`
}

// DiskSelector chooses a disk; what is given must all hold. Strings may have *.
type DiskSelector struct {
	Size     string `yaml:"size,omitempty"` // such as <= 2TB
	Name     string `yaml:"name,omitempty"`
	Model    string `yaml:"model,omitempty"`
	Serial   string `yaml:"serial,omitempty"`
	Modalias string `yaml:"modalias,omitempty"`
	UUID     string `yaml:"uuid,omitempty"`
	WWID     string `yaml:"wwid,omitempty"`
	Type     string `yaml:"type,omitempty" enum:"ssd|hdd|nvme|sd"`
	BusPath  string `yaml:"busPath,omitempty"`
}

// File is a file to be written.
type File struct {
	Content     string   `yaml:"content,omitempty"`
	Permissions FileMode `yaml:"permissions,omitempty"`
	Path        string   `yaml:"path,omitempty"`
	Op          string   `yaml:"op,omitempty" enum:"create|append|overwrite"`
}

// Time is the clock in [Machine].
type Time struct {
	Disabled    *bool         `yaml:"disabled,omitempty"`
	Servers     []string      `yaml:"servers,omitempty"`
	BootTimeout time.Duration `yaml:"bootTimeout,omitempty"`
}

// DiskEncryption encrypts the system volumes.
type DiskEncryption struct {
	State     *Encryption `yaml:"state,omitempty"`
	Ephemeral *Encryption `yaml:"ephemeral,omitempty"`
}

// Network is the network in [Machine].
type Network struct {
	Hostname            string      `yaml:"hostname,omitempty"`
	Interfaces          []Interface `yaml:"interfaces,omitempty" merge:"key=interface|deviceSelector"`
	Nameservers         []string    `yaml:"nameservers,omitempty"`
	SearchDomains       []string    `yaml:"searchDomains,omitempty"`
	ExtraHostEntries    []ExtraHost `yaml:"extraHostEntries,omitempty"`
	KubeSpan            *KubeSpan   `yaml:"kubespan,omitempty"`
	DisableSearchDomain *bool       `yaml:"disableSearchDomain,omitempty"`
}

// KubeSpan is the WireGuard mesh in [Network].
type KubeSpan struct {
	Enabled                     *bool            `yaml:"enabled,omitempty"`
	AdvertiseKubernetesNetworks *bool            `yaml:"advertiseKubernetesNetworks,omitempty"`
	AllowDownPeerBypass         *bool            `yaml:"allowDownPeerBypass,omitempty"`
	HarvestExtraEndpoints       *bool            `yaml:"harvestExtraEndpoints,omitempty"`
	MTU                         *uint32          `yaml:"mtu,omitempty"`
	Filters                     *KubeSpanFilters `yaml:"filters,omitempty"`
}

// ExtraHost is a line of /etc/hosts.
type ExtraHost struct {
	IP      string   `yaml:"ip,omitempty"`
	Aliases []string `yaml:"aliases,omitempty"`
}

// Interface is a link with all that belongs to it.
type Interface struct {
	Interface      string          `yaml:"interface,omitempty"`
	DeviceSelector *DeviceSelector `yaml:"deviceSelector,omitempty"`
	Addresses      []string        `yaml:"addresses,omitempty"`
	CIDR           string          `yaml:"cidr,omitempty"`
	Routes         []DeviceRoute   `yaml:"routes,omitempty"`
	Bond           *Bond           `yaml:"bond,omitempty"`
	Bridge         *Bridge         `yaml:"bridge,omitempty"`
	BridgePort     *BridgePort     `yaml:"bridgePort,omitempty"`
	VLANs          []VLAN          `yaml:"vlans,omitempty" merge:"key=vlanId"`
	MTU            uint32          `yaml:"mtu,omitempty"`
	DHCP           *bool           `yaml:"dhcp,omitempty"`
	Ignore         *bool           `yaml:"ignore,omitempty"`
	Dummy          *bool           `yaml:"dummy,omitempty"`
	DHCPOptions    *DHCPOptions    `yaml:"dhcpOptions,omitempty"`
	Wireguard      *Wireguard      `yaml:"wireguard,omitempty"`
	VIP            *VIP            `yaml:"vip,omitempty"`
}

// DeviceSelector chooses physical links; what is given must all hold.
type DeviceSelector struct {
	BusPath       string `yaml:"busPath,omitempty"`
	HardwareAddr  string `yaml:"hardwareAddr,omitempty"`
	PermanentAddr string `yaml:"permanentAddr,omitempty"`
	PCIID         string `yaml:"pciID,omitempty"`
	Driver        string `yaml:"driver,omitempty"`
	Physical      *bool  `yaml:"physical,omitempty"`
}

// DeviceRoute is a route of an [Interface].
type DeviceRoute struct {
	Network string `yaml:"network,omitempty"`
	Gateway string `yaml:"gateway,omitempty"`
	Source  string `yaml:"source,omitempty"`
	Metric  uint32 `yaml:"metric,omitempty"`
	MTU     uint32 `yaml:"mtu,omitempty"`
}

// VLAN is a VLAN of an [Interface].
type VLAN struct {
	Addresses   []string      `yaml:"addresses,omitempty"`
	CIDR        string        `yaml:"cidr,omitempty"`
	Routes      []DeviceRoute `yaml:"routes,omitempty"`
	DHCP        *bool         `yaml:"dhcp,omitempty"`
	VLANID      uint16        `yaml:"vlanId,omitempty"`
	MTU         uint32        `yaml:"mtu,omitempty"`
	VIP         *VIP          `yaml:"vip,omitempty"`
	DHCPOptions *DHCPOptions  `yaml:"dhcpOptions,omitempty"`
}

// DHCPOptions tune DHCP.
type DHCPOptions struct {
	RouteMetric uint32 `yaml:"routeMetric,omitempty"`
	IPv4        *bool  `yaml:"ipv4,omitempty"`
	IPv6        *bool  `yaml:"ipv6,omitempty"`
	DUIDv6      string `yaml:"duidv6,omitempty"`
}

// VIP is an address that moves between machines.
type VIP struct {
	IP           string        `yaml:"ip,omitempty"`
	EquinixMetal *VIPAPIAccess `yaml:"equinixMetal,omitempty"`
	HCloud       *VIPAPIAccess `yaml:"hcloud,omitempty"`
}

// VIPAPIAccess is access to the cloud that moves the address.
type VIPAPIAccess struct {
	APIToken string `yaml:"apiToken,omitempty" secret:"true"`
}

// Wireguard makes an [Interface] a WireGuard link.
type Wireguard struct {
	PrivateKey   string        `yaml:"privateKey,omitempty" secret:"true"`
	ListenPort   int           `yaml:"listenPort,omitempty"`
	FirewallMark int           `yaml:"firewallMark,omitempty"`
	Peers        []WireguardTo `yaml:"peers,omitempty"`
}

// WireguardTo is a peer of a [Wireguard] link.
type WireguardTo struct {
	PublicKey                   string        `yaml:"publicKey,omitempty"`
	Endpoint                    string        `yaml:"endpoint,omitempty"`
	PersistentKeepaliveInterval time.Duration `yaml:"persistentKeepaliveInterval,omitempty"`
	AllowedIPs                  []string      `yaml:"allowedIPs,omitempty"`
}

// Bond makes an [Interface] a bond.
type Bond struct {
	Interfaces      []string         `yaml:"interfaces,omitempty"`
	DeviceSelectors []DeviceSelector `yaml:"deviceSelectors,omitempty"`
	ARPIPTarget     []string         `yaml:"arpIPTarget,omitempty"`
	Mode            string           `yaml:"mode,omitempty"`
	XmitHashPolicy  string           `yaml:"xmitHashPolicy,omitempty"`
	LACPRate        string           `yaml:"lacpRate,omitempty"`
	ADActorSystem   string           `yaml:"adActorSystem,omitempty"`
	ARPValidate     string           `yaml:"arpValidate,omitempty"`
	ARPAllTargets   string           `yaml:"arpAllTargets,omitempty"`
	Primary         string           `yaml:"primary,omitempty"`
	PrimaryReselect string           `yaml:"primaryReselect,omitempty"`
	FailOverMAC     string           `yaml:"failOverMac,omitempty"`
	ADSelect        string           `yaml:"adSelect,omitempty"`
	MIIMon          *uint32          `yaml:"miimon,omitempty"`
	UpDelay         *uint32          `yaml:"updelay,omitempty"`
	DownDelay       *uint32          `yaml:"downdelay,omitempty"`
	ARPInterval     *uint32          `yaml:"arpInterval,omitempty"`
	ResendIGMP      *uint32          `yaml:"resendIgmp,omitempty"`
	MinLinks        *uint32          `yaml:"minLinks,omitempty"`
	LPInterval      *uint32          `yaml:"lpInterval,omitempty"`
	PacketsPerSlave *uint32          `yaml:"packetsPerSlave,omitempty"`
	NumPeerNotif    *uint8           `yaml:"numPeerNotif,omitempty"`
	TLBDynamicLB    *uint8           `yaml:"tlbDynamicLb,omitempty"`
	AllSlavesActive *uint8           `yaml:"allSlavesActive,omitempty"`
	UseCarrier      *bool            `yaml:"useCarrier,omitempty"`
	ADActorSysPrio  *uint16          `yaml:"adActorSysPrio,omitempty"`
	ADUserPortKey   *uint16          `yaml:"adUserPortKey,omitempty"`
	PeerNotifyDelay *uint32          `yaml:"peerNotifyDelay,omitempty"`
}

// Bridge makes an [Interface] a bridge.
type Bridge struct {
	Interfaces []string         `yaml:"interfaces,omitempty"`
	STP        *BridgeSTP       `yaml:"stp,omitempty"`
	VLAN       *InterfaceBridge `yaml:"vlan,omitempty"`
}

// InterfaceBridge is VLAN handling of a [Bridge].
type InterfaceBridge struct {
	VLANFiltering *bool `yaml:"vlanFiltering,omitempty"`
}

// BridgePort makes an [Interface] a port of a bridge.
type BridgePort struct {
	Master string `yaml:"master,omitempty"`
}
