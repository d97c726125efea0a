package machineconfig

import "strings"

// DefaultKubernetesVersion is the version of Kubernetes that a generated
// configuration has.
const DefaultKubernetesVersion = "1.36.3"

// Images with versions of their own.
const (
	EtcdImage    = "registry.k8s.io/etcd:v3.7.3"
	CoreDNSImage = "registry.k8s.io/coredns/coredns:v1.14.7"
)

// KubeletImage is the kubelet of a version of Kubernetes.
func KubeletImage(version string) string { return tag("ghcr.io/siderolabs/kubelet", version) }

// APIServerImage is the API server of a version of Kubernetes.
func APIServerImage(version string) string { return tag("registry.k8s.io/kube-apiserver", version) }

// ControllerManagerImage is the controller manager of a version of Kubernetes.
func ControllerManagerImage(version string) string {
	return tag("registry.k8s.io/kube-controller-manager", version)
}

// SchedulerImage is the scheduler of a version of Kubernetes.
func SchedulerImage(version string) string { return tag("registry.k8s.io/kube-scheduler", version) }

// ProxyImage is kube-proxy of a version of Kubernetes.
func ProxyImage(version string) string { return tag("registry.k8s.io/kube-proxy", version) }

// tag is an image at a version, which may begin with v.
func tag(image, version string) string { return image + ":v" + strings.TrimPrefix(version, "v") }
