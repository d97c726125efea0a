package containers

// ContainerMountSpec is a configured mount of a container.
type ContainerMountSpec struct {
	Kind        string   `yaml:"kind" protobuf:"1"`
	VolumeID    string   `yaml:"volumeID,omitempty" protobuf:"2"`
	Source      string   `yaml:"source,omitempty" protobuf:"3"`
	Destination string   `yaml:"destination" protobuf:"4"`
	Size        uint64   `yaml:"size,omitempty" protobuf:"5"`
	Options     []string `yaml:"options,omitempty" protobuf:"6"`
}

// ResolvedMountSpec is a mount of a container with its source resolved.
type ResolvedMountSpec struct {
	Kind        string   `yaml:"kind" protobuf:"1"`
	Source      string   `yaml:"source,omitempty" protobuf:"2"`
	Destination string   `yaml:"destination" protobuf:"3"`
	Size        uint64   `yaml:"size,omitempty" protobuf:"4"`
	Options     []string `yaml:"options,omitempty" protobuf:"5"`
}
