package containers

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// ContainerImageSpec names the image of a container.
type ContainerImageSpec struct {
	Ref string `yaml:"ref,omitempty" protobuf:"1"`
}

// ContainerImageStatus is how far the pull of a container's image has come.
type ContainerImageStatus struct {
	Phase  ContainerImagePhase `yaml:"phase" protobuf:"1"`
	Image  string              `yaml:"image" protobuf:"2"`
	Digest string              `yaml:"digest,omitempty" protobuf:"3"`
	Error  string              `yaml:"error,omitempty" protobuf:"4"`
}

// Definition implements resource.Spec.
func (ContainerImageStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ContainerImageStatuses.containers.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ContainerImageStatus",
		Aliases:     []string{"containerimagestatus", "containerimagestatuses"},
		Columns: []resource.Column{
			{Name: "Phase", JSONPath: "{.phase}"},
			{Name: "Digest", JSONPath: "{.digest}"},
		},
	}
}

// ContainerImagePhase is how far the pull of an image has come.
type ContainerImagePhase int

// Values of ContainerImagePhase.
const (
	ContainerImagePhasePending ContainerImagePhase = 0
	ContainerImagePhasePulling ContainerImagePhase = 1
	ContainerImagePhaseReady   ContainerImagePhase = 2
	ContainerImagePhaseFailed  ContainerImagePhase = 3
)

var containerImagePhaseNames = enum.Names[ContainerImagePhase]{
	ContainerImagePhasePending: "pending",
	ContainerImagePhasePulling: "pulling",
	ContainerImagePhaseReady:   "ready",
	ContainerImagePhaseFailed:  "failed",
}

// String returns the text form.
func (c ContainerImagePhase) String() string { return containerImagePhaseNames.Text(c) }

// MarshalText implements encoding.TextMarshaler.
func (c ContainerImagePhase) MarshalText() ([]byte, error) {
	return containerImagePhaseNames.MarshalText(c)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *ContainerImagePhase) UnmarshalText(text []byte) error {
	return containerImagePhaseNames.UnmarshalText(text, c)
}
