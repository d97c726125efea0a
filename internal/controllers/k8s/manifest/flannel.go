package manifest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// flannel is the default pod network. The program writes the node's CNI
// configuration itself, from the pod CIDR that the node was given.
func flannel(p Parameters) ([]runtime.Object, error) {
	network, err := flannelNetwork(p.Config)
	if err != nil {
		return nil, err
	}

	labels := map[string]string{"tier": "node", "k8s-app": "flannel"}

	env := []corev1.EnvVar{
		fieldEnv("POD_NAME", "metadata.name"),
		fieldEnv("POD_NAMESPACE", "metadata.namespace"),
		fieldEnv("NODE_NAME", "spec.nodeName"),
		{Name: "EVENT_QUEUE_DEPTH", Value: "5000"},
		{Name: "CONT_WHEN_CACHE_NOT_READY", Value: "false"},
	}

	if p.Config.FlannelKubeServiceHost != "" {
		env = append(env,
			corev1.EnvVar{Name: "KUBERNETES_SERVICE_HOST", Value: p.Config.FlannelKubeServiceHost},
			corev1.EnvVar{Name: "KUBERNETES_SERVICE_PORT", Value: p.Config.FlannelKubeServicePort})
	}

	containers := []corev1.Container{{
		Name:    "kube-flannel",
		Image:   p.Config.FlannelImage,
		Command: []string{"/opt/bin/flanneld"},
		Args:    append([]string{"--ip-masq", "--kube-subnet-mgr"}, p.Config.FlannelExtraArgs...),
		Env:     env,
		Resources: requirements(p.Config.FlannelResources, corev1.ResourceList{
			corev1.ResourceCPU:    resource.MustParse("100m"),
			corev1.ResourceMemory: resource.MustParse("50Mi"),
		}),
		SecurityContext: &corev1.SecurityContext{
			Privileged:   new(false),
			Capabilities: &corev1.Capabilities{Add: []corev1.Capability{"NET_ADMIN", "NET_RAW"}},
		},
		VolumeMounts: []corev1.VolumeMount{
			{Name: "run", MountPath: "/run/flannel"},
			{Name: "cni", MountPath: "/etc/cni/net.d"},
			{Name: "flannel-cfg", MountPath: "/etc/kube-flannel", ReadOnly: true},
		},
	}}

	if p.Config.FlannelKubeNetworkPoliciesEnabled {
		containers = append(containers, networkPolicies(p.Config))
	}

	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			HostNetwork:        true,
			PriorityClassName:  "system-node-critical",
			ServiceAccountName: "flannel",
			Tolerations:        tolerateAll(),
			Containers:         containers,
			Volumes: []corev1.Volume{
				hostPathVolume("run", "/run/flannel", corev1.HostPathDirectoryOrCreate),
				hostPathVolume("cni", "/etc/cni/net.d", corev1.HostPathDirectoryOrCreate),
				configMapVolume("flannel-cfg", "kube-flannel-cfg"),
			},
		},
	}

	return []runtime.Object{
		flannelRole(p.Config.FlannelKubeNetworkPoliciesEnabled),
		clusterRoleBinding("flannel", "flannel", accountSubject("flannel")),
		serviceAccount("flannel"),
		&corev1.ConfigMap{
			TypeMeta:   kind("", "v1", "ConfigMap"),
			ObjectMeta: inSystem("kube-flannel-cfg", labels),
			Data:       map[string]string{"net-conf.json": network},
		},
		daemonSet("kube-flannel", labels, template),
	}, nil
}

func flannelRole(networkPolicies bool) runtime.Object {
	role := clusterRole("flannel",
		rule("", []string{"pods"}, "get"),
		rule("", []string{"nodes"}, "get", "list", "watch"),
		rule("", []string{"nodes/status"}, "patch"),
	)

	if networkPolicies {
		role.Rules = append(role.Rules,
			rule("", []string{"pods", "namespaces"}, "list", "watch"),
			rule("networking.k8s.io", []string{"networkpolicies"}, "list", "watch"),
			rule("policy.networking.k8s.io", []string{"adminnetworkpolicies", "baselineadminnetworkpolicies"}, "list", "watch"),
		)
	}

	return role
}

func networkPolicies(config k8s.BootstrapManifestsConfig) corev1.Container {
	return corev1.Container{
		Name:            "kube-network-policies",
		Image:           config.FlannelKubeNetworkPoliciesImage,
		Command:         []string{"/bin/netpol", "--v=2", "--hostname-override=$(NODE_NAME)"},
		Env:             []corev1.EnvVar{fieldEnv("NODE_NAME", "spec.nodeName")},
		SecurityContext: &corev1.SecurityContext{Privileged: new(true)},
		LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			HTTPGet: &corev1.HTTPGetAction{Path: "/healthz", Port: intstr.FromInt32(9080), Host: "127.0.0.1"},
		}},
	}
}

// flannelNetwork is the program's network configuration. Families are on when
// the cluster has a pod CIDR of them.
func flannelNetwork(config k8s.BootstrapManifestsConfig) (string, error) {
	backend := map[string]any{"Type": config.FlannelBackendType}
	maps.Copy(backend, config.FlannelBackendExtraConfig)

	if config.FlannelBackendPort != 0 {
		backend["Port"] = config.FlannelBackendPort
	}

	if config.FlannelBackendMTU != 0 {
		backend["MTU"] = config.FlannelBackendMTU
	}

	network := map[string]any{"Backend": backend, "EnableNFTables": true}
	hasIPv4 := false

	for _, cidr := range config.PodCIDRs {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return "", fmt.Errorf("parsing pod subnet %q: %w", cidr, err)
		}

		if prefix.Addr().Is4() {
			network["Network"], hasIPv4 = cidr, true
		} else {
			network["IPv6Network"], network["EnableIPv6"] = cidr, true
		}
	}

	if !hasIPv4 {
		network["EnableIPv4"] = false
	}

	text, err := json.MarshalIndent(network, "", "  ")
	if err != nil {
		return "", fmt.Errorf("rendering flannel configuration: %w", err)
	}

	return string(text), nil
}
