// Package machine has the network controllers of a node that configures its
// network by itself: the sources of the layers, what merges them, and what
// brings the result to the kernel.
package machine

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/network/apply"
	"github.com/basalt-os/basalt/internal/controllers/network/cmdline"
	"github.com/basalt-os/basalt/internal/controllers/network/documents"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/controllers/network/operator"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config *configured.Reader
	Kernel apply.Kernel
	Logger *slog.Logger
	// Watch calls notify after every change of links, addresses or routes in
	// the kernel, until ctx ends.
	Watch func(ctx context.Context, notify func()) error
	// Cmdline is the kernel's command line.
	Cmdline string
}

// Controllers are all controllers of this package. They write the merged specs,
// so they take the place of the controllers that write those of a container
// node's hostname, resolvers and time servers.
func Controllers(d Dependencies) []reconcile.Controller {
	settings, err := cmdline.Parse(d.Cmdline)
	if err != nil {
		// What could be read counts: an address is better than none.
		d.Logger.Warn("reading the kernel's command line", "error", err)
	}

	all := []reconcile.Controller{
		Defaults(settings.Ignored),
		Cmdline(settings),
		Documents(d.Config),
		operator.New(d.Logger, map[network.Operator]operator.Run{network.OperatorDHCP4: operator.DHCP4}),
	}

	return slices.Concat(all, layer.Merges(), apply.Controllers(d.Kernel, d.Watch))
}

// source is a controller of one source of specs.
func source(
	name, id string, inputs []reconcile.Input, compute func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error),
) reconcile.Controller {
	return derive.Act(name, inputs, layer.Outputs(), func(ctx context.Context, rt *reconcile.Runtime) error {
		specs, err := compute(ctx, rt)
		if err != nil {
			return err
		}

		return specs.Write(ctx, rt, id)
	})
}

// Documents is the source that is the machine configuration.
func Documents(reader *configured.Reader) reconcile.Controller {
	return source("network.DocumentConfigController", "configuration", []reconcile.Input{configured.Input()},
		func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return layer.Specs{}, err
			}

			return documents.Specs(cfg)
		})
}

// Cmdline is the source that is the kernel's command line.
func Cmdline(settings cmdline.Settings) reconcile.Controller {
	return source("network.CmdlineConfigController", "cmdline", []reconcile.Input{reconcile.In[network.LinkStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error) {
			present, err := links(ctx, rt)
			if err != nil {
				return layer.Specs{}, err
			}

			return settings.Resolve(present), nil
		})
}

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

// Defaults is the source of what holds without configuration: the loopback
// link, and DHCP on every physical link that nobody configures. Ignored links
// get nothing.
func Defaults(ignored []string) reconcile.Controller {
	inputs := []reconcile.Input{
		reconcile.In[network.LinkStatus](),
		reconcile.InIn[network.LinkSpec](network.ConfigNamespaceName),
		reconcile.InIn[network.OperatorSpec](network.ConfigNamespaceName),
	}

	return source("network.DefaultConfigController", "default", inputs,
		func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error) {
			present, err := links(ctx, rt)
			if err != nil {
				return layer.Specs{}, err
			}

			specs, err := resource.ListIn[network.LinkSpec](ctx, rt, network.ConfigNamespaceName)
			if err != nil {
				return layer.Specs{}, err
			}

			operators, err := resource.ListIn[network.OperatorSpec](ctx, rt, network.ConfigNamespaceName)
			if err != nil {
				return layer.Specs{}, err
			}

			taken := slices.Clone(ignored)

			for _, r := range specs {
				if configures(r.Spec.ConfigLayer) {
					taken = append(taken, r.Spec.Name)
				}
			}

			for _, r := range operators {
				if configures(r.Spec.ConfigLayer) {
					taken = append(taken, r.Spec.LinkName)
				}
			}

			return defaults(present, taken), nil
		})
}

// configures reports whether a layer is somebody's decision: what DHCP found
// out follows from the defaults.
func configures(l network.ConfigLayer) bool {
	return l != network.ConfigLayerDefault && l != network.ConfigLayerOperator
}

// defaults are the specs of links that are not taken. A link can be taken by an
// alias or another name.
func defaults(present map[string]network.LinkStatus, taken []string) layer.Specs {
	out := layer.Specs{
		Links: []network.LinkSpec{{Name: "lo", Up: true, Type: network.LinkTypeLoopback}},
		Addresses: []network.AddressSpec{{
			Address: netip.MustParsePrefix("127.0.0.1/8"), LinkName: "lo", Family: network.FamilyInet4,
			Scope: network.ScopeHost, Flags: network.AddressFlagPermanent,
		}},
	}

	for name, link := range present {
		if link.Type != network.LinkTypeEther || link.Kind != "" {
			continue
		}

		names := append([]string{name, link.Alias}, link.AltNames...)
		if slices.ContainsFunc(names, func(n string) bool { return n != "" && slices.Contains(taken, n) }) {
			continue
		}

		out.Links = append(out.Links, network.LinkSpec{Name: name, Up: true})
		out.Operators = append(out.Operators, network.OperatorSpec{
			Operator: network.OperatorDHCP4, LinkName: name, RequireUp: true,
			DHCP4: network.DHCP4OperatorSpec{
				RouteMetric:      documents.DefaultMetric,
				ClientIdentifier: network.ClientIdentifierSpec{ClientIdentifier: network.ClientIdentifierMAC},
			},
		})
	}

	return out.In(network.ConfigLayerDefault)
}
