package resources

import (
	"slices"

	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/clock"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/resources/containers"
	"github.com/basalt-os/basalt/internal/resources/cri"
	"github.com/basalt-os/basalt/internal/resources/etcd"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/internal/resources/hardware"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/kubeaccess"
	"github.com/basalt-os/basalt/internal/resources/kubespan"
	"github.com/basalt-os/basalt/internal/resources/meta"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/perf"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/resources/security"
	"github.com/basalt-os/basalt/internal/resources/siderolink"
	"github.com/basalt-os/basalt/internal/resources/storage"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
)

// builtin lists every resource type of the contract.
func builtin() []Description {
	return slices.Concat(
		blockTypes(),
		clockTypes(),
		clusterTypes(),
		configTypes(),
		containersTypes(),
		criTypes(),
		etcdTypes(),
		filesTypes(),
		hardwareTypes(),
		k8sTypes(),
		kubeaccessTypes(),
		kubespanTypes(),
		metaTypes(),
		networkTypes(),
		perfTypes(),
		runtimeTypes(),
		secretsTypes(),
		securityTypes(),
		siderolinkTypes(),
		storageTypes(),
		v1alpha1Types(),
	)
}

func blockTypes() []Description {
	return []Description{
		Describe[block.Device](),
		Describe[block.DiscoveredVolume](),
		Describe[block.DiscoveredVolumesStatus](),
		Describe[block.DiscoveryRefreshRequest](),
		Describe[block.DiscoveryRefreshStatus](),
		Describe[block.Disk](),
		Describe[block.FSScrubSchedule](),
		Describe[block.FSScrubStatus](),
		Describe[block.MountRequest](),
		Describe[block.MountStatus](),
		Describe[block.SwapStatus](),
		Describe[block.Symlink](),
		Describe[block.SystemDisk](),
		Describe[block.UserDiskConfigStatus](),
		Describe[block.VolumeConfig](),
		Describe[block.VolumeLifecycle](),
		Describe[block.VolumeMountRequest](),
		Describe[block.VolumeMountStatus](),
		Describe[block.VolumeStatus](),
		Describe[block.VolumeTrimSchedule](),
		Describe[block.ZswapStatus](),
	}
}

func clockTypes() []Description {
	return []Description{
		Describe[clock.AdjtimeStatus](),
		Describe[clock.NTPStatus](),
		Describe[clock.Status](),
	}
}

func clusterTypes() []Description {
	return []Description{
		Describe[cluster.Affiliate](),
		Describe[cluster.Config](),
		Describe[cluster.Identity](),
		Describe[cluster.Info](),
		Describe[cluster.Member](),
	}
}

func configTypes() []Description {
	return []Description{
		Describe[config.MachineConfig](),
		Describe[config.MachineType](),
	}
}

func containersTypes() []Description {
	return []Description{
		Describe[containers.ContainerImageStatus](),
		Describe[containers.ContainerInstanceSpec](),
		Describe[containers.ContainerSpec](),
	}
}

func criTypes() []Description {
	return []Description{
		Describe[cri.BaseRuntimeSpecConfig](),
		Describe[cri.CustomizationConfig](),
		Describe[cri.ImageCacheConfig](),
		Describe[cri.RegistriesConfig](),
		Describe[cri.SeccompProfile](),
	}
}

func etcdTypes() []Description {
	return []Description{
		Describe[etcd.Config](),
		Describe[etcd.Member](),
		Describe[etcd.PKIStatus](),
		Describe[etcd.Spec](),
	}
}

func filesTypes() []Description {
	return []Description{
		Describe[files.EtcFileSpec](),
		Describe[files.EtcFileStatus](),
	}
}

func hardwareTypes() []Description {
	return []Description{
		Describe[hardware.CPUCore](),
		Describe[hardware.MemoryModule](),
		Describe[hardware.PCIDevice](),
		Describe[hardware.PCIDriverRebindConfig](),
		Describe[hardware.PCIDriverRebindStatus](),
		Describe[hardware.PCRStatus](),
		Describe[hardware.Processor](),
		Describe[hardware.SystemInformation](),
	}
}

