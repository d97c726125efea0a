// Package platform brings the network configuration that a platform gives to a
// machine into the layers: from META on metal, from a metadata service in a
// cloud. It is kept in STATE, so that the machine has it at its next start
// before the platform answers.
package platform

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"

	"github.com/google/renameio/v2"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resource/codec"
	"github.com/basalt-os/basalt/internal/resources/block"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/runtime"
)

// metaKey is the value of META that has the configuration of a machine without
// a metadata service.
const metaKey = "0x0a"

// source is what the IDs of the specs begin with.
const source = "platform"

// Cache keeps a configuration over restarts.
type Cache interface {
	// Ready reports whether the cache is there, from the mounts that there are.
	Ready(mounts []*resource.Resource[block.MountStatus]) bool
	// Load returns what was saved last; fs.ErrNotExist when there is nothing.
	Load() ([]byte, error)
	Save(text []byte) error
}

// File is the Cache that is a file of a volume.
type File struct {
	// Folder is where the volume is mounted.
	Folder string
	Name   string
}

// Ready implements Cache.
func (f File) Ready(mounts []*resource.Resource[block.MountStatus]) bool {
	for _, m := range mounts {
		if m.Spec.Target == f.Folder && m.Meta.Phase == resource.Running {
			return true
		}
	}

	return false
}

// Load implements Cache.
func (f File) Load() ([]byte, error) { return os.ReadFile(filepath.Join(f.Folder, f.Name)) }

// Save implements Cache.
func (f File) Save(text []byte) error {
	return renameio.WriteFile(filepath.Join(f.Folder, f.Name), text, 0o600)
}

// Controllers are all controllers of this package.
func Controllers(cache Cache) []reconcile.Controller {
	return []reconcile.Controller{Meta(), Load(cache), Store(cache), Apply()}
}

// Parse reads a configuration in its YAML form.
func Parse(text []byte) (network.PlatformConfig, error) {
	var config network.PlatformConfig

	c, err := codec.New(config)
	if err != nil {
		return config, err
	}

	return config, c.DecodeYAML(text, &config)
}

// Meta takes the configuration from META.
func Meta() reconcile.Controller {
	return derive.One("network.MetaConfigController", network.PlatformConfigActiveID,
		[]reconcile.Input{derive.In[runtime.MetaKey](metaKey)},
		func(ctx context.Context, rt *reconcile.Runtime, _ network.PlatformConfig) (network.PlatformConfig, error) {
			value, err := derive.Find[runtime.MetaKey](ctx, rt, metaKey)
			if err != nil {
				return network.PlatformConfig{}, err
			}

			if value == nil {
				return derive.None[network.PlatformConfig]()
			}

			config, err := Parse([]byte(value.Spec.Value))
			if err != nil {
				return config, fmt.Errorf("reading the network configuration in META (key %s): %w", metaKey, err)
			}

			return config, nil
		})
}

// Load shows the configuration of an earlier start.
func Load(cache Cache) reconcile.Controller {
	return derive.One("network.PlatformConfigLoadController", network.PlatformConfigCachedID,
		[]reconcile.Input{reconcile.In[block.MountStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime, current network.PlatformConfig) (network.PlatformConfig, error) {
			mounts, err := resource.List[block.MountStatus](ctx, rt)
			if err != nil {
				return network.PlatformConfig{}, err
			}

			// It was read once, and is not forgotten when the volume goes.
			if !reflect.DeepEqual(current, network.PlatformConfig{}) {
				return current, nil
			}

			if !cache.Ready(mounts) {
				return derive.None[network.PlatformConfig]()
			}

			text, err := cache.Load()
			if errors.Is(err, fs.ErrNotExist) {
				return derive.None[network.PlatformConfig]()
			}

			if err != nil {
				return network.PlatformConfig{}, fmt.Errorf("reading the platform's network configuration of an earlier start: %w", err)
			}

			config, err := Parse(text)
			if err != nil {
				// The platform gives it anew; what is there is written over.
				rt.Logger().Warn("reading the platform's network configuration of an earlier start", "error", err)

				return derive.None[network.PlatformConfig]()
			}

			return config, nil
		})
}

// Store keeps the configuration for the next start.
func Store(cache Cache) reconcile.Controller {
	inputs := []reconcile.Input{derive.In[network.PlatformConfig](network.PlatformConfigActiveID), reconcile.In[block.MountStatus]()}

	return derive.Act("network.PlatformConfigStoreController", inputs, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			active, err := derive.Find[network.PlatformConfig](ctx, rt, network.PlatformConfigActiveID)
			if err != nil || active == nil {
				return err
			}

			mounts, err := resource.List[block.MountStatus](ctx, rt)
			if err != nil || !cache.Ready(mounts) {
				return err
			}

			c, err := codec.New(active.Spec)
			if err != nil {
				return err
			}

			text, err := c.EncodeYAML(active.Spec)
			if err != nil {
				return err
			}

			if old, err := cache.Load(); err == nil && string(old) == string(text) {
				return nil
			}

			if err := cache.Save(text); err != nil {
				return fmt.Errorf("keeping the platform's network configuration: %w", err)
			}

			return nil
		})
}

// Apply is the source that is the platform: what it says now, or else what it
// said at an earlier start. It also shows the addresses under which the machine
// is known outside, which are on none of its links.
func Apply() reconcile.Controller {
	inputs := []reconcile.Input{reconcile.In[network.PlatformConfig]()}
	outputs := append(layer.Outputs(), reconcile.Out[network.AddressStatus]().AsShared())

	return derive.Act("network.PlatformConfigApplyController", inputs, outputs,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			var config network.PlatformConfig

			for _, id := range []string{network.PlatformConfigActiveID, network.PlatformConfigCachedID} {
				found, err := derive.Find[network.PlatformConfig](ctx, rt, id)
				if err != nil {
					return err
				}

				if found != nil {
					config = found.Copy().Spec

					break
				}
			}

			specs := Specs(config)
			if err := specs.Write(ctx, rt, source); err != nil {
				return err
			}

			return external(ctx, rt, config.ExternalIPs)
		})
}

// Specs are what a configuration asks for.
func Specs(config network.PlatformConfig) layer.Specs {
	specs := layer.Specs{
		Links: config.Links, Addresses: config.Addresses, Routes: config.Routes, Operators: config.Operators,
		Hostnames: config.Hostnames, Resolvers: config.Resolvers, TimeServers: config.TimeServers, Probes: config.Probes,
	}

	return specs.In(network.ConfigLayerPlatform)
}

func external(ctx context.Context, rt *reconcile.Runtime, addresses []netip.Addr) error {
	written := map[string]bool{}

	for _, a := range addresses {
		prefix := netip.PrefixFrom(a, a.BitLen())
		id := network.ExternalLinkName + "/" + prefix.String()
		written[id] = true

		family := network.FamilyInet4
		if a.Is6() {
			family = network.FamilyInet6
		}

		err := reconcile.Modify(ctx, rt, id, func(r *resource.Resource[network.AddressStatus]) error {
			r.Spec = network.AddressStatus{
				Address: prefix, LinkName: network.ExternalLinkName, Family: family, Scope: network.ScopeGlobal,
			}

			return nil
		})
		if err != nil {
			return err
		}
	}

	return reconcile.Keep[network.AddressStatus](ctx, rt, func(id string) bool { return written[id] })
}
