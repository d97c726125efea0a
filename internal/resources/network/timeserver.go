package network

import (
	"github.com/basalt-os/basalt/internal/resource"
)

// TimeServerSpec is the time servers to use.
type TimeServerSpec struct {
	NTPServers  []string    `yaml:"timeServers" protobuf:"1"`
	UseNTS      bool        `yaml:"useNTS,omitempty" protobuf:"3"`
	ConfigLayer ConfigLayer `yaml:"layer" protobuf:"2"`
}

// Definition implements resource.Spec.
func (TimeServerSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "TimeServerSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "TimeServerSpec",
		Columns: []resource.Column{
			{Name: "Timeservers", JSONPath: "{.timeServers}"},
			{Name: "UseNTS", JSONPath: "{.useNTS}"},
		},
	}
}

// TimeServerStatus is the time servers in use.
type TimeServerStatus struct {
	NTPServers []string `yaml:"timeServers" protobuf:"1"`
	UseNTS     bool     `yaml:"useNTS" protobuf:"2"`
}

// Definition implements resource.Spec.
func (TimeServerStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "TimeServerStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "TimeServerStatus",
		Aliases:     []string{"timeserver", "timeservers"},
		Columns: []resource.Column{
			{Name: "Timeservers", JSONPath: "{.timeServers}"},
			{Name: "UseNTS", JSONPath: "{.useNTS}"},
		},
	}
}