func k8sTypes() []Description {
	return []Description{
		Describe[k8s.APIServerConfig](),
		Describe[k8s.AdmissionControlConfig](),
		Describe[k8s.AuditPolicyConfig](),
		Describe[k8s.AuthenticationConfig](),
		Describe[k8s.AuthorizationConfig](),
		Describe[k8s.BootstrapManifestsConfig](),
		Describe[k8s.ConfigStatus](),
		Describe[k8s.ControllerManagerConfig](),
		Describe[k8s.Endpoint](),
		Describe[k8s.EtcdEncryptionConfig](),
		Describe[k8s.ExtraManifestsConfig](),
		Describe[k8s.KubePrismConfig](),
		Describe[k8s.KubePrismEndpoints](),
		Describe[k8s.KubePrismStatuses](),
		Describe[k8s.KubeletConfig](),
		Describe[k8s.KubeletKubeconfig](),
		Describe[k8s.KubeletLifecycle](),
		Describe[k8s.KubeletSpec](),
		Describe[k8s.KubeletStatus](),
		Describe[k8s.Manifest](),
		Describe[k8s.ManifestStatus](),
		Describe[k8s.NodeAnnotationSpec](),
		Describe[k8s.NodeCordonedSpec](),
		Describe[k8s.NodeIP](),
		Describe[k8s.NodeIPConfig](),
		Describe[k8s.NodeLabelSpec](),
		Describe[k8s.NodeStatus](),
		Describe[k8s.NodeTaintSpec](),
		Describe[k8s.Nodename](),
		Describe[k8s.SchedulerConfig](),
		Describe[k8s.SecretsStatus](),
		Describe[k8s.StaticPod](),
		Describe[k8s.StaticPodServerStatus](),
		Describe[k8s.StaticPodStatus](),
	}
}

func kubeaccessTypes() []Description {
	return []Description{
		Describe[kubeaccess.Config](),
	}
}

func kubespanTypes() []Description {
	return []Description{
		Describe[kubespan.Config](),
		Describe[kubespan.Endpoint](),
		Describe[kubespan.Identity](),
		Describe[kubespan.PeerSpec](),
		Describe[kubespan.PeerStatus](),
	}
}

func metaTypes() []Description {
	return []Description{
		Describe[meta.Namespace](),
		Describe[meta.ResourceDefinition](),
	}
}

func networkTypes() []Description {
	return []Description{
		Describe[network.AddressSpec](),
		Describe[network.AddressStatus](),
		Describe[network.BGPInstanceConfig](),
		Describe[network.BGPPeerStatus](),
		Describe[network.DNSResolveCache](),
		Describe[network.DNSUpstream](),
		Describe[network.DeviceConfigSpec](),
		Describe[network.EthernetSpec](),
		Describe[network.EthernetStatus](),
		Describe[network.HardwareAddr](),
		Describe[network.HostDNSConfig](),
		Describe[network.HostnameSpec](),
		Describe[network.HostnameStatus](),
		Describe[network.LinkAliasSpec](),
		Describe[network.LinkRefresh](),
		Describe[network.LinkSpec](),
		Describe[network.LinkStatus](),
		Describe[network.NfTablesChain](),
		Describe[network.NodeAddress](),
		Describe[network.NodeAddressFilter](),
		Describe[network.NodeAddressSortAlgorithm](),
		Describe[network.OperatorSpec](),
		Describe[network.PlatformConfig](),
		Describe[network.ProbeSpec](),
		Describe[network.ProbeStatus](),
		Describe[network.ResolverSpec](),
		Describe[network.ResolverStatus](),
		Describe[network.RouteSpec](),
		Describe[network.RouteStatus](),
		Describe[network.RoutingRuleSpec](),
		Describe[network.RoutingRuleStatus](),
		Describe[network.StaticHost](),
		Describe[network.Status](),
		Describe[network.TimeServerSpec](),
		Describe[network.TimeServerStatus](),
	}
}

