package network

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/controllers/network/hostdns"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/cluster"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

const dnsPort = 53

// serviceDNS is where pods find the node's DNS server. It is an address of the
// loopback link, the same on every node.
var serviceDNS = netip.MustParseAddr("169.254.116.108")

// HostDNSConfig decides whether and where the node's DNS server runs.
func HostDNSConfig(reader *configured.Reader) reconcile.Controller {
	return configured.One(reader, "network.HostDNSConfigController", network.HostDNSConfigID,
		func(cfg *machineconfig.Config) (network.HostDNSConfig, error) { return hostDNSConfig(cfg), nil })
}

func hostDNSConfig(cfg *machineconfig.Config) network.HostDNSConfig {
	spec := network.HostDNSConfig{ListenAddresses: []netip.AddrPort{netip.AddrPortFrom(hostDNSLocal, dnsPort)}}

	dns := cfg.Machine().HostDNS
	if !dns.Enabled {
		return spec
	}

	spec.Enabled = true
	spec.ResolveMemberNames = dns.ResolveMemberNames

	if dns.ForwardKubeDNS {
		spec.ServiceHostDNSAddress = serviceDNS
		spec.ListenAddresses = append(spec.ListenAddresses, netip.AddrPortFrom(serviceDNS, dnsPort))
	}

	return spec
}

// dnsInstance runs listeners of one server and remembers how each of them is.
type dnsInstance struct {
	server *hostdns.Server
	kernel Kernel
	logger *slog.Logger

	mu     sync.Mutex
	want   []netip.AddrPort
	state  map[netip.AddrPort]string
	notify func()
}

// DNSServer runs the node's DNS server. It shows a resource per listener.
func DNSServer(server *hostdns.Server, kernel Kernel, logger *slog.Logger) reconcile.Controller {
	instance := &dnsInstance{server: server, kernel: kernel, logger: logger, state: map[netip.AddrPort]string{}, notify: func() {}}
	changed := make(chan struct{}, 1)

	controller := derive.All("network.DNSResolveCacheController",
		[]reconcile.Input{
			reconcile.In[network.HostDNSConfig]().WithID(network.HostDNSConfigID),
			reconcile.In[network.ResolverStatus]().WithID(network.ResolverID),
			reconcile.In[cluster.Member](),
		},
		func(ctx context.Context, rt *reconcile.Runtime) (map[string]network.DNSResolveCache, error) {
			config, err := derive.Find[network.HostDNSConfig](ctx, rt, network.HostDNSConfigID)
			if err != nil {
				return nil, err
			}

			resolver, err := derive.Find[network.ResolverStatus](ctx, rt, network.ResolverID)
			if err != nil {
				return nil, err
			}

			members, err := resource.List[cluster.Member](ctx, rt)
			if err != nil {
				return nil, err
			}

			var listen []netip.AddrPort

			if config != nil && config.Spec.Enabled {
				listen = config.Spec.ListenAddresses

				if resolver != nil {
					server.SetUpstreams(upstreams(resolver.Spec.NameServers, listen))
				}

				if config.Spec.ResolveMemberNames {
					server.SetMembers(memberNames(members))
				} else {
					server.SetMembers(nil)
				}
			}

			if instance.set(listen) {
				select {
				case changed <- struct{}{}:
				default:
				}
			}

			return instance.statuses(), nil
		})

	return derive.Watched(controller, func(ctx context.Context, notify func()) error {
		return instance.run(ctx, changed, notify)
	})
}

// upstreams are the name servers without the node's own listeners, which would
// ask themselves.
func upstreams(servers []network.NameServerSpec, listen []netip.AddrPort) []hostdns.Nameserver {
	own := map[netip.Addr]bool{}
	for _, l := range listen {
		own[l.Addr()] = true
	}

	var out []hostdns.Nameserver

	for _, s := range servers {
		if !own[s.Addr] {
			out = append(out, hostdns.Nameserver{Address: s.Addr, Protocol: hostdns.Protocol(s.Protocol), ServerName: s.TLSServerName})
		}
	}

	return out
}

func memberNames(members []*resource.Resource[cluster.Member]) map[string][]netip.Addr {
	out := map[string][]netip.Addr{}

	for _, m := range members {
		for _, name := range []string{m.Spec.Hostname, m.Meta.ID} {
			if name != "" {
				out[strings.ToLower(name)] = m.Spec.Addresses
			}
		}
	}

	return out
}

// set changes where the server shall listen and reports whether that is news.
func (i *dnsInstance) set(listen []netip.AddrPort) bool {
	i.mu.Lock()
	defer i.mu.Unlock()

	if fmt.Sprint(i.want) == fmt.Sprint(listen) {
		return false
	}

	i.want = listen

	return true
}

