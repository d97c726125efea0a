package machineconfig

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// trimInterval is how often file systems discard unused blocks.
const trimInterval = 7 * 24 * time.Hour

// documents are the documents of a machine in the order in which they stand.
func (g *generator) documents(machineType string) ([]any, error) {
	docs := g.systemDocuments(machineType)

	network, err := g.networkDocument()
	if err != nil {
		return nil, err
	}

	node := &document.KubeNodeConfig{}
	ca := &document.KubeAPIServerCAConfig{AcceptedCAs: []string{string(g.Secrets.Certs.K8s.Cert)}}

	if machineType == document.ControlPlane {
		node.Labels = map[string]string{labelControlPlane: "", labelNoLoadBalancer: ""}
		node.Taints = map[string]string{labelControlPlane: effectNoSchedule}
		ca = &document.KubeAPIServerCAConfig{IssuingCA: plain(g.Secrets.Certs.K8s)}
	}

	docs = append(docs,
		&document.KubeClusterConfig{ClusterName: g.ClusterName, Endpoint: g.endpoint},
		node,
		&document.KubeletConfig{Image: KubeletImage(g.KubernetesVersion), DefaultRuntimeSeccompProfileEnabled: ptr(true)},
		network,
		ca,
		&document.KubePrismConfig{Port: defaultKubePrismPort},
	)

	if machineType == document.ControlPlane {
		docs = append(docs, g.controlPlaneDocuments()...)
	}

	return docs, nil
}

func (g *generator) systemDocuments(machineType string) []any {
	bundle := g.Secrets
	v1 := &document.V1Alpha1{
		Version: document.Version,
		Debug:   ptr(false),
		Persist: ptr(true),
		Machine: &document.Machine{
			Type:     machineType,
			Token:    bundle.TrustdInfo.Token,
			CA:       authority(bundle.Certs.OS, machineType),
			CertSANs: g.AdditionalSANs,
			Features: &document.Features{DiskQuotaSupport: ptr(true)},
		},
		Cluster: &document.Cluster{Token: bundle.Secrets.BootstrapToken},
	}

	if machineType == document.ControlPlane {
		v1.Cluster.Etcd = &document.Etcd{CA: authority(bundle.Certs.Etcd, machineType)}
	}

	docs := []any{v1}

	if !g.NoDiscovery {
		endpoint, _ := document.ParseURL(defaultDiscoveryService) // a constant
		docs = append(docs, &document.DiscoveryServiceConfig{Name: "default", Endpoint: endpoint})
	}

	docs = append(docs, &document.DiscoveryIdentityConfig{ClusterID: bundle.Cluster.ID, ClusterSecret: bundle.Cluster.Secret})

	if g.InstallDisk != "" {
		docs = append(docs, &document.UnattendedInstallConfig{
			Installer: document.Installer{Image: g.InstallImage},
			Provisioning: document.InstallProvisioning{
				DiskSelector: document.Match{Match: DiskAt(g.InstallDisk)}, Wipe: ptr(false),
			},
		})
	}

	docs = append(docs,
		&document.ResolverConfig{HostDNS: &document.HostDNS{Enabled: ptr(true), ForwardKubeDNSToHost: ptr(true)}},
		&document.VolumeConfig{Name: "EPHEMERAL", Mount: &document.SystemMount{Secure: ptr(true)}},
		&document.FilesystemTrimConfig{Interval: trimInterval},
		&document.SecurityProfileConfig{WorkloadIsolation: ptr(true)},
		&document.HostnameConfig{Auto: "stable"},
	)

	if g.KubeSpan {
		docs = append(docs, &document.KubeSpanConfig{Enabled: ptr(true)})
	}

	for _, mirror := range g.mirrors() {
		docs = append(docs, mirror)
	}

	return docs
}

