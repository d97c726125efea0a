package manifest

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/basalt-os/basalt/internal/resources/k8s"
)

const corefile = `.:53 {
    errors
    health {
        lameduck 5s
    }
    ready
    log . {
        class error
    }
    prometheus :9153

    kubernetes %s in-addr.arpa ip6.arpa {
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 30
    }
    forward . /etc/resolv.conf {
        max_concurrent 1000
    }
    cache 30 {
        disable success %[1]s
        disable denial %[1]s
    }
    loop
    reload
    loadbalance
}
`

// coreDNS is the cluster's DNS server: two replicas, apart where possible.
func coreDNS(p Parameters) ([]runtime.Object, error) {
	role := clusterRole("system:coredns",
		rule("", []string{"endpoints", "services", "pods", "namespaces"}, "list", "watch"),
		rule("", []string{"nodes"}, "get"),
		rule("discovery.k8s.io", []string{"endpointslices"}, "list", "watch"),
	)

	return []runtime.Object{
		serviceAccount("coredns"),
		clusterRoleBinding("system:coredns", "system:coredns", accountSubject("coredns")),
		role,
		&corev1.ConfigMap{
			TypeMeta:   kind("", "v1", "ConfigMap"),
			ObjectMeta: inSystem("coredns", nil),
			Data:       map[string]string{"Corefile": fmt.Sprintf(corefile, p.Config.ClusterDomain)},
		},
		coreDNSDeployment(p.Config.CoreDNSImage),
	}, nil
}

func coreDNSDeployment(image string) *appsv1.Deployment {
	labels := map[string]string{"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"k8s-app": "kube-dns"}}

	return &appsv1.Deployment{
		TypeMeta:   kind("apps", "v1", "Deployment"),
		ObjectMeta: inSystem("coredns", labels),
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)),
			Selector: selector,
			Strategy: appsv1.DeploymentStrategy{
				Type:          appsv1.RollingUpdateDeploymentStrategyType,
				RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: new(intstr.FromInt32(1))},
			},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"k8s-app": "kube-dns"}},
				Spec: corev1.PodSpec{
					PriorityClassName:  "system-cluster-critical",
					ServiceAccountName: "coredns",
					// The node's resolver, not the cluster's, which is this pod.
					DNSPolicy: corev1.DNSDefault,
					Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
						PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
							Weight:          100,
							PodAffinityTerm: corev1.PodAffinityTerm{LabelSelector: selector, TopologyKey: corev1.LabelHostname},
						}},
					}},
					Tolerations: []corev1.Toleration{
						{Key: "node-role.kubernetes.io/control-plane", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
						{Key: "node.cloudprovider.kubernetes.io/uninitialized", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
					},
					Containers: []corev1.Container{coreDNSContainer(image)},
					Volumes:    []corev1.Volume{configMapVolume("config-volume", "coredns")},
				},
			},
		},
	}
}

func coreDNSContainer(image string) corev1.Container {
	probe := func(path string, port int32) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromInt32(port)}}
	}

	port := func(name string, number int32, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{Name: name, ContainerPort: number, Protocol: protocol}
	}

	return corev1.Container{
		Name:  "coredns",
		Image: image,
		Args:  []string{"-conf", "/etc/coredns/Corefile"},
		Ports: []corev1.ContainerPort{
			port("dns", 53, corev1.ProtocolUDP), port("dns-tcp", 53, corev1.ProtocolTCP), port("metrics", 9153, corev1.ProtocolTCP),
		},
		Resources: corev1.ResourceRequirements{
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("170Mi")},
			Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("70Mi")},
		},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(false),
			ReadOnlyRootFilesystem:   new(true),
			Capabilities:             &corev1.Capabilities{Add: []corev1.Capability{"NET_BIND_SERVICE"}, Drop: []corev1.Capability{"ALL"}},
		},
		LivenessProbe: &corev1.Probe{
			ProbeHandler: probe("/health", 8080), InitialDelaySeconds: 60, TimeoutSeconds: 5, FailureThreshold: 5,
		},
		// Asked often, because cluster DNS is what most workloads wait for.
		ReadinessProbe: &corev1.Probe{ProbeHandler: probe("/ready", 8181), PeriodSeconds: 2},
		VolumeMounts:   []corev1.VolumeMount{{Name: "config-volume", MountPath: "/etc/coredns", ReadOnly: true}},
	}
}

// coreDNSService has the fixed address that every kubelet gives to its pods.
func coreDNSService(p Parameters) ([]runtime.Object, error) {
	var (
		addresses []string
		families  []corev1.IPFamily
	)

	if p.Config.DNSServiceIP != "" {
		addresses, families = append(addresses, p.Config.DNSServiceIP), append(families, corev1.IPv4Protocol)
	}

	if p.Config.DNSServiceIPv6 != "" {
		addresses, families = append(addresses, p.Config.DNSServiceIPv6), append(families, corev1.IPv6Protocol)
	}

	if len(addresses) == 0 {
		return nil, fmt.Errorf("no address for the DNS service in the service subnets")
	}

	policy := corev1.IPFamilyPolicySingleStack
	if len(families) > 1 {
		policy = corev1.IPFamilyPolicyRequireDualStack
	}

	port := func(name string, number int32, protocol corev1.Protocol) corev1.ServicePort {
		return corev1.ServicePort{Name: name, Port: number, Protocol: protocol, TargetPort: intstr.FromInt32(number)}
	}

	meta := inSystem("kube-dns", map[string]string{
		"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS",
	})
	meta.Annotations = map[string]string{"prometheus.io/port": "9153", "prometheus.io/scrape": "true"}

	return []runtime.Object{&corev1.Service{
		TypeMeta:   kind("", "v1", "Service"),
		ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			Selector:       map[string]string{"k8s-app": "kube-dns"},
			ClusterIP:      addresses[0],
			ClusterIPs:     addresses,
			IPFamilies:     families,
			IPFamilyPolicy: &policy,
			Ports: []corev1.ServicePort{
				port("dns", 53, corev1.ProtocolUDP), port("dns-tcp", 53, corev1.ProtocolTCP), port("metrics", 9153, corev1.ProtocolTCP),
			},
		},
	}}, nil
}

// requirements are the configured resources over the given default requests.
// Quantities are validated with the configuration; one that does not parse is
// left out.
func requirements(r k8s.Resources, defaults corev1.ResourceList) corev1.ResourceRequirements {
	list := func(values map[string]string, base corev1.ResourceList) corev1.ResourceList {
		for name, value := range values {
			if quantity, err := resource.ParseQuantity(value); err == nil {
				base[corev1.ResourceName(name)] = quantity
			}
		}

		if len(base) == 0 {
			return nil
		}

		return base
	}

	return corev1.ResourceRequirements{Requests: list(r.Requests, defaults), Limits: list(r.Limits, corev1.ResourceList{})}
}
