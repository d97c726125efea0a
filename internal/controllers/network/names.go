package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Hostnames is the host's own name, as the kernel has it.
type Hostnames interface {
	Hostname() (string, error)
	SetHostname(name string) error
}

// unnamed are names that a kernel gives to a host that has none.
var unnamed = []string{"", "localhost", "(none)"}

// HostnameSpec decides the name of the node: the configured one, else the one
// that the platform gave at start, else one made from the node's identity.
func HostnameSpec(reader *configured.Reader, host Hostnames) reconcile.Controller {
	// The platform's name is the one that the kernel has before it is changed.
	platform, platformErr := host.Hostname()

	return derive.One("network.HostnameConfigController", network.HostnameID,
		[]reconcile.Input{configured.Input(), reconcile.In[cluster.Identity]().WithID(cluster.LocalIdentityID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ network.HostnameSpec) (network.HostnameSpec, error) {
			if platformErr != nil {
				return network.HostnameSpec{}, fmt.Errorf("reading the hostname: %w", platformErr)
			}

			cfg, err := reader.Read(ctx, rt)
			if err != nil {
				return network.HostnameSpec{}, err
			}

			identity, err := derive.Find[cluster.Identity](ctx, rt, cluster.LocalIdentityID)
			if err != nil {
				return network.HostnameSpec{}, err
			}

			nodeID := ""
			if identity != nil {
				nodeID = identity.Spec.NodeID
			}

			spec, ok := hostname(cfg, platform, nodeID)
			if !ok {
				return derive.None[network.HostnameSpec]()
			}

			return spec, nil
		})
}

// hostname chooses the name. It has none while nothing is known to make it
// from.
func hostname(cfg *machineconfig.Config, platform, nodeID string) (network.HostnameSpec, bool) {
	if cfg != nil {
		if name := cfg.Machine().Hostname; name != "" {
			return splitName(name, network.ConfigLayerConfiguration), true
		}
	}

	if !slices.Contains(unnamed, platform) {
		return splitName(platform, network.ConfigLayerPlatform), true
	}

	if nodeID == "" {
		return network.HostnameSpec{}, false
	}

	return network.HostnameSpec{Hostname: StableName(nodeID), ConfigLayer: network.ConfigLayerDefault}, true
}

// StableName makes a name of the form talos-xxx-xxx from a node's identity.
func StableName(nodeID string) string {
	sum := sha256.Sum256([]byte(nodeID))
	text := hex.EncodeToString(sum[:])

	return fmt.Sprintf("talos-%s-%s", text[:3], text[3:6])
}

func splitName(name string, layer network.ConfigLayer) network.HostnameSpec {
	host, domain, _ := strings.Cut(name, ".")

	return network.HostnameSpec{Hostname: host, Domainname: domain, ConfigLayer: layer}
}

// HostnameStatus gives the kernel the decided name and shows it.
func HostnameStatus(host Hostnames) reconcile.Controller {
	return derive.One("network.HostnameSpecController", network.HostnameID,
		[]reconcile.Input{reconcile.In[network.HostnameSpec]().WithID(network.HostnameID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ network.HostnameStatus) (network.HostnameStatus, error) {
			spec, err := derive.Find[network.HostnameSpec](ctx, rt, network.HostnameID)
			if err != nil {
				return network.HostnameStatus{}, err
			}

			if spec == nil {
				return derive.None[network.HostnameStatus]()
			}

			current, err := host.Hostname()
			if err != nil {
				return network.HostnameStatus{}, fmt.Errorf("reading the hostname: %w", err)
			}

			if current != spec.Spec.Hostname {
				if err := host.SetHostname(spec.Spec.Hostname); err != nil {
					return network.HostnameStatus{}, fmt.Errorf("setting the hostname to %s: %w", spec.Spec.Hostname, err)
				}
			}

			return network.HostnameStatus{Hostname: spec.Spec.Hostname, Domainname: spec.Spec.Domainname}, nil
		})
}

// DefaultResolvers are asked where nothing else is configured.
func DefaultResolvers() []netip.Addr {
	return []netip.Addr{netip.AddrFrom4([4]byte{1, 1, 1, 1}), netip.AddrFrom4([4]byte{8, 8, 8, 8})}
}

// ResolverSpec decides which name servers the node asks.
func ResolverSpec(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "network.ResolverConfigController", network.ResolverID, resolvers)
}

func resolvers(cfg *machineconfig.Config) (network.ResolverSpec, error) {
	machine := cfg.Machine()
	spec := network.ResolverSpec{
		ConfigLayer: network.ConfigLayerDefault, SearchDomains: machine.SearchDomains, SearchDomainsOverridden: machine.NoDefaultSearch,
	}

	for _, n := range machine.Nameservers {
		server := network.NameServerSpec{Addr: n.Address, TLSServerName: n.TLSServerName}
		if err := server.Protocol.UnmarshalText([]byte(n.Protocol)); err != nil {
			return spec, fmt.Errorf("reading name server %s: %w", n.Address, err)
		}

		spec.NameServers = append(spec.NameServers, server)
		spec.ConfigLayer = network.ConfigLayerConfiguration
	}

	if len(spec.NameServers) == 0 {
		for _, server := range DefaultResolvers() {
			spec.NameServers = append(spec.NameServers, network.NameServerSpec{Addr: server})
		}
	}

	for _, n := range spec.NameServers {
		spec.DNSServers = append(spec.DNSServers, n.Addr)
	}

	return spec, nil
}

// ResolverStatus shows the name servers in use.
func ResolverStatus() reconcile.Controller {
	return derive.One("network.ResolverSpecController", network.ResolverID,
		[]reconcile.Input{
			reconcile.In[network.ResolverSpec]().WithID(network.ResolverID),
			reconcile.In[network.HostnameStatus]().WithID(network.HostnameID),
		},
		func(ctx context.Context, rt *reconcile.Runtime, _ network.ResolverStatus) (network.ResolverStatus, error) {
			spec, err := derive.Find[network.ResolverSpec](ctx, rt, network.ResolverID)
			if err != nil {
				return network.ResolverStatus{}, err
			}

			if spec == nil {
				return derive.None[network.ResolverStatus]()
			}

			host, err := derive.Find[network.HostnameStatus](ctx, rt, network.HostnameID)
			if err != nil {
				return network.ResolverStatus{}, err
			}

			domains := spec.Spec.SearchDomains
			if host != nil && host.Spec.Domainname != "" && !spec.Spec.SearchDomainsOverridden {
				domains = append(slices.Clone(domains), host.Spec.Domainname)
			}

			return network.ResolverStatus{
				DNSServers: spec.Spec.DNSServers, NameServers: spec.Spec.NameServers, SearchDomains: domains,
			}, nil
		})
}

// TimeServerSpec decides which time servers the node asks.
func TimeServerSpec(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "network.TimeServerConfigController", network.TimeServerID,
		func(cfg *machineconfig.Config) (network.TimeServerSpec, error) {
			time := cfg.Machine().Time

			return network.TimeServerSpec{
				NTPServers: time.Servers, UseNTS: time.UseNTS, ConfigLayer: network.ConfigLayerConfiguration,
			}, nil
		})
}

