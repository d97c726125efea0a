// Package variant has the lists of network controllers for each kind of node: a
// container, which finds its network ready, and a machine, which configures it
// by itself. It also has the sources of a machine's layers.
package variant

import (
	"context"
	"net/netip"
	"slices"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/network"
	"github.com/basalt-os/basalt/internal/controllers/network/alias"
	"github.com/basalt-os/basalt/internal/controllers/network/apply"
	"github.com/basalt-os/basalt/internal/controllers/network/cmdline"
	"github.com/basalt-os/basalt/internal/controllers/network/documents"
	"github.com/basalt-os/basalt/internal/controllers/network/ethernet"
	"github.com/basalt-os/basalt/internal/controllers/network/firewall"
	"github.com/basalt-os/basalt/internal/controllers/network/layer"
	"github.com/basalt-os/basalt/internal/controllers/network/operator"
	"github.com/basalt-os/basalt/internal/controllers/network/platform"
	"github.com/basalt-os/basalt/internal/controllers/network/probe"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	networkresource "github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Dependencies are what the controllers of a machine need, beside those of every
// node.
type Dependencies struct {
	network.Dependencies

	// Apply is the part of the kernel that is changed.
	Apply apply.Kernel
	// Ethernet has the settings of adapters.
	Ethernet ethernet.Kernel
	// Cmdline is the kernel's command line.
	Cmdline string
	// PlatformCache keeps what the platform says over restarts.
	PlatformCache platform.Cache
}

// Container are all network controllers of a container node.
func Container(d network.Dependencies) []reconcile.Controller {
	return slices.Concat(network.Controllers(d), everywhere(d), []reconcile.Controller{ConfiguredProbes(d.Config)})
}

// everywhere are the controllers of all nodes that package network does not
// have.
func everywhere(d network.Dependencies) []reconcile.Controller {
	return []reconcile.Controller{probe.New(d.Adapt), firewall.Chains(d.Config), firewall.Apply(firewall.Netfilter{})}
}

// ConfiguredProbes takes the probes of a container node from the machine
// configuration; those of a machine come from all layers.
func ConfiguredProbes(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "network.ProbeConfigController",
		func(cfg *machineconfig.Config) (map[string]networkresource.ProbeSpec, error) {
			specs, err := documents.Specs(cfg)

			return layer.MergeProbes(specs.Probes), err
		})
}

// Machine are all network controllers of a machine: those of every node, the
// sources of the layers, what merges them, and what brings the result to the
// kernel.
func Machine(d Dependencies) []reconcile.Controller {
	settings, err := cmdline.Parse(d.Cmdline)
	if err != nil {
		// What could be read counts: an address is better than none.
		d.Logger.Warn("reading the kernel's command line", "error", err)
	}

	return slices.Concat(
		network.Common(d.Dependencies),
		everywhere(d.Dependencies),
		[]reconcile.Controller{
			Defaults(settings.Ignored),
			DefaultNames(d.Config),
			Cmdline(settings),
			Documents(d.Config),
			alias.Config(d.Config),
			operator.New(d.Logger, operator.SystemClock{}, map[networkresource.Operator]operator.Run{
				networkresource.OperatorDHCP4: operator.DHCP4,
				networkresource.OperatorDHCP6: operator.DHCP6,
			}),
		},
		platform.Controllers(d.PlatformCache),
		layer.Merges(),
		apply.Controllers(d.Apply, d.Kernel.Watch),
		ethernet.Controllers(d.Config, d.Ethernet, d.Logger),
	)
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
	inputs := []reconcile.Input{configured.Input(), reconcile.In[networkresource.LinkAliasSpec]()}

	return source("network.DocumentConfigController", "configuration", inputs,
		func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil || cfg == nil {
				return layer.Specs{}, err
			}

			specs, err := documents.Specs(cfg)
			if err != nil {
				return layer.Specs{}, err
			}

			found, err := resource.List[networkresource.LinkAliasSpec](ctx, rt)
			if err != nil {
				return layer.Specs{}, err
			}

			var aliases []string

			for _, r := range found {
				if r.Meta.Phase == resource.Running {
					aliases = append(aliases, r.Spec.Alias)
				}
			}

			specs.Links = documents.Numbered(specs.Links, aliases)

			return specs, nil
		})
}

