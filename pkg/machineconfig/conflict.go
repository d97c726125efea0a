package machineconfig

import (
	"fmt"
	"slices"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/machineconfig/internal/typed"
)

// replaced are the older parts that a document of a kind takes the place of. A
// configuration may not have both: what it says would depend on which one a
// reader has seen.
func replaced(kind string) []string {
	switch kind {
	case "KubeletConfig":
		return []string{"machine.kubelet"}
	case "KubeNodeConfig":
		return []string{
			"machine.nodeLabels", "machine.nodeAnnotations", "machine.nodeTaints",
			"cluster.allowSchedulingOnControlPlanes", "cluster.allowSchedulingOnMasters",
		}
	case "HostnameConfig":
		return []string{"machine.network.hostname"}
	case "ResolverConfig":
		return []string{"machine.network.nameservers", "machine.network.searchDomains", "machine.network.disableSearchDomain"}
	case "KubeSpanConfig":
		return []string{"machine.network.kubespan"}
	case "TimeSyncConfig":
		return []string{"machine.time"}
	case "EnvironmentConfig":
		return []string{"machine.env"}
	case "SysctlConfig":
		return []string{"machine.sysctls"}
	case "SysfsConfig":
		return []string{"machine.sysfs"}
	case "UdevRulesConfig":
		return []string{"machine.udev"}
	case "UnattendedInstallConfig":
		return []string{"machine.install"}
	case "CRIBaseRuntimeSpecConfig":
		return []string{"machine.baseRuntimeSpecOverrides"}
	case "KubeTalosAPIAccessConfig":
		return []string{"machine.features.kubernetesTalosAPIAccess"}
	default:
		return replacedOfCluster(kind)
	}
}

func replacedOfCluster(kind string) []string {
	switch kind {
	case "DiscoveryIdentityConfig":
		return []string{"cluster.id", "cluster.secret"}
	case "KubeClusterConfig":
		return []string{"cluster.clusterName", "cluster.controlPlane"}
	case "KubeNetworkConfig":
		return []string{"cluster.network.podSubnets", "cluster.network.serviceSubnets", "cluster.network.dnsDomain"}
	case "KubeFlannelCNIConfig":
		return []string{"cluster.network.cni"}
	case "KubeAPIServerCAConfig":
		return []string{"cluster.ca", "cluster.acceptedCAs"}
	case "KubeAggregatorCAConfig":
		return []string{"cluster.aggregatorCA"}
	case "KubeServiceAccountConfig":
		return []string{"cluster.serviceAccount"}
	case "KubeEtcdEncryptionConfig":
		return []string{"cluster.secretboxEncryptionSecret", "cluster.aescbcEncryptionSecret"}
	case "KubeAPIServerConfig":
		return []string{"cluster.apiServer.image", "cluster.apiServer.extraArgs", "cluster.apiServer.env", "cluster.apiServer.certSANs"}
	case "KubeAuditPolicyConfig":
		return []string{"cluster.apiServer.auditPolicy"}
	case "KubeControllerManagerConfig":
		return []string{"cluster.controllerManager", "machine.controlPlane.controllerManager"}
	case "KubeSchedulerConfig":
		return []string{"cluster.scheduler", "machine.controlPlane.scheduler"}
	case "KubeProxyConfig":
		return []string{"cluster.proxy"}
	case "KubeCoreDNSConfig":
		return []string{"cluster.coreDNS"}
	default:
		return nil
	}
}

// conflicts are older parts that stand beside the documents that have replaced
// them. Paths are those of v1.
func (c *Config) conflicts(v1 Document) Errors {
	var errs Errors

	for _, doc := range c.docs {
		for _, path := range replaced(doc.Kind) {
			if typed.Has(v1.root, path) {
				errs = append(errs, &Error{Path: path, Message: fmt.Sprintf("found it beside the document %s, expected one of them", doc.Kind)})
			}
		}
	}

	return errs
}

// overridden are warnings about documents in the place of what would follow
// from older parts.
func (c *Config) overridden(v1 *document.V1Alpha1) []string {
	var warnings []string

	all, _ := translate(v1, nil) // faults were found on load

	for _, doc := range all {
		kind, name := document.KindOf(doc), document.NameOf(doc)

		i := slices.IndexFunc(c.docs, func(d Document) bool { return d.Kind == kind && d.Name == name })
		if i >= 0 {
			warnings = append(warnings, "the document "+c.docs[i].title()+" takes the place of what the v1alpha1 document says about the same")
		}
	}

	return warnings
}
