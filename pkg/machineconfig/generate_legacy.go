package machineconfig

import (
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// legacyDocument is the whole configuration of a machine as one document.
func (g *generator) legacyDocument(machineType string) *document.V1Alpha1 {
	bundle := g.Secrets
	machine := &document.Machine{
		Type:     machineType,
		Token:    bundle.TrustdInfo.Token,
		CA:       authority(bundle.Certs.OS, machineType),
		CertSANs: g.AdditionalSANs,
		Kubelet: &document.Kubelet{
			Image:                               KubeletImage(g.KubernetesVersion),
			DefaultRuntimeSeccompProfileEnabled: ptr(true),
			DisableManifestsDirectory:           ptr(true),
		},
		Network: &document.Network{},
		Features: &document.Features{
			RBAC:                 ptr(true),
			StableHostname:       ptr(true),
			APIDCheckExtKeyUsage: ptr(true),
			DiskQuotaSupport:     ptr(true),
			KubePrism:            &document.FeatureKubePrism{Enabled: ptr(true), Port: defaultKubePrismPort},
			HostDNS:              &document.HostDNS{Enabled: ptr(true), ForwardKubeDNSToHost: ptr(true)},
		},
	}

	if g.KubeSpan {
		machine.Network.KubeSpan = &document.KubeSpan{Enabled: ptr(true)}
	}

	if g.InstallDisk != "" {
		machine.Install = &document.Install{Disk: g.InstallDisk, Image: g.InstallImage, Wipe: ptr(false)}
	}

	if machineType == document.ControlPlane {
		machine.NodeLabels = map[string]string{labelNoLoadBalancer: ""}
	}

	for _, mirror := range g.RegistryMirrors {
		if machine.Registries == nil {
			machine.Registries = &document.Registries{Mirrors: make(map[string]document.RegistryMirror)}
		}

		entry := machine.Registries.Mirrors[mirror.Host]
		entry.Endpoints = append(entry.Endpoints, mirror.Endpoint)
		machine.Registries.Mirrors[mirror.Host] = entry
	}

	return &document.V1Alpha1{
		Version: document.Version, Debug: ptr(false), Persist: ptr(true),
		Machine: machine, Cluster: g.legacyCluster(machineType),
	}
}

func (g *generator) legacyCluster(machineType string) *document.Cluster {
	bundle := g.Secrets
	cluster := &document.Cluster{
		ID:           bundle.Cluster.ID,
		Secret:       bundle.Cluster.Secret,
		ControlPlane: &document.ClusterControlPlane{Endpoint: g.endpoint},
		ClusterName:  g.ClusterName,
		Network:      &document.ClusterNetwork{DNSDomain: g.DNSDomain, PodSubnets: g.PodSubnets, ServiceSubnets: g.ServiceSubnets},
		Token:        bundle.Secrets.BootstrapToken,
		CA:           authority(bundle.Certs.K8s, machineType),
		Discovery: &document.Discovery{
			Enabled: ptr(!g.NoDiscovery),
			Registries: &document.DiscoveryRegistries{
				Kubernetes: &document.DiscoveryKubernetes{Disabled: ptr(true)},
				Service:    &document.DiscoveryService{},
			},
		},
	}

	if machineType != document.ControlPlane {
		return cluster
	}

	cluster.SecretboxEncryptionSecret = bundle.Secrets.SecretboxEncryptionSecret
	cluster.AESCBCEncryptionSecret = bundle.Secrets.AESCBCEncryptionSecret
	cluster.AggregatorCA = authority(bundle.Certs.K8sAggregator, machineType)
	cluster.ServiceAccount = &document.PrivateKey{Key: bundle.Certs.K8sServiceAccount.Key}
	cluster.APIServer = &document.APIServer{
		Image:                    APIServerImage(g.KubernetesVersion),
		CertSANs:                 append([]string{g.endpoint.Hostname()}, g.AdditionalSANs...),
		DisablePodSecurityPolicy: ptr(true),
		AdmissionControl:         []document.AdmissionControl{{Name: "PodSecurity", Configuration: podSecurity()}},
		AuditPolicy:              DefaultAuditPolicy(),
	}
	cluster.ControllerManager = &document.ControllerManager{Image: ControllerManagerImage(g.KubernetesVersion)}
	cluster.Proxy = &document.Proxy{Image: ProxyImage(g.KubernetesVersion)}
	cluster.Scheduler = &document.Scheduler{Image: SchedulerImage(g.KubernetesVersion)}
	cluster.Etcd = &document.Etcd{CA: authority(bundle.Certs.Etcd, machineType)}

	return cluster
}
