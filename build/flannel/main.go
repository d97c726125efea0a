// Command flanneld gives a node its part of the pod network: it takes the
// node's pod subnet from Kubernetes, joins the overlay (vxlan, host-gw or
// wireguard), and writes the CNI configuration that the node's containerd uses.
//
// It is flannel with a main of our own. The upstream program links back ends
// for clouds whose SDKs a cluster node does not need, and leaves the CNI
// configuration to a plugin that delegates to the bridge plugin; here that
// configuration is written directly.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/flannel-io/flannel/pkg/backend"
	_ "github.com/flannel-io/flannel/pkg/backend/hostgw"
	_ "github.com/flannel-io/flannel/pkg/backend/vxlan"
	_ "github.com/flannel-io/flannel/pkg/backend/wireguard"
	"github.com/flannel-io/flannel/pkg/ipmatch"
	"github.com/flannel-io/flannel/pkg/subnet"
	"github.com/flannel-io/flannel/pkg/subnet/kube"
	"github.com/flannel-io/flannel/pkg/trafficmngr"
	"github.com/flannel-io/flannel/pkg/trafficmngr/iptables"
	"github.com/flannel-io/flannel/pkg/trafficmngr/nftables"
	"k8s.io/klog/v2"
)

// resyncSeconds is how often the packet filter's rules are put back when
// somebody removed them.
const resyncSeconds = 5

// version is set by the linker.
var version = "unknown"

func main() {
	opts, err := parseOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "flanneld:", err)
		os.Exit(2)
	}

	if opts.version {
		fmt.Println(version)

		return
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	if err := run(ctx, opts); err != nil && ctx.Err() == nil {
		klog.ErrorS(err, "flanneld stops")
		klog.Flush()
		os.Exit(1)
	}
}

// run joins the overlay and returns when ctx ends or the node's lease is lost.
func run(ctx context.Context, opts options) error {
	ctx, cancel := context.WithCancel(ctx)

	var wg sync.WaitGroup

	// Every goroutine below ends with ctx, so cancel goes before the wait.
	defer wg.Wait()
	defer cancel()

	manager, err := kube.NewSubnetManager(ctx, opts.kubeAPIURL, opts.kubeconfig, opts.annotationPrefix,
		opts.netConf, opts.setNodeNetworkUnavailable)
	if err != nil {
		return fmt.Errorf("reading the node's subnet from Kubernetes: %w", err)
	}

	if opts.healthzPort > 0 {
		if err := serveHealth(ctx, &wg, net.JoinHostPort(opts.healthzIP, fmt.Sprint(opts.healthzPort))); err != nil {
			return err
		}
	}

	config, err := manager.GetNetworkConfig(ctx)
	if err != nil {
		return fmt.Errorf("reading %s: %w", opts.netConf, err)
	}

	link, err := externalInterface(ctx, manager, config, opts)
	if err != nil {
		return err
	}

	driver, err := backend.NewManager(ctx, manager, link).GetBackend(config.BackendType)
	if err != nil {
		return fmt.Errorf("starting the %s back end: %w", config.BackendType, err)
	}

	network, err := driver.RegisterNetwork(ctx, &wg, config)
	if err != nil {
		return fmt.Errorf("registering the node in the %s network: %w", config.BackendType, err)
	}

	if err := filterTraffic(ctx, config, network, opts); err != nil {
		return err
	}

	lease := network.Lease()

	if err := manager.HandleSubnetFile(opts.subnetFile, config, opts.ipMasq, lease.Subnet, lease.IPv6Subnet, network.MTU()); err != nil {
		return fmt.Errorf("writing %s: %w", opts.subnetFile, err)
	}

	if err := writeConflist(opts.cniConf, newConflist(config, lease, network.MTU())); err != nil {
		return err
	}

	wg.Go(func() { network.Run(ctx) })

	if err := manager.CompleteLease(ctx, lease, &wg); err != nil {
		return fmt.Errorf("holding the node's subnet: %w", err)
	}

	<-ctx.Done()

	return nil
}