// TimeServerStatus shows the time servers in use.
func TimeServerStatus() reconcile.Controller {
	return derive.One("network.TimeServerSpecController", network.TimeServerID,
		[]reconcile.Input{reconcile.In[network.TimeServerSpec]().WithID(network.TimeServerID)},
		func(ctx context.Context, rt *reconcile.Runtime, _ network.TimeServerStatus) (network.TimeServerStatus, error) {
			spec, err := derive.Find[network.TimeServerSpec](ctx, rt, network.TimeServerID)
			if err != nil {
				return network.TimeServerStatus{}, err
			}

			if spec == nil {
				return derive.None[network.TimeServerStatus]()
			}

			return network.TimeServerStatus{NTPServers: spec.Spec.NTPServers, UseNTS: spec.Spec.UseNTS}, nil
		})
}

// StaticHost shows the configured entries of the hosts file.
func StaticHost(reader *configured.Reader) reconcile.Controller {
	return configured.All(reader, "network.StaticHostConfigController",
		func(cfg *machineconfig.Config) (map[string]network.StaticHost, error) {
			out := map[string]network.StaticHost{}

			for _, doc := range cfg.Machine().StaticHosts {
				address, err := netip.ParseAddr(doc.Name)
				if err != nil {
					return nil, fmt.Errorf("parsing the address of static host %q: %w", doc.Name, err)
				}

				for _, name := range doc.Hostnames {
					host := out[name]
					host.Addresses = append(host.Addresses, address)
					out[name] = host
				}
			}

			return out, nil
		})
}
