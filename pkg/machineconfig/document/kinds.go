package document

import "reflect"

// Kinds are all documents that have a kind, as zero values. A document's kind
// is the name of its type.
func Kinds() []any {
	return []any{
		// Network.
		BGPInstanceConfig{}, BlackholeRouteConfig{}, BondConfig{}, BridgeConfig{}, DHCPv4Config{}, DHCPv6Config{},
		DummyLinkConfig{}, EthernetConfig{}, HCloudVIPConfig{}, HTTPProbeConfig{}, HostnameConfig{}, KubeSpanConfig{},
		KubeSpanEndpoints{}, Layer2VIPConfig{}, LinkAliasConfig{}, LinkConfig{}, NetworkDefaultActionConfig{},
		NetworkRuleConfig{}, ResolverConfig{}, RoutingRuleConfig{}, StaticHostConfig{}, TCPProbeConfig{},
		TimeSyncConfig{}, VLANConfig{}, VRFConfig{}, VethConfig{}, WireguardConfig{},
		// Kubernetes.
		KubeAPIServerCAConfig{}, KubeAPIServerConfig{}, KubeAdmissionControlConfig{}, KubeAggregatorCAConfig{},
		KubeAuditPolicyConfig{}, KubeAuthenticationConfig{}, KubeAuthorizerConfig{}, KubeClusterConfig{},
		KubeControllerManagerConfig{}, KubeCoreDNSConfig{}, KubeCredentialProviderConfig{}, KubeEtcdEncryptionConfig{},
		KubeExternalManifestConfig{}, KubeFlannelCNIConfig{}, KubeInlineManifestConfig{}, KubeNetworkConfig{},
		KubeNodeConfig{}, KubePrismConfig{}, KubeProxyConfig{}, KubeSchedulerConfig{}, KubeServiceAccountConfig{},
		KubeStaticPodConfig{}, KubeTalosAPIAccessConfig{}, KubeletConfig{},
		// Volumes and disks.
		ExistingVolumeConfig{}, ExternalVolumeConfig{}, FilesystemScrubConfig{}, FilesystemTrimConfig{},
		RawVolumeConfig{}, SwapVolumeConfig{}, UserVolumeConfig{}, VolumeConfig{}, ZswapConfig{},
		LVMLogicalVolumeConfig{}, LVMVolumeGroupConfig{}, RAIDArrayConfig{},
		// The system.
		EnvironmentConfig{}, EtcFileConfig{}, EventSinkConfig{}, KernelModuleConfig{}, KmsgLogConfig{}, OOMConfig{},
		SecurityProfileConfig{}, SysctlConfig{}, SysfsConfig{}, UdevRulesConfig{}, UnattendedInstallConfig{},
		WatchdogTimerConfig{}, ExtensionServiceConfig{}, PCIDriverRebindConfig{}, ContainerConfig{},
		// Images, trust and cluster.
		CRIBaseRuntimeSpecConfig{}, CRICustomizationConfig{}, ImageCacheConfig{}, RegistryAuthConfig{},
		RegistryMirrorConfig{}, RegistryTLSConfig{}, ImageVerificationConfig{}, TrustedRootsConfig{},
		DiscoveryIdentityConfig{}, DiscoveryServiceConfig{}, SideroLinkConfig{},
		// What the wire does not have.
		BootHealthConfig{},
	}
}

// VersionOf is the apiVersion of a document that has a kind.
func VersionOf(doc any) string {
	if KindOf(doc) == KindOf(BootHealthConfig{}) {
		return OwnVersion
	}

	return Version
}

const (
	// Version is the apiVersion of the wire's documents.
	Version = "v1alpha1"
	// OwnVersion is the apiVersion of documents that the wire does not have.
	OwnVersion = "basalt.dev/v1alpha1"
)

// KindOf is the kind of a document, given as a value or a pointer; it is empty
// for [V1Alpha1].
func KindOf(doc any) string {
	t := reflect.TypeOf(doc)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}

	if t == reflect.TypeFor[V1Alpha1]() {
		return ""
	}

	return t.Name()
}

// NameOf is the name of a document, given as a pointer; it is empty for kinds
// of which a configuration has one document.
func NameOf(doc any) string {
	if name := reflect.ValueOf(doc).Elem().FieldByName("Name"); name.IsValid() {
		return name.String()
	}

	return ""
}

// Named reports whether a configuration may have several documents of the kind
// of the given document.
func Named(doc any) bool {
	t := reflect.TypeOf(doc)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}

	_, ok := t.FieldByName("Name")

	return ok
}

// Canonical is the kind that a kind is another name of, or the kind itself. The
// wire's own schema and its tools do not agree on two of them.
func Canonical(kind string) string {
	switch kind {
	case "KubeSpanEndpointsConfig":
		return "KubeSpanEndpoints"
	case "UnattendedInstall":
		return "UnattendedInstallConfig"
	default:
		return kind
	}
}
