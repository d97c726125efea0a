package cri

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	filewriter "github.com/basalt-os/basalt/internal/controllers/files"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
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

// SeccompFiles keeps the profiles in the folder where the kubelet looks for
// them.
func SeccompFiles(folder filewriter.Folder) reconcile.Controller {
	return derive.Act("cri.SeccompProfileFileController", []reconcile.Input{reconcile.In[cri.SeccompProfile]()}, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			profiles, err := resource.List[cri.SeccompProfile](ctx, rt)
			if err != nil {
				return err
			}

			contents, err := seccompFiles(profiles)
			if err != nil {
				return err
			}

			return folder.Write(contents)
		})
}

func seccompFiles(profiles []*resource.Resource[cri.SeccompProfile]) (map[string]filewriter.File, error) {
	contents := map[string]filewriter.File{}

	for _, profile := range profiles {
		if profile.Meta.Phase != resource.Running {
			continue
		}

		if name := profile.Spec.Name; name == "." || name != filepath.Base(name) {
			return nil, fmt.Errorf("writing seccomp profile %q: its name is not that of a file", name)
		}

		text, err := json.Marshal(profile.Spec.Value)
		if err != nil {
			return nil, fmt.Errorf("encoding seccomp profile %s: %w", profile.Spec.Name, err)
		}

		contents[profile.Spec.Name] = filewriter.File{Contents: text}
	}

	return contents, nil
}

// Customization takes from the configuration what is added to the runtime's
// own configuration.
func Customization(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "cri.CustomizationConfigController", cri.CustomizationConfigID,
		func(cfg *machineconfig.Config) (cri.CustomizationConfig, error) {
			parts := customizations(cfg.Machine())
			if len(parts) == 0 {
				return derive.None[cri.CustomizationConfig]()
			}

			text, err := MergeTOML(parts...)

			return cri.CustomizationConfig{Content: text}, err
		})
}

// customizations are the documents for it, below them the files by which the
// legacy document does the same.
func customizations(machine machineconfig.Machine) []string {
	var parts []string

	for _, file := range machine.Files {
		if matched, err := path.Match("/etc/cri/conf.d/*.part", file.Path); err == nil && matched {
			parts = append(parts, file.Content)
		}
	}

	for _, doc := range machine.CRICustomization {
		parts = append(parts, doc.Content)
	}

	return parts
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
