package cri

import (
	"context"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/cri"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// SeccompProfiles takes profiles for pods from the configuration.
func SeccompProfiles(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "cri.SeccompProfileController",
		func(cfg *machineconfig.Config) (map[string]cri.SeccompProfile, error) {
			out := map[string]cri.SeccompProfile{}
			for _, p := range cfg.Machine().Seccomp {
				out[p.Name] = cri.SeccompProfile{Name: p.Name, Value: p.Value}
			}

			return out, nil
		})
}

// BaseRuntimeSpec takes from the configuration what every container's
// specification is overlaid with.
func BaseRuntimeSpec(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "cri.BaseRuntimeSpecConfigController", cri.BaseRuntimeSpecConfigID,
		func(cfg *machineconfig.Config) (cri.BaseRuntimeSpecConfig, error) {
			overrides := cfg.Machine().BaseRuntimeSpec
			if len(overrides) == 0 {
				return derive.None[cri.BaseRuntimeSpecConfig]()
			}

			return cri.BaseRuntimeSpecConfig{Object: overrides}, nil
		})
}

// Customization takes from the configuration what is added to the runtime's
// own configuration.
func Customization(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "cri.CustomizationConfigController", cri.CustomizationConfigID,
		func(cfg *machineconfig.Config) (cri.CustomizationConfig, error) {
			var parts []string
			for _, doc := range cfg.Machine().CRICustomization {
				parts = append(parts, doc.Content)
			}

			if len(parts) == 0 {
				return derive.None[cri.CustomizationConfig]()
			}

			return cri.CustomizationConfig{Content: strings.Join(parts, "\n")}, nil
		})
}

// ImageCache says that the node has no cache of images: it has no disk of its
// own for one.
func ImageCache() reconcile.Controller {
	return derive.One("cri.ImageCacheConfigController", cri.ImageCacheConfigID, nil,
		func(context.Context, *reconcile.Runtime, cri.ImageCacheConfig) (cri.ImageCacheConfig, error) {
			return cri.ImageCacheConfig{
				Status: cri.ImageCacheStatusDisabled, CopyStatus: cri.ImageCacheCopyStatusSkipped,
			}, nil
		})
}