func perfTypes() []Description {
	return []Description{
		Describe[perf.CPU](),
		Describe[perf.Memory](),
	}
}

func runtimeTypes() []Description {
	return []Description{
		Describe[runtime.APIServiceConfig](),
		Describe[runtime.BootID](),
		Describe[runtime.BootedEntry](),
		Describe[runtime.DevicesStatus](),
		Describe[runtime.Diagnostic](),
		Describe[runtime.Environment](),
		Describe[runtime.EventSinkConfig](),
		Describe[runtime.ExtensionServiceConfig](),
		Describe[runtime.ExtensionServiceConfigStatus](),
		Describe[runtime.ExtensionStatus](),
		Describe[runtime.ImageFactorySchematic](),
		Describe[runtime.KernelCmdline](),
		Describe[runtime.KernelModuleSpec](),
		Describe[runtime.KernelModuleStatus](),
		Describe[runtime.KernelParamDefaultSpec](),
		Describe[runtime.KernelParamSpec](),
		Describe[runtime.KernelParamStatus](),
		Describe[runtime.KmsgLogConfig](),
		Describe[runtime.LoadedKernelModule](),
		Describe[runtime.MachineResetSignal](),
		Describe[runtime.MachineStatus](),
		Describe[runtime.MaintenanceServiceConfig](),
		Describe[runtime.MaintenanceServiceRequest](),
		Describe[runtime.MetaKey](),
		Describe[runtime.MetaLoaded](),
		Describe[runtime.MountStatus](),
		Describe[runtime.OOMAction](),
		Describe[runtime.PlatformMetadata](),
		Describe[runtime.RebootRequest](),
		Describe[runtime.SBOMItem](),
		Describe[runtime.SecurityState](),
		Describe[runtime.ServicePID](),
		Describe[runtime.UnattendedInstallStatus](),
		Describe[runtime.UniqueMachineToken](),
		Describe[runtime.Version](),
		Describe[runtime.WatchdogTimerConfig](),
		Describe[runtime.WatchdogTimerStatus](),
	}
}

func secretsTypes() []Description {
	return []Description{
		Describe[secrets.API](),
		Describe[secrets.CertSAN](),
		Describe[secrets.EncryptionSalt](),
		Describe[secrets.Etcd](),
		Describe[secrets.EtcdRoot](),
		Describe[secrets.Kubelet](),
		Describe[secrets.Kubernetes](),
		Describe[secrets.KubernetesDynamicCerts](),
		Describe[secrets.KubernetesRoot](),
		Describe[secrets.MaintenanceRoot](),
		Describe[secrets.OSRoot](),
		Describe[secrets.Trustd](),
	}
}

func securityTypes() []Description {
	return []Description{
		Describe[security.ImageVerificationRule](),
		Describe[security.TUFTrustedRoot](),
	}
}

func siderolinkTypes() []Description {
	return []Description{
		Describe[siderolink.Config](),
		Describe[siderolink.Status](),
		Describe[siderolink.Tunnel](),
	}
}

func storageTypes() []Description {
	return []Description{
		Describe[storage.LVMLogicalVolumeSpec](),
		Describe[storage.LVMLogicalVolumeStatus](),
		Describe[storage.LVMPhysicalVolumeSpec](),
		Describe[storage.LVMPhysicalVolumeStatus](),
		Describe[storage.LVMRefreshRequest](),
		Describe[storage.LVMValidationError](),
		Describe[storage.LVMVolumeGroupSpec](),
		Describe[storage.LVMVolumeGroupStatus](),
		Describe[storage.MDArraySpec](),
		Describe[storage.MDArrayStatus](),
		Describe[storage.MDRefreshRequest](),
	}
}

func v1alpha1Types() []Description {
	return []Description{
		Describe[v1alpha1.AcquireConfigSpec](),
		Describe[v1alpha1.AcquireConfigStatus](),
		Describe[v1alpha1.Service](),
	}
}
