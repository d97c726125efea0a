// Package cri holds the configuration of the container runtime: base specs, registries, seccomp profiles, image cache.
package cri

// NamespaceName is the namespace of these resources.
const NamespaceName = "cri"

// Well-known resource IDs.
const (
	// BaseRuntimeSpecConfigID is the ID of the BaseRuntimeSpecConfig.
	BaseRuntimeSpecConfigID = "base-runtime-spec"
	// CustomizationConfigID is the ID of the CustomizationConfig.
	CustomizationConfigID = "cri"
	// RegistriesConfigID is the ID of the RegistriesConfig.
	RegistriesConfigID = "registries"
	// ImageCacheConfigID is the ID of the ImageCacheConfig.
	ImageCacheConfigID = "image-cache"
)
