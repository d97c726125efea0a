// Package ethernet has the controllers of the settings of Ethernet adapters:
// rings, channels, features, and what wakes the machine up. They bring to the
// kernel what the machine configuration wants, and show what there is.
//
// What no document names is left as it is, and what was set stays when its
// document goes: nobody knows what an adapter had before.
package ethernet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/ethtool"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// Adapters are the settings of adapters, by the own names of their links. What
// an adapter does not have is ethtool.ErrUnsupported.
type Adapters interface {
	Mode(link string) (ethtool.Mode, error)
	Rings(link string) (ethtool.Rings, error)
	SetRings(link string, rings ethtool.Rings) error
	Channels(link string) (ethtool.Channels, error)
	SetChannels(link string, channels ethtool.Channels) error
	Features(link string) ([]ethtool.Feature, error)
	SetFeatures(link string, features map[string]bool) error
	WakeOnLAN(link string) (uint32, error)
	SetWakeOnLAN(link string, modes uint32) error
	Close() error
}

// Kernel is where the adapters are.
type Kernel interface {
	// Open returns the adapters until they are closed.
	Open() (Adapters, error)
	// Watch calls notify after every change of a setting, until ctx ends.
	Watch(ctx context.Context, notify func()) error
}

// Ethtool is the Kernel of the network namespace that the process is in.
type Ethtool struct{}

// Open implements Kernel.
func (Ethtool) Open() (Adapters, error) { return ethtool.New() }

// Watch implements Kernel. A kernel without such settings changes none.
func (Ethtool) Watch(ctx context.Context, notify func()) error {
	err := ethtool.Watch(ctx, notify)
	if errors.Is(err, fs.ErrNotExist) {
		<-ctx.Done()

		return nil
	}

	return err
}

// Controllers are all controllers of this package.
func Controllers(reader *configured.Reader, kernel Kernel, logger *slog.Logger) []reconcile.Controller {
	return []reconcile.Controller{Config(reader), Spec(kernel, logger), Status(kernel)}
}

// Config makes specs of the documents, by the names of links that these have.
func Config(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "network.EthernetConfigController",
		func(cfg *machineconfig.Config) (map[string]network.EthernetSpec, error) {
			out := map[string]network.EthernetSpec{}

			for _, doc := range machineconfig.All[document.EthernetConfig](cfg) {
				spec, err := wanted(doc)
				if err != nil {
					return nil, fmt.Errorf("reading EthernetConfig %s: %w", doc.Name, err)
				}

				out[doc.Name] = spec
			}

			return out, nil
		})
}

// wakeARP is a mode that the resource has no name for.
const wakeARP network.WOLMode = 1 << 4

// wanted is what a document asks for.
func wanted(doc *document.EthernetConfig) (network.EthernetSpec, error) {
	spec := network.EthernetSpec{Features: doc.Features}

	if doc.Rings != nil {
		spec.Rings = network.EthernetRingsSpec(*doc.Rings)
	}

	if doc.Channels != nil {
		spec.Channels = network.EthernetChannelsSpec(*doc.Channels)
	}

	for _, name := range doc.WakeOnLAN {
		mode := wakeARP

		if name != "arp" {
			if err := mode.UnmarshalText([]byte(name)); err != nil {
				return spec, err
			}
		}

		spec.WakeOnLAN = append(spec.WakeOnLAN, mode)
	}

	return spec, nil
}

// links are the node's links by their own names.
func links(ctx context.Context, rt *reconcile.Runtime) (map[string]network.LinkStatus, error) {
	found, err := resource.List[network.LinkStatus](ctx, rt)
	if err != nil {
		return nil, err
	}

	out := make(map[string]network.LinkStatus, len(found))
	for _, r := range found {
		out[r.Meta.ID] = r.Spec
	}

	return out, nil
}
