package cluster

import (
	"fmt"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/provision"
)

// settingOptions are the flags about what the configurations of nodes say,
// whatever the nodes are made of.
type settingOptions struct {
	nameservers, mirrors []string
	dnsDomain            string
	contract             string // empty: the newest
	discovery, kubeSpan  bool
}

func (s *settingOptions) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&s.nameservers, "nameservers", nil, "name servers of the nodes (default: those of this machine)")
	flags.StringSliceVar(&s.mirrors, "registry-mirror", nil, "mirrors of registries, as <registry host>=<mirror URL>")
	flags.StringVar(&s.dnsDomain, "dns-domain", machineconfig.DefaultDNSDomain, "domain of the cluster's DNS")
	flags.BoolVar(&s.discovery, "with-cluster-discovery", true, "let the nodes find each other by the discovery service")
	flags.BoolVar(&s.kubeSpan, "with-kubespan", false, "mesh the nodes over WireGuard")
}

// configure adds what the flags say to the description of a cluster and to the
// settings of its configurations.
func (s *settingOptions) configure(spec *provision.Spec, settings *provision.Settings) error {
	settings.DNSDomain, settings.KubeSpan, settings.NoDiscovery = s.dnsDomain, s.kubeSpan, !s.discovery
	settings.Contract = s.contract

	for _, text := range s.mirrors {
		mirror, err := machineconfig.ParseRegistryMirror(text)
		if err != nil {
			return fmt.Errorf("--registry-mirror: %w", err)
		}

		settings.Mirrors = append(settings.Mirrors, mirror)
	}

	if len(s.nameservers) > 0 {
		spec.Resolvers = nil
	}

	for _, text := range s.nameservers {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("--nameservers: %w", err)
		}

		spec.Resolvers = append(spec.Resolvers, address)
	}

	return nil
}
