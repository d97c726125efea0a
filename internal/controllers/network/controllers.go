package network

import (
	"log/slog"

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
}

// Controllers are all controllers of this package.
func Controllers(d Dependencies) []reconcile.Controller {
	dns := hostdns.New(d.Logger)

	return []reconcile.Controller{
		LinkStatus(d.Kernel),
		HardwareAddr(d.Kernel),
		AddressStatus(d.Kernel),
		RouteStatus(d.Kernel),
		RoutingRuleStatus(d.Kernel),
		NodeAddress(),
		SortAlgorithm(d.Config),
		HostnameSpec(d.Config, d.Hostname),
		HostnameStatus(d.Hostname),
		ResolverSpec(d.Config),
		ResolverStatus(),
		TimeServerSpec(d.Config),
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
