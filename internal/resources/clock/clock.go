package clock

import (
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// Status says whether the node's time is in sync.
type Status struct {
	Synced       bool `yaml:"synced" protobuf:"1"`
	Epoch        int  `yaml:"epoch" protobuf:"2"`
	SyncDisabled bool `yaml:"syncDisabled" protobuf:"3"`
}

// Definition implements resource.Spec.
func (Status) Definition() resource.Definition {
	return resource.Definition{
		Type:        "TimeStatuses.v1alpha1.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "TimeStatus",
		Columns: []resource.Column{
			{Name: "Synced", JSONPath: "{.synced}"},
		},
	}
}

// AdjtimeStatus is how the kernel's clock is being adjusted.
type AdjtimeStatus struct {
	Offset                   time.Duration `yaml:"offset" protobuf:"1"`
	FrequencyAdjustmentRatio float64       `yaml:"frequencyAdjustmentRatio" protobuf:"2"`
	MaxError                 time.Duration `yaml:"maxError" protobuf:"3"`
	EstError                 time.Duration `yaml:"estError" protobuf:"4"`
	Status                   string        `yaml:"status" protobuf:"5"`
	Constant                 int           `yaml:"constant" protobuf:"6"`
	SyncStatus               bool          `yaml:"syncStatus" protobuf:"7"`
	State                    string        `yaml:"state" protobuf:"8"`
}

// Definition implements resource.Spec.
func (AdjtimeStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "AdjtimeStatuses.v1alpha1.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "AdjtimeStatus",
		Columns: []resource.Column{
			{Name: "Offset", JSONPath: "{.offset}"},
			{Name: "EstError", JSONPath: "{.estError}"},
			{Name: "MaxError", JSONPath: "{.maxError}"},
			{Name: "Status", JSONPath: "{.status}"},
			{Name: "Sync", JSONPath: "{.syncStatus}"},
		},
	}
}

// NTPStatus tells of the time server's replies.
type NTPStatus struct {
	SpikeDetected     bool `yaml:"spikeDetected" protobuf:"1"`
	ConsecutiveSpikes int  `yaml:"consecutiveSpikes" protobuf:"2"`
}

// Definition implements resource.Spec.
func (NTPStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "NTPStatuses.v1alpha1.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "NTPStatus",
		Columns: []resource.Column{
			{Name: "Spike Detected", JSONPath: "{.spikeDetected}"},
			{Name: "Consecutive Spikes", JSONPath: "{.consecutiveSpikes}"},
		},
	}
}
