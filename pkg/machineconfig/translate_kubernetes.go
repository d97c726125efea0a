package machineconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Labels and taints of control plane nodes.
const (
	labelControlPlane   = "node-role.kubernetes.io/control-plane"
	labelNoLoadBalancer = "node.kubernetes.io/exclude-from-external-load-balancers"
	effectNoSchedule    = "NoSchedule"
)

// node is the kubelet and the Node object.
func (t *translator) node() {
	m := t.machine
	kubelet := value(m.Kubelet)

	if m.Kubelet != nil || t.cluster.ControlPlane != nil {
		t.add(&document.KubeletConfig{
			Image:                               or(kubelet.Image, KubeletImage(DefaultKubernetesVersion)),
			Config:                              kubelet.ExtraConfig,
			ExtraArgs:                           kubelet.ExtraArgs,
			ClusterDNS:                          kubelet.ClusterDNS,
			DefaultRuntimeSeccompProfileEnabled: kubelet.DefaultRuntimeSeccompProfileEnabled,
		})
	}

	if kubelet.CredentialProviderConfig != nil {
		t.add(&document.KubeCredentialProviderConfig{Configuration: kubelet.CredentialProviderConfig})
	}

	node := &document.KubeNodeConfig{
		SkipNodeRegistration: kubelet.SkipNodeRegistration,
		RegisterWithFQDN:     kubelet.RegisterWithFQDN,
		NodeIP:               value(kubelet.NodeIP),
		Labels:               m.NodeLabels,
		Annotations:          m.NodeAnnotations,
		Taints:               m.NodeTaints,
	}

	if t.controlPlane() && t.cluster.ControlPlane != nil {
		node.Labels = with(node.Labels, labelControlPlane, "")

		if !value(t.cluster.AllowSchedulingOnControlPlanes) && !value(t.cluster.AllowSchedulingOnMasters) {
			node.Taints = with(node.Taints, labelControlPlane, effectNoSchedule)
		}
	}

	if m.Kubelet != nil || t.cluster.ControlPlane != nil || len(m.NodeLabels)+len(m.NodeAnnotations)+len(m.NodeTaints) > 0 {
		t.add(node)
	}

	for i, pod := range m.Pods {
		metadata, _ := pod["metadata"].(map[string]any)
		name, _ := metadata["name"].(string)

		if name == "" {
			t.fault(fmt.Sprintf("machine.pods[%d].metadata.name", i), "found nothing, expected the name of the pod")

			continue
		}

		if namespace, ok := metadata["namespace"].(string); ok {
			name = namespace + "-" + name
		}

		t.add(&document.KubeStaticPodConfig{Name: name, Pod: pod})
	}
}

// with is a map with one more entry.
func with(m map[string]string, key, value string) map[string]string {
	clone := maps.Clone(m)
	if clone == nil {
		clone = make(map[string]string, 1)
	}

	clone[key] = value

	return clone
}

// kubernetes is the cluster.
func (t *translator) kubernetes() {
	c := t.cluster
	network := value(c.Network)

	t.add(&document.KubeClusterConfig{ClusterName: c.ClusterName, Endpoint: c.ControlPlane.Endpoint})

	if len(network.PodSubnets) == 0 {
		network.PodSubnets = []string{DefaultPodSubnet}
	}

	if len(network.ServiceSubnets) == 0 {
		network.ServiceSubnets = []string{DefaultServiceSubnet}
	}

	t.add(&document.KubeNetworkConfig{
		DNSDomain:      network.DNSDomain,
		PodSubnets:     t.prefixes("cluster.network.podSubnets", network.PodSubnets),
		ServiceSubnets: t.prefixes("cluster.network.serviceSubnets", network.ServiceSubnets),
	})

	t.authorities()

	if t.controlPlane() {
		t.controlPlanePods()
		t.apiServerPolicies()
		t.addons()
	}
}

// authorities are the CA of Kubernetes and, on control plane nodes, its keys.
func (t *translator) authorities() {
	c := t.cluster
	ca := value(c.CA)
	doc := new(document.KubeAPIServerCAConfig)

	if len(ca.Key) > 0 {
		doc.IssuingCA = &document.CertificateAndKey{Cert: string(ca.Cert), Key: string(ca.Key)}
	} else if len(ca.Cert) > 0 {
		doc.AcceptedCAs = []string{string(ca.Cert)}
	}

	for _, accepted := range c.AcceptedCAs {
		doc.AcceptedCAs = append(doc.AcceptedCAs, string(accepted.Cert))
	}

	t.add(doc)

	if !t.controlPlane() {
		return
	}

	if aggregator := value(c.AggregatorCA); len(aggregator.Cert) > 0 {
		t.add(&document.KubeAggregatorCAConfig{
			IssuingCA: &document.CertificateAndKey{Cert: string(aggregator.Cert), Key: string(aggregator.Key)},
		})
	}

	if account := c.ServiceAccount; account != nil {
		t.add(&document.KubeServiceAccountConfig{Issuer: document.ServiceAccountIssuer{
			PrivateKey: string(account.Key), IssuerURL: c.ControlPlane.Endpoint,
		}})
	}

	if config := EtcdEncryption(c.SecretboxEncryptionSecret, c.AESCBCEncryptionSecret); config != nil {
		t.add(&document.KubeEtcdEncryptionConfig{Config: config})
	}
}

