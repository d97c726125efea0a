package block

import (
	"time"

	"github.com/basalt-os/basalt/internal/resource"
)

// FSScrubSchedule is when a file system is scrubbed next.
type FSScrubSchedule struct {
	Filesystem FilesystemType `yaml:"filesystem" protobuf:"1"`
	Interval   time.Duration  `yaml:"interval" protobuf:"2"`
	NextScrub  time.Time      `yaml:"nextScrub" protobuf:"3"`
}

// Definition implements resource.Spec.
func (FSScrubSchedule) Definition() resource.Definition {
	return resource.Definition{
		Type:        "FSScrubSchedules.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "FSScrubSchedule",
		Columns: []resource.Column{
			{Name: "Filesystem", JSONPath: "{.filesystem}"},
			{Name: "Interval", JSONPath: "{.interval}"},
			{Name: "Next Scrub", JSONPath: "{.nextScrub}"},
		},
	}
}

// FSScrubStatus is the result of the last scrub of a file system.
type FSScrubStatus struct {
	Mountpoint string        `yaml:"mountpoint" protobuf:"1"`
	Interval   time.Duration `yaml:"interval" protobuf:"2"`
	Time       time.Time     `yaml:"time" protobuf:"3"`
	Duration   time.Duration `yaml:"duration" protobuf:"4"`
	Status     string        `yaml:"status" protobuf:"5"`
}

// Definition implements resource.Spec.
func (FSScrubStatus) Definition() resource.Definition {
	return resource.Definition{
		Type:        "FSScrubStatuses.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "FSScrubStatus",
		Columns: []resource.Column{
			{Name: "Mountpoint", JSONPath: "{.mountpoint}"},
			{Name: "Interval", JSONPath: "{.interval}"},
			{Name: "Latest start time", JSONPath: "{.time}"},
			{Name: "Latest run duration", JSONPath: "{.duration}"},
			{Name: "Latest status", JSONPath: "{.status}"},
		},
	}
}

// VolumeTrimSchedule is when unused blocks of a volume are discarded next.
type VolumeTrimSchedule struct {
	Filesystem FilesystemType `yaml:"filesystem" protobuf:"1"`
	Interval   time.Duration  `yaml:"interval" protobuf:"2"`
	NextTrim   time.Time      `yaml:"nextTrim" protobuf:"3"`
}

// Definition implements resource.Spec.
func (VolumeTrimSchedule) Definition() resource.Definition {
	return resource.Definition{
		Type:        "VolumeTrimSchedules.block.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "VolumeTrimSchedule",
		Columns: []resource.Column{
			{Name: "Filesystem", JSONPath: "{.filesystem}"},
			{Name: "Interval", JSONPath: "{.interval}"},
			{Name: "Next Trim", JSONPath: "{.nextTrim}"},
		},
	}
}