// Cmdline is the source that is the kernel's command line.
func Cmdline(settings cmdline.Settings) reconcile.Controller {
	return source("network.CmdlineConfigController", "cmdline", []reconcile.Input{reconcile.In[networkresource.LinkStatus]()},
		func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error) {
			present, err := links(ctx, rt)
			if err != nil {
				return layer.Specs{}, err
			}

			return settings.Resolve(present), nil
		})
}

func links(ctx context.Context, rt *reconcile.Runtime) (map[string]networkresource.LinkStatus, error) {
	found, err := resource.List[networkresource.LinkStatus](ctx, rt)
	if err != nil {
		return nil, err
	}

	out := make(map[string]networkresource.LinkStatus, len(found))
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
		reconcile.In[networkresource.LinkStatus](),
		reconcile.InIn[networkresource.LinkSpec](networkresource.ConfigNamespaceName),
		reconcile.InIn[networkresource.OperatorSpec](networkresource.ConfigNamespaceName),
	}

	return source("network.DefaultConfigController", "default", inputs,
		func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error) {
			present, err := links(ctx, rt)
			if err != nil {
				return layer.Specs{}, err
			}

			specs, err := resource.ListIn[networkresource.LinkSpec](ctx, rt, networkresource.ConfigNamespaceName)
			if err != nil {
				return layer.Specs{}, err
			}

			operators, err := resource.ListIn[networkresource.OperatorSpec](ctx, rt, networkresource.ConfigNamespaceName)
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
func configures(l networkresource.ConfigLayer) bool {
	return l != networkresource.ConfigLayerDefault && l != networkresource.ConfigLayerOperator
}

// defaults are the specs of links that are not taken. A link can be taken by an
// alias or another name.
func defaults(present map[string]networkresource.LinkStatus, taken []string) layer.Specs {
	out := layer.Specs{
		Links: []networkresource.LinkSpec{{Name: "lo", Up: true, Type: networkresource.LinkTypeLoopback}},
		Addresses: []networkresource.AddressSpec{{
			Address: netip.MustParsePrefix("127.0.0.1/8"), LinkName: "lo", Family: networkresource.FamilyInet4,
			Scope: networkresource.ScopeHost, Flags: networkresource.AddressFlagPermanent,
		}},
	}

	for name, link := range present {
		if !link.Physical() {
			continue
		}

		names := append([]string{name, link.Alias}, link.AltNames...)
		if slices.ContainsFunc(names, func(n string) bool { return n != "" && slices.Contains(taken, n) }) {
			continue
		}

		out.Links = append(out.Links, networkresource.LinkSpec{Name: name, Up: true})
		out.Operators = append(out.Operators, networkresource.OperatorSpec{
			Operator: networkresource.OperatorDHCP4, LinkName: name, RequireUp: true,
			DHCP4: networkresource.DHCP4OperatorSpec{
				RouteMetric:      documents.DefaultMetric,
				ClientIdentifier: networkresource.ClientIdentifierSpec{ClientIdentifier: networkresource.ClientIdentifierMAC},
			},
		})
	}

	return out.In(networkresource.ConfigLayerDefault)
}

// DefaultNames is the source of the names that hold without configuration: a
// hostname made of the node's identity, name servers and time servers.
func DefaultNames(reader *configured.Reader) reconcile.Controller {
	inputs := []reconcile.Input{configured.Input(), derive.In[cluster.Identity](cluster.LocalIdentityID)}

	return source("network.DefaultNameConfigController", "default", inputs,
		func(ctx context.Context, rt *reconcile.Runtime) (layer.Specs, error) {
			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return layer.Specs{}, err
			}

			identity, err := derive.Find[cluster.Identity](ctx, rt, cluster.LocalIdentityID)
			if err != nil {
				return layer.Specs{}, err
			}

			nodeID := ""
			if identity != nil && (cfg == nil || cfg.Machine().AutoHostname) {
				nodeID = identity.Spec.NodeID
			}

			return defaultNames(nodeID), nil
		})
}

// defaultNames are the names of a node; no identity, no hostname.
func defaultNames(nodeID string) layer.Specs {
	out := layer.Specs{
		Resolvers:   []networkresource.ResolverSpec{{DNSServers: network.DefaultResolvers()}},
		TimeServers: []networkresource.TimeServerSpec{{NTPServers: []string{machineconfig.DefaultTimeServer}}},
	}

	if nodeID != "" {
		out.Hostnames = []networkresource.HostnameSpec{{Hostname: network.StableName(nodeID)}}
	}

	return out.In(networkresource.ConfigLayerDefault)
}
