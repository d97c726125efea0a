package k8s

import (
	"net/netip"

	"github.com/basalt-os/basalt/internal/resource"
)

// Nodename is the name of this node in Kubernetes.
type Nodename struct {
	Nodename             string `yaml:"nodename" protobuf:"1"`
	HostnameVersion      string `yaml:"hostnameVersion" protobuf:"2"`
	SkipNodeRegistration bool   `yaml:"skipNodeRegistration" protobuf:"3"`
}

// Definition implements resource.Spec.
func (Nodename) Definition() resource.Definition {
	return resource.Definition{
		Type:        "Nodenames.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "Nodename",
		Columns: []resource.Column{
			{Name: "Nodename", JSONPath: "{.nodename}"},
		},
	}
}

// NodeIPConfig says which addresses may become addresses of the node.
type NodeIPConfig struct {
	ValidSubnets   []string `yaml:"validSubnets,omitempty" protobuf:"1"`
	ExcludeSubnets []string `yaml:"excludeSubnets" protobuf:"2"`
}

// Definition implements resource.Spec.
func (NodeIPConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeIPConfigs.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeIPConfig",
	}
}

// NodeIP is the addresses of the node.
type NodeIP struct {
	Addresses []netip.Addr `yaml:"addresses" protobuf:"1"`
}

// Definition implements resource.Spec.
func (NodeIP) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeIPs.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeIP",
	}
}

// NodeStatus is the node object as the API server shows it.
type NodeStatus struct {
	Nodename      string            `yaml:"nodename" protobuf:"1"`
	NodeReady     bool              `yaml:"nodeReady" protobuf:"2"`
	Unschedulable bool              `yaml:"unschedulable" protobuf:"3"`
	Labels        map[string]string `yaml:"labels" protobuf:"4"`
	Annotations   map[string]string `yaml:"annotations" protobuf:"5"`
	PodCIDRs      []netip.Prefix    `yaml:"podCIDRs" protobuf:"6"`
}

// Definition implements resource.Spec.
func (NodeStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeStatuses.kubernetes.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeStatus",
		Columns: []resource.Column{
			{Name: "Ready", JSONPath: "{.nodeReady}"},
			{Name: "Unschedulable", JSONPath: "{.unschedulable}"},
		},
	}
}

// NodeLabelSpec is a label that the node object should have.
type NodeLabelSpec struct {
	Key   string `yaml:"key" protobuf:"1"`
	Value string `yaml:"value" protobuf:"2"`
}

// Definition implements resource.Spec.
func (NodeLabelSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeLabelSpecs.k8s.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeLabelSpec",
		Columns: []resource.Column{
			{Name: "Value", JSONPath: "{.value}"},
		},
		Sensitive: true,
	}
}

// NodeAnnotationSpec is an annotation that the node object should have.
type NodeAnnotationSpec struct {
	Key   string `yaml:"key" protobuf:"1"`
	Value string `yaml:"value" protobuf:"2"`
}

// Definition implements resource.Spec.
func (NodeAnnotationSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeAnnotationSpecs.k8s.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeAnnotationSpec",
		Columns: []resource.Column{
			{Name: "Value", JSONPath: "{.value}"},
		},
		Sensitive: true,
	}
}

// NodeTaintSpec is a taint that the node object should have.
type NodeTaintSpec struct {
	Key    string `yaml:"key" protobuf:"1"`
	Effect string `yaml:"effect" protobuf:"2"`
	Value  string `yaml:"value" protobuf:"3"`
}

// Definition implements resource.Spec.
func (NodeTaintSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeTaintSpecs.k8s.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeTaintSpec",
		Columns: []resource.Column{
			{Name: "Effect", JSONPath: "{.effect}"},
			{Name: "Value", JSONPath: "{.value}"},
		},
		Sensitive: true,
	}
}

// NodeCordonedSpec asks for the node to be unschedulable.
type NodeCordonedSpec struct {
}

// Definition implements resource.Spec.
func (NodeCordonedSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NodeCordonedSpecs.k8s.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NodeCordonedSpec",
		Sensitive:   true,
	}
}
