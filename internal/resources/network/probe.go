package network

import (
	"net/url"
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// ProbeSpec is a check of connectivity.
type ProbeSpec struct {
	Interval         time.Duration `yaml:"interval" protobuf:"1"`
	FailureThreshold int           `yaml:"failureThreshold" protobuf:"2"`
	TCP              TCPProbeSpec  `yaml:"tcp,omitempty" protobuf:"3"`
	ConfigLayer      ConfigLayer   `yaml:"layer" protobuf:"4"`
	HTTP             HTTPProbeSpec `yaml:"http,omitempty" protobuf:"5"`
}

// Definition implements resource.Spec.
func (ProbeSpec) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ProbeSpecs.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ProbeSpec",
	}
}

// ProbeStatus is the result of a check of connectivity.
type ProbeStatus struct {
	Success   bool   `yaml:"success" protobuf:"1"`
	LastError string `yaml:"lastError" protobuf:"2"`
}

// Definition implements resource.Spec.
func (ProbeStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ProbeStatuses.net.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ProbeStatus",
		Aliases:     []string{"probe", "probes"},
		Columns: []resource.Column{
			{Name: "Success", JSONPath: "{.success}"},
		},
	}
}

// TCPProbeSpec connects to an endpoint.
type TCPProbeSpec struct {
	Endpoint string        `yaml:"endpoint" protobuf:"1"`
	Timeout  time.Duration `yaml:"timeout" protobuf:"2"`
}

// HTTPProbeSpec requests a URL.
type HTTPProbeSpec struct {
	URL     *url.URL      `yaml:"url" protobuf:"1" redact:"replace"`
	Timeout time.Duration `yaml:"timeout" protobuf:"2"`
}
