package network

import (
	"log/slog"
	"net/http"

	"github.com/basalt-os/basalt/internal/controllers/configured"
	"github.com/basalt-os/basalt/internal/controllers/network/hostdns"
	"github.com/basalt-os/basalt/internal/reconcile"
)

// Dependencies are what the controllers of this package need.
type Dependencies struct {
	Config   *configured.Reader
	Kernel   Kernel
	Hostname Hostnames
	Logger   *slog.Logger
	// PodResolvConf is the path of the resolver configuration that the kubelet
	// gives to pods.
	PodResolvConf string
	// Adapt gives an HTTP client what it needs to reach servers elsewhere; it may
	// be nil.
	Adapt func(*http.Client) error
}

// Controllers are all controllers of a container node: it finds its network
// ready.
func Controllers(d Dependencies) []reconcile.Controller {
	return append(Common(d), HostnameSpec(d.Config, d.Hostname), ResolverSpec(d.Config), TimeServerSpec(d.Config))
}

// Common are the controllers of every node: they show what the kernel has, and
// make of the decided names, resolvers and time servers what programs use.
func Common(d Dependencies) []reconcile.Controller {
	dns := hostdns.New(d.Logger)

	return []reconcile.Controller{
		LinkStatus(d.Kernel),
		HardwareAddr(d.Kernel),
		AddressStatus(d.Kernel),
		RouteStatus(d.Kernel),
		RoutingRuleStatus(d.Kernel),
		NodeAddress(),
		SortAlgorithm(d.Config),
		HostnameStatus(d.Hostname),
		ResolverStatus(),
		TimeServerStatus(),
		StaticHost(d.Config),
		EtcFiles(),
		Status(),
		HostDNSConfig(d.Config),
		DNSServer(dns, d.Kernel, d.Logger),
		DNSUpstreams(dns),
		PodResolvConf(d.PodResolvConf),
	}
}
