package files

import (
	"io/fs"

	"github.com/basalt-os/basalt/internal/resource"
)

// EtcFileSpec is a file to render under /etc.
type EtcFileSpec struct {
	Contents     string      `yaml:"contents" protobuf:"1,bytes"`
	Mode         fs.FileMode `yaml:"mode" protobuf:"2"`
	SelinuxLabel string      `yaml:"selinux_label" protobuf:"3"`
}

// Definition implements resource.Spec.
func (EtcFileSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcFileSpecs.files.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcFileSpec",
		Sensitive:   true,
	}
}

// EtcFileStatus says which version of a file was rendered.
type EtcFileStatus struct {
	SpecVersion string `yaml:"specVersion" protobuf:"1"`
}

// Definition implements resource.Spec.
func (EtcFileStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "EtcFileStatuses.files.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "EtcFileStatus",
	}
}
