package cri

import (
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/enum"
)

// ImageCacheConfig is the state of the local image cache and where its layers are.
type ImageCacheConfig struct {
	Status     ImageCacheStatus     `yaml:"status" protobuf:"1"`
	CopyStatus ImageCacheCopyStatus `yaml:"copyStatus" protobuf:"3"`
	Roots      []string             `yaml:"roots" protobuf:"2"`
}

// Definition implements resource.Spec.
func (ImageCacheConfig) Definition() resource.Definition {
	return resource.Definition{
		Type:        "ImageCacheConfigs.cri.talos.dev",
		Namespace:   NamespaceName,
		DisplayType: "ImageCacheConfig",
		Columns: []resource.Column{
			{Name: "Status", JSONPath: "{.status}"},
			{Name: "CopyStatus", JSONPath: "{.copyStatus}"},
			{Name: "Roots", JSONPath: "{.roots}"},
		},
	}
}

// ImageCacheStatus is the state of the image cache.
type ImageCacheStatus int

// Values of ImageCacheStatus.
const (
	ImageCacheStatusUnknown   ImageCacheStatus = 0
	ImageCacheStatusDisabled  ImageCacheStatus = 1
	ImageCacheStatusPreparing ImageCacheStatus = 2
	ImageCacheStatusReady     ImageCacheStatus = 3
)

var imageCacheStatusNames = enum.Names[ImageCacheStatus]{
	ImageCacheStatusUnknown:   "unknown",
	ImageCacheStatusDisabled:  "disabled",
	ImageCacheStatusPreparing: "preparing",
	ImageCacheStatusReady:     "ready",
}

// String returns the text form.
func (i ImageCacheStatus) String() string { return imageCacheStatusNames.Text(i) }

// MarshalText implements encoding.TextMarshaler.
func (i ImageCacheStatus) MarshalText() ([]byte, error) { return imageCacheStatusNames.MarshalText(i) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *ImageCacheStatus) UnmarshalText(text []byte) error {
	return imageCacheStatusNames.UnmarshalText(text, i)
}

// ImageCacheCopyStatus is the state of the copy of the image cache to disk.
type ImageCacheCopyStatus int

// Values of ImageCacheCopyStatus.
const (
	ImageCacheCopyStatusUnknown ImageCacheCopyStatus = 0
	ImageCacheCopyStatusSkipped ImageCacheCopyStatus = 1
	ImageCacheCopyStatusCopying ImageCacheCopyStatus = 2
	ImageCacheCopyStatusReady   ImageCacheCopyStatus = 3
)

var imageCacheCopyStatusNames = enum.Names[ImageCacheCopyStatus]{
	ImageCacheCopyStatusUnknown: "unknown",
	ImageCacheCopyStatusSkipped: "skipped",
	ImageCacheCopyStatusCopying: "copying",
	ImageCacheCopyStatusReady:   "ready",
}

// String returns the text form.
func (i ImageCacheCopyStatus) String() string { return imageCacheCopyStatusNames.Text(i) }

// MarshalText implements encoding.TextMarshaler.
func (i ImageCacheCopyStatus) MarshalText() ([]byte, error) {
	return imageCacheCopyStatusNames.MarshalText(i)
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (i *ImageCacheCopyStatus) UnmarshalText(text []byte) error {
	return imageCacheCopyStatusNames.UnmarshalText(text, i)
}