// mirrors are the mirrors by registry host; several of one host are one
// document.
func (g *generator) mirrors() []*document.RegistryMirrorConfig {
	var docs []*document.RegistryMirrorConfig

	byHost := make(map[string]*document.RegistryMirrorConfig)

	for _, mirror := range g.RegistryMirrors {
		doc := byHost[mirror.Host]
		if doc == nil {
			doc = &document.RegistryMirrorConfig{Name: mirror.Host}
			byHost[mirror.Host] = doc
			docs = append(docs, doc)
		}

		endpoint, _ := document.ParseURL(mirror.Endpoint) // a fault is found when the configuration is loaded
		doc.Endpoints = append(doc.Endpoints, document.RegistryEndpoint{URL: endpoint})
	}

	return docs
}

func (g *generator) networkDocument() (*document.KubeNetworkConfig, error) {
	doc := &document.KubeNetworkConfig{DNSDomain: g.DNSDomain}

	for _, subnets := range []struct {
		texts []string
		into  *[]netip.Prefix
	}{
		{g.PodSubnets, &doc.PodSubnets},
		{g.ServiceSubnets, &doc.ServiceSubnets},
	} {
		for _, text := range subnets.texts {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("subnet %q: expected a network such as 10.244.0.0/16", text)
			}

			*subnets.into = append(*subnets.into, prefix)
		}
	}

	return doc, nil
}

func (g *generator) controlPlaneDocuments() []any {
	return []any{
		&document.KubeAggregatorCAConfig{IssuingCA: plain(g.Secrets.Certs.K8sAggregator)},
		&document.KubeAdmissionControlConfig{Name: "PodSecurity", Configuration: podSecurity()},
		&document.KubeAuditPolicyConfig{Configuration: DefaultAuditPolicy()},
		&document.KubeAuthenticationConfig{Configuration: anonymousProbes()},
		&document.KubeAuthorizerConfig{Name: "node", Type: "Node"},
		&document.KubeAuthorizerConfig{Name: "rbac", Type: "RBAC"},
		&document.KubeEtcdEncryptionConfig{
			Config: EtcdEncryption(g.Secrets.Secrets.SecretboxEncryptionSecret, g.Secrets.Secrets.AESCBCEncryptionSecret),
		},
		&document.KubeServiceAccountConfig{Issuer: document.ServiceAccountIssuer{
			PrivateKey: string(g.Secrets.Certs.K8sServiceAccount.Key), IssuerURL: g.endpoint,
		}},
		&document.KubeAPIServerConfig{Image: APIServerImage(g.KubernetesVersion), CertExtraSANs: g.AdditionalSANs},
		&document.KubeControllerManagerConfig{Image: ControllerManagerImage(g.KubernetesVersion)},
		&document.KubeSchedulerConfig{Image: SchedulerImage(g.KubernetesVersion)},
		&document.KubeProxyConfig{Image: ProxyImage(g.KubernetesVersion)},
		&document.KubeFlannelCNIConfig{BackendType: defaultFlannelBackend, BackendPort: defaultFlannelPort},
		&document.KubeCoreDNSConfig{Enabled: ptr(true)},
	}
}

// plain is a certificate and key as plain text.
func plain(pair secrets.KeyPair) *document.CertificateAndKey {
	return &document.CertificateAndKey{Cert: string(pair.Cert), Key: string(pair.Key)}
}

// podSecurity is the admission of pods: baseline is enforced.
func podSecurity() document.Free {
	return document.Free{
		"apiVersion": "pod-security.admission.config.k8s.io/v1alpha1",
		"kind":       "PodSecurityConfiguration",
		"defaults": map[string]any{
			"audit": "restricted", "audit-version": "latest",
			"enforce": "baseline", "enforce-version": "latest",
			"warn": "restricted", "warn-version": "latest",
		},
		"exemptions": map[string]any{
			"namespaces": []any{"kube-system"}, "runtimeClasses": []any{}, "usernames": []any{},
		},
	}
}

// anonymousProbes lets nobody in but the probes of the API server's health.
func anonymousProbes() document.Free {
	return document.Free{
		"anonymous": map[string]any{
			"enabled": true,
			"conditions": []any{
				map[string]any{"path": "/livez"}, map[string]any{"path": "/readyz"}, map[string]any{"path": "/healthz"},
			},
		},
		"jwt": []any{},
	}
}
