package network

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/files"
	"github.com/basalt-os/basalt/internal/resources/network"
)

// hostDNSLocal is where the node's own programs find its DNS server.
var hostDNSLocal = netip.MustParseAddr("127.0.0.53")

// EtcFiles renders the files under /etc that tell programs of the network.
func EtcFiles() reconcile.Controller {
	return derive.All("network.EtcFileController",
		[]reconcile.Input{
			reconcile.In[network.HostnameStatus]().WithID(network.HostnameID),
			reconcile.In[network.ResolverStatus]().WithID(network.ResolverID),
			reconcile.In[network.HostDNSConfig]().WithID(network.HostDNSConfigID),
			reconcile.In[network.NodeAddress]().WithID(network.NodeAddressDefaultID),
			reconcile.In[network.StaticHost](),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]files.EtcFileSpec, error) {
			host, err := derive.Find[network.HostnameStatus](ctx, rt, network.HostnameID)
			if err != nil {
				return nil, err
			}

			resolver, err := derive.Find[network.ResolverStatus](ctx, rt, network.ResolverID)
			if err != nil {
				return nil, err
			}

			hostDNS, err := derive.Find[network.HostDNSConfig](ctx, rt, network.HostDNSConfigID)
			if err != nil {
				return nil, err
			}

			address, err := derive.Find[network.NodeAddress](ctx, rt, network.NodeAddressDefaultID)
			if err != nil {
				return nil, err
			}

			static, err := resource.List[network.StaticHost](ctx, rt)
			if err != nil {
				return nil, err
			}

			out := map[string]files.EtcFileSpec{}

			if resolver != nil {
				servers := resolver.Spec.DNSServers
				if hostDNS != nil && hostDNS.Spec.Enabled {
					servers = []netip.Addr{hostDNSLocal}
				}

				out["resolv.conf"] = file(resolvConf(servers, resolver.Spec.SearchDomains))
			}

			if host != nil {
				var own netip.Addr
				if address != nil && len(address.Spec.Addresses) > 0 {
					own = address.Spec.Addresses[0].Addr()
				}

				out["hostname"] = file(host.Spec.Hostname + "\n")
				out["hosts"] = file(hosts(host.Spec, own, static))
			}

			return out, nil
		})
}

func file(contents string) files.EtcFileSpec {
	return files.EtcFileSpec{Contents: contents, Mode: 0o644}
}

// resolvConf renders a resolver configuration. The C library looks at three
// servers at most.
func resolvConf(servers []netip.Addr, search []string) string {
	var b strings.Builder

	for _, s := range servers[:min(len(servers), 3)] {
		fmt.Fprintf(&b, "nameserver %s\n", s)
	}

	if len(search) > 0 {
		fmt.Fprintf(&b, "\nsearch %s\n", strings.Join(search, " "))
	}

	return b.String()
}

// hosts renders the hosts file: the loopback names, the node's own, then the
// configured ones by address.
func hosts(host network.HostnameStatus, own netip.Addr, static []*resource.Resource[network.StaticHost]) string {
	var b strings.Builder

	line := func(address string, names ...string) {
		fmt.Fprintf(&b, "%-15s %s\n", address, strings.Join(names, " "))
	}

	line("127.0.0.1", "localhost")

	if own.IsValid() {
		names := []string{host.Hostname}
		if host.Domainname != "" {
			names = []string{host.Hostname + "." + host.Domainname, host.Hostname}
		}

		line(own.String(), names...)
	}

	line("::1", "localhost", "ip6-localhost", "ip6-loopback")
	line("ff02::1", "ip6-allnodes")
	line("ff02::2", "ip6-allrouters")

	names := map[netip.Addr][]string{}

	for _, s := range static {
		for _, a := range s.Spec.Addresses {
			names[a] = append(names[a], s.Meta.ID)
		}
	}

	for _, a := range slices.SortedFunc(maps.Keys(names), netip.Addr.Compare) {
		line(a.String(), names[a]...)
	}

	return b.String()
}