// externalInterface finds the link and the addresses over which other nodes
// reach this one.
func externalInterface(ctx context.Context, manager subnet.Manager, config *subnet.Config, opts options) (*backend.ExternalInterface, error) {
	stack, err := ipmatch.GetIPFamily(config.EnableIPv4, config.EnableIPv6)
	if err != nil {
		return nil, fmt.Errorf("choosing the address family: %w", err)
	}

	public := ipmatch.PublicIPOpts{PublicIP: opts.publicIP, PublicIPv6: opts.publicIPv6}

	if v4, v6 := manager.GetStoredPublicIP(ctx); v4 != "" || v6 != "" {
		if v4 != "" {
			public.PublicIP = v4
		}

		if v6 != "" {
			public.PublicIPv6 = v6
		}
	}

	if len(opts.interfaces)+len(opts.interfaceExprs) == 0 && opts.canReach == "" {
		name := public.PublicIP
		if name == "" {
			name = public.PublicIPv6
		}

		link, err := ipmatch.LookupExtIface(name, "", "", stack, public)
		if err != nil {
			return nil, fmt.Errorf("finding the link of the default route: %w", err)
		}

		return link, nil
	}

	for _, name := range opts.interfaces {
		if link, err := ipmatch.LookupExtIface(name, "", "", stack, public); err == nil {
			return link, nil
		}
	}

	for _, expr := range opts.interfaceExprs {
		if link, err := ipmatch.LookupExtIface("", expr, "", stack, public); err == nil {
			return link, nil
		}
	}

	if opts.canReach != "" {
		if link, err := ipmatch.LookupExtIface("", "", opts.canReach, stack, public); err == nil {
			return link, nil
		}
	}

	return nil, fmt.Errorf("finding a link: none matches names [%s], expressions [%s], reach %q",
		strings.Join(opts.interfaces, " "), strings.Join(opts.interfaceExprs, " "), opts.canReach)
}

// filterTraffic installs the masquerading and forwarding rules and keeps them
// until ctx ends. The image carries nft alone, so nftables is the packet filter
// unless iptables is there and was asked for.
func filterTraffic(ctx context.Context, config *subnet.Config, network backend.Network, opts options) error {
	var manager trafficmngr.TrafficManager = &nftables.NFTablesManager{}

	if !config.EnableNFTables && iptablesPresent() {
		manager = &iptables.IPTablesManager{}
	}

	if err := manager.Init(ctx); err != nil {
		return fmt.Errorf("preparing the packet filter: %w", err)
	}

	if opts.ipMasq {
		previous := readSubnetFile(opts.subnetFile)

		err := manager.SetupAndEnsureMasqRules(ctx,
			config.Network, previous.subnet, previous.network,
			config.IPv6Network, previous.subnet6, previous.network6,
			network.Lease(), resyncSeconds, opts.ipMasqNoRandom)
		if err != nil {
			return fmt.Errorf("installing masquerading rules: %w", err)
		}
	}

	if opts.forwardRules {
		manager.SetupAndEnsureForwardRules(ctx, config.Network, config.IPv6Network, resyncSeconds)
	}

	return nil
}

// iptablesPresent reports whether an iptables program can be started.
func iptablesPresent() bool {
	for _, dir := range []string{"/sbin", "/usr/sbin", "/bin", "/usr/bin"} {
		if _, err := os.Stat(dir + "/iptables"); err == nil {
			return true
		}
	}

	return false
}

// serveHealth answers /healthz on address until ctx ends.
func serveHealth(ctx context.Context, wg *sync.WaitGroup, address string) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listening for health probes: %w", err)
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})

	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}

	wg.Go(func() {
		<-ctx.Done()
		server.Close()
	})
	wg.Go(func() {
		if err := server.Serve(listener); err != nil && ctx.Err() == nil {
			klog.ErrorS(err, "serving health probes")
		}
	})

	return nil
}