// EtcdEncryption is an encryption configuration for secrets in etcd, with
// base64 keys of 32 bytes. New values are encrypted with the first that is
// given; without any, the configuration is nil.
func EtcdEncryption(secretbox, aescbc string) document.Free {
	var providers []any

	for _, provider := range []struct{ name, key, secret string }{
		{"secretbox", "key2", secretbox},
		{"aescbc", "key1", aescbc},
	} {
		if provider.secret != "" {
			providers = append(providers, map[string]any{
				provider.name: map[string]any{"keys": []any{map[string]any{"name": provider.key, "secret": provider.secret}}},
			})
		}
	}

	if len(providers) == 0 {
		return nil
	}

	return document.Free{"resources": []any{
		map[string]any{"providers": providers, "resources": []any{"secrets"}},
	}}
}

func (t *translator) controlPlanePods() {
	server := value(t.cluster.APIServer)
	t.add(&document.KubeAPIServerConfig{
		Image:         or(server.Image, APIServerImage(DefaultKubernetesVersion)),
		ExtraArgs:     server.ExtraArgs,
		Env:           server.Env,
		Resources:     server.Resources,
		APIPort:       t.cluster.ControlPlane.LocalAPIServerPort,
		CertExtraSANs: server.CertSANs,
	})

	switches := value(t.machine.ControlPlane)

	manager := value(t.cluster.ControllerManager)
	t.add(&document.KubeControllerManagerConfig{
		Enabled:   not(value(switches.ControllerManager).Disabled),
		Image:     or(manager.Image, ControllerManagerImage(DefaultKubernetesVersion)),
		ExtraArgs: manager.ExtraArgs, Env: manager.Env, Resources: manager.Resources,
	})

	scheduler := value(t.cluster.Scheduler)
	t.add(&document.KubeSchedulerConfig{
		Enabled:   not(value(switches.Scheduler).Disabled),
		Image:     or(scheduler.Image, SchedulerImage(DefaultKubernetesVersion)),
		ExtraArgs: scheduler.ExtraArgs, Env: scheduler.Env, Resources: scheduler.Resources, Config: scheduler.Config,
	})
}

// not turns a switch that turns off into one that turns on.
func not(b *bool) *bool {
	if b == nil {
		return nil
	}

	on := !*b

	return &on
}

// apiServerPolicies are admission, audit and authorization.
func (t *translator) apiServerPolicies() {
	server := value(t.cluster.APIServer)

	for _, plugin := range server.AdmissionControl {
		t.add(&document.KubeAdmissionControlConfig{Name: plugin.Name, Configuration: plugin.Configuration})
	}

	policy := server.AuditPolicy
	if len(policy) == 0 {
		policy = DefaultAuditPolicy()
	}

	t.add(&document.KubeAuditPolicyConfig{Configuration: policy})

	authorizers := server.AuthorizationConfig

	for _, required := range []string{"RBAC", "Node"} {
		if !slices.ContainsFunc(authorizers, func(a document.Authorizer) bool { return a.Type == required }) {
			authorizers = append([]document.Authorizer{{Type: required}}, authorizers...)
		}
	}

	for _, a := range authorizers {
		t.add(&document.KubeAuthorizerConfig{Name: or(a.Name, strings.ToLower(a.Type)), Type: a.Type, Webhook: a.Webhook})
	}
}

// DefaultAuditPolicy logs the metadata of all requests.
func DefaultAuditPolicy() document.Free {
	return document.Free{
		"apiVersion": "audit.k8s.io/v1",
		"kind":       "Policy",
		"rules":      []any{map[string]any{"level": "Metadata"}},
	}
}

// addons are what runs in the cluster.
func (t *translator) addons() {
	proxy := value(t.cluster.Proxy)
	t.add(&document.KubeProxyConfig{
		Enabled: not(proxy.Disabled), Image: or(proxy.Image, ProxyImage(DefaultKubernetesVersion)),
		Mode: proxy.Mode, ExtraArgs: proxy.ExtraArgs,
	})

	dns := value(t.cluster.CoreDNS)
	t.add(&document.KubeCoreDNSConfig{Enabled: not(dns.Disabled), Image: dns.Image})

	cni := value(value(t.cluster.Network).CNI)
	urls := t.cluster.ExtraManifests

	switch cni.Name {
	case "", "flannel":
		flannel := value(cni.Flannel)
		t.add(&document.KubeFlannelCNIConfig{
			BackendType: defaultFlannelBackend, BackendPort: defaultFlannelPort,
			ExtraArgs: flannel.ExtraArgs, KubeNetworkPoliciesEnabled: flannel.KubeNetworkPoliciesEnabled,
		})
	case "custom":
		urls = append(slices.Clone(cni.URLs), urls...)
	}

	for i, url := range urls {
		t.add(&document.KubeExternalManifestConfig{
			Name: url, URL: t.url(fmt.Sprintf("cluster.extraManifests[%d]", i), url), Headers: t.cluster.ExtraManifestHeaders,
		})
	}

	for _, manifest := range t.cluster.InlineManifests {
		t.add(&document.KubeInlineManifestConfig{Name: manifest.Name, Manifest: manifest.Contents})
	}
}
