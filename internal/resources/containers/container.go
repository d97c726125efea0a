package containers

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// ContainerSpec is a configured container: image, process, mounts and limits.
type ContainerSpec struct {
	Image       ContainerImageSpec     `yaml:"image" protobuf:"1"`
	Entrypoint  []string               `yaml:"entrypoint,omitempty" protobuf:"2"`
	Args        []string               `yaml:"args,omitempty" protobuf:"3"`
	WorkingDir  string                 `yaml:"workingDir,omitempty" protobuf:"4"`
	RunAs       ContainerRunAsSpec     `yaml:"runAs,omitempty" protobuf:"5"`
	Environment []string               `yaml:"environment,omitempty" protobuf:"6"`
	Mounts      []ContainerMountSpec   `yaml:"mounts,omitempty" protobuf:"7"`
	Security    ContainerSecuritySpec  `yaml:"security,omitempty" protobuf:"8"`
	Network     ContainerNetworkSpec   `yaml:"network,omitempty" protobuf:"9"`
	Resources   ContainerResourcesSpec `yaml:"resources,omitempty" protobuf:"10"`
	DependsOn   ContainerDependsOnSpec `yaml:"dependsOn,omitempty" protobuf:"11"`
}

// Definition implements resource.Spec.
func (ContainerSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ContainerSpecs.containers.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ContainerSpec",
		Aliases:     []string{"containerspec", "containerspecs"},
		Columns: []resource.Column{
			{Name: "Image", JSONPath: "{.image.ref}"},
		},
	}
}

// ContainerInstanceSpec is one generation of a configured container, with every reference resolved.
type ContainerInstanceSpec struct {
	ContainerID string                 `yaml:"containerID" protobuf:"1"`
	Generation  uint64                 `yaml:"generation" protobuf:"2"`
	Image       string                 `yaml:"image" protobuf:"3"`
	Entrypoint  []string               `yaml:"entrypoint,omitempty" protobuf:"4"`
	Args        []string               `yaml:"args,omitempty" protobuf:"5"`
	WorkingDir  string                 `yaml:"workingDir,omitempty" protobuf:"6"`
	RunAs       ContainerRunAsSpec     `yaml:"runAs,omitempty" protobuf:"7"`
	Environment []string               `yaml:"environment,omitempty" protobuf:"8"`
	Mounts      []ResolvedMountSpec    `yaml:"mounts,omitempty" protobuf:"9"`
	Security    ContainerSecuritySpec  `yaml:"security,omitempty" protobuf:"10"`
	Network     ContainerNetworkSpec   `yaml:"network,omitempty" protobuf:"11"`
	Resources   ContainerResourcesSpec `yaml:"resources,omitempty" protobuf:"12"`
}

// Definition implements resource.Spec.
func (ContainerInstanceSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ContainerInstanceSpecs.containers.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ContainerInstanceSpec",
		Aliases:     []string{"containerinstancespec", "containerinstancespecs"},
		Columns: []resource.Column{
			{Name: "Container", JSONPath: "{.containerID}"},
			{Name: "Generation", JSONPath: "{.generation}"},
			{Name: "Image", JSONPath: "{.image}"},
		},
	}
}

// ContainerDependsOnSpec is what must be there before a container starts.
type ContainerDependsOnSpec struct {
	Paths      []string `yaml:"paths,omitempty" protobuf:"1"`
	Networks   []string `yaml:"networks,omitempty" protobuf:"2"`
	Time       bool     `yaml:"time,omitempty" protobuf:"3"`
	Containers []string `yaml:"containers,omitempty" protobuf:"4"`
}

// ContainerRunAsSpec is the user and group that a container's process runs as.
type ContainerRunAsSpec struct {
	UID *int32 `yaml:"uid,omitempty" protobuf:"1"`
	GID *int32 `yaml:"gid,omitempty" protobuf:"2"`
}

// ContainerSecuritySpec is the privileges of a container.
type ContainerSecuritySpec struct {
	Privileged       bool     `yaml:"privileged,omitempty" protobuf:"1"`
	CapabilitiesAdd  []string `yaml:"capabilitiesAdd,omitempty" protobuf:"2"`
	CapabilitiesDrop []string `yaml:"capabilitiesDrop,omitempty" protobuf:"3"`
}

// ContainerNetworkSpec is the network that a container is in.
type ContainerNetworkSpec struct {
	HostNetwork bool `yaml:"hostNetwork,omitempty" protobuf:"1"`
}

// ContainerResourcesSpec limits a container: memory in bytes, CPU in thousandths of a core.
type ContainerResourcesSpec struct {
	MemoryLimit uint64 `yaml:"memoryLimit,omitempty" protobuf:"1"`
	CPULimit    uint64 `yaml:"cpuLimit,omitempty" protobuf:"2"`
}
