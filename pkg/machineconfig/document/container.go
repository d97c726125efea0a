package document

// ContainerConfig runs a container beside Kubernetes.
type ContainerConfig struct {
	Name        string              `yaml:"name,omitempty"`
	Image       string              `yaml:"image,omitempty"`
	Entrypoint  []string            `yaml:"entrypoint,omitempty" merge:"replace"`
	Args        []string            `yaml:"args,omitempty" merge:"replace"`
	WorkingDir  string              `yaml:"workingDir,omitempty"`
	RunAs       *ContainerRunAs     `yaml:"runAs,omitempty"`
	Environment []string            `yaml:"environment,omitempty"`
	Mounts      []ContainerMount    `yaml:"mounts,omitempty"`
	Security    *ContainerSecurity  `yaml:"security,omitempty"`
	Network     *ContainerNetwork   `yaml:"network,omitempty"`
	Resources   *ContainerResources `yaml:"resources,omitempty"`
	DependsOn   *ContainerDependsOn `yaml:"dependsOn,omitempty"`
}

// ContainerRunAs is the user of a container.
type ContainerRunAs struct {
	UID *int32 `yaml:"uid,omitempty"`
	GID *int32 `yaml:"gid,omitempty"`
}

// ContainerMount is one of its fields.
type ContainerMount struct {
	UserVolume *UserVolumeMount `yaml:"userVolume,omitempty"`
	Tmpfs      *TmpfsMount      `yaml:"tmpfs,omitempty"`
	HostPath   *HostPathMount   `yaml:"hostPath,omitempty"`
}

// UserVolumeMount mounts a user volume.
type UserVolumeMount struct {
	Name        string   `yaml:"name,omitempty"`
	Destination string   `yaml:"destination,omitempty"`
	Options     []string `yaml:"options,omitempty" enum:"ro|rw|noexec|nosuid|nodev|noatime|rbind|rshared"`
}

// TmpfsMount mounts memory.
type TmpfsMount struct {
	Destination string   `yaml:"destination,omitempty"`
	Size        string   `yaml:"size,omitempty"`
	Options     []string `yaml:"options,omitempty"`
}

// HostPathMount mounts a path of the machine.
type HostPathMount struct {
	Source      string   `yaml:"source,omitempty"`
	Destination string   `yaml:"destination,omitempty"`
	Options     []string `yaml:"options,omitempty"`
}

// ContainerSecurity confines a container.
type ContainerSecurity struct {
	Profile      string                 `yaml:"profile,omitempty" enum:"restricted|privileged"`
	Capabilities *ContainerCapabilities `yaml:"capabilities,omitempty"`
}

// ContainerCapabilities change the capabilities of a profile.
type ContainerCapabilities struct {
	Add  []string `yaml:"add,omitempty"`
	Drop []string `yaml:"drop,omitempty"`
}

// ContainerNetwork is a container's network namespace.
type ContainerNetwork struct {
	Mode string `yaml:"mode,omitempty" enum:"none|host"`
}

// ContainerResources limit a container.
type ContainerResources struct {
	Limits *ContainerLimits `yaml:"limits,omitempty"`
}

// ContainerLimits are quantities as in Kubernetes.
type ContainerLimits struct {
	CPU    string `yaml:"cpu,omitempty"`
	Memory string `yaml:"memory,omitempty"`
}

// ContainerDependsOn is what a container waits for.
type ContainerDependsOn struct {
	Paths      []string `yaml:"paths,omitempty"`
	Networks   []string `yaml:"networks,omitempty" enum:"addresses|connectivity|hostname|etcfiles"`
	Time       *bool    `yaml:"time,omitempty"`
	Containers []string `yaml:"containers,omitempty"`
}