func (i *dnsInstance) statuses() map[string]network.DNSResolveCache {
	i.mu.Lock()
	defer i.mu.Unlock()

	out := map[string]network.DNSResolveCache{}

	for _, address := range i.want {
		status := i.state[address]
		if status == "" {
			status = "starting"
		}

		out[address.String()] = network.DNSResolveCache{Status: status}
	}

	return out
}

func (i *dnsInstance) report(address netip.AddrPort, status string, notify func()) {
	i.mu.Lock()
	i.state[address] = status
	i.mu.Unlock()

	notify()
}

// run keeps the listeners that are wanted until ctx ends.
func (i *dnsInstance) run(ctx context.Context, changed <-chan struct{}, notify func()) error {
	running := map[netip.AddrPort]context.CancelFunc{}

	var listeners sync.WaitGroup

	defer listeners.Wait()

	for {
		i.mu.Lock()
		want := i.want
		i.mu.Unlock()

		wanted := map[netip.AddrPort]bool{}
		for _, address := range want {
			wanted[address] = true
		}

		for address, stop := range running {
			if !wanted[address] {
				stop()
				delete(running, address)
			}
		}

		for _, address := range want {
			if running[address] != nil {
				continue
			}

			listenerCtx, stop := context.WithCancel(ctx)
			running[address] = stop

			listeners.Go(func() {
				defer stop()

				i.listen(listenerCtx, address, notify)
			})
		}

		select {
		case <-ctx.Done():
			for _, stop := range running {
				stop()
			}

			return nil
		case <-changed:
		}
	}
}

// listen serves on one address and starts again after a failure.
func (i *dnsInstance) listen(ctx context.Context, address netip.AddrPort, notify func()) {
	const pause = time.Second

	for ctx.Err() == nil {
		err := i.prepare(address.Addr())
		if err == nil {
			err = i.server.ListenAndServe(ctx, address, func() { i.report(address, "running", notify) })
		}

		if ctx.Err() != nil {
			return
		}

		i.logger.Warn("DNS listener stopped", "address", address, "error", err)
		i.report(address, "failed: "+fmt.Sprint(err), notify)

		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// prepare makes sure that the address is the node's own. All of 127.0.0.0/8 is.
func (i *dnsInstance) prepare(address netip.Addr) error {
	if address.IsLoopback() {
		return nil
	}

	return i.kernel.AddAddress("lo", netip.PrefixFrom(address, address.BitLen()))
}

// upstreamInterval is how often the health of the upstreams is looked at.
const upstreamInterval = 5 * time.Second

// DNSUpstreams shows the servers that the node's DNS server asks, and whether
// each of them answers.
func DNSUpstreams(server *hostdns.Server) reconcile.Controller {
	return derive.All("network.DNSUpstreamController",
		[]reconcile.Input{reconcile.In[network.ResolverStatus]().WithID(network.ResolverID)},
		func(_ context.Context, rt *reconcile.Runtime) (map[string]network.DNSUpstream, error) {
			out := map[string]network.DNSUpstream{}

			for upstream, healthy := range server.Health() {
				out[upstream.Address.String()] = network.DNSUpstream{
					Addr: netip.AddrPortFrom(upstream.Address, dnsPort).String(), Healthy: healthy,
				}
			}

			rt.RequeueAfter(upstreamInterval)

			return out, nil
		})
}

// PodResolvConf writes the resolver configuration of pods that use the node's
// DNS: the node's own server where it listens for pods, the upstreams else.
func PodResolvConf(path string) reconcile.Controller {
	return derive.Act("network.PodResolvConfController",
		[]reconcile.Input{
			reconcile.In[network.ResolverStatus]().WithID(network.ResolverID),
			reconcile.In[network.HostDNSConfig]().WithID(network.HostDNSConfigID),
		}, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			resolver, err := derive.Find[network.ResolverStatus](ctx, rt, network.ResolverID)
			if err != nil || resolver == nil {
				return err
			}

			config, err := derive.Find[network.HostDNSConfig](ctx, rt, network.HostDNSConfigID)
			if err != nil {
				return err
			}

			servers := resolver.Spec.DNSServers
			if config != nil && config.Spec.Enabled && config.Spec.ServiceHostDNSAddress.IsValid() {
				servers = []netip.Addr{config.Spec.ServiceHostDNSAddress}
			}

			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return fmt.Errorf("writing the resolver configuration of pods: %w", err)
			}

			if err := os.WriteFile(path, []byte(resolvConf(servers, resolver.Spec.SearchDomains)), 0o644); err != nil {
				return fmt.Errorf("writing the resolver configuration of pods: %w", err)
			}

			return nil
		})
}
