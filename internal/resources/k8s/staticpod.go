package k8s

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// StaticPod is a pod that the kubelet runs without an API server.
type StaticPod struct {
	Pod map[string]any `yaml:",inline" protobuf:"1"`
}

// Definition implements resource.Spec.
func (StaticPod) Definition() resource.Definition {
	return resource.Definition{
		Type:        "StaticPods.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "StaticPod",
	}
}

// StaticPodStatus is the status of a static pod as the kubelet reports it.
type StaticPodStatus struct {
	PodStatus map[string]any `yaml:",inline" protobuf:"1"`
}

// Definition implements resource.Spec.
func (StaticPodStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "StaticPodStatuses.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "StaticPodStatus",
		Aliases:     []string{"podstatus"},
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: `{.conditions[?(@.type=="Ready")].status}`},
		},
	}
}

// StaticPodServerStatus is where the kubelet fetches the static pods from.
type StaticPodServerStatus struct {
	URL string `yaml:"url" protobuf:"1"`
}

// Definition implements resource.Spec.
func (StaticPodServerStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "StaticPodServerStatuses.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "StaticPodServerStatus",
	}
}
