package qemu

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/dhcpserver"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// leaseTime is how long an address is a machine's without asking again.
const leaseTime = time.Hour

// ConfigPort is where the host process serves machine configurations, on the
// gateway's address.
const ConfigPort = 8090

// Provisioner makes nodes out of virtual machines.
type Provisioner struct{}

// Serve gives the machines addresses, and their configurations to those that
// download them.
func (Provisioner) Serve(ctx context.Context, cluster *host.Cluster, wg *sync.WaitGroup, failed chan<- error) error {
	wg.Go(func() {
		if err := dhcpserver.Serve(ctx, host.BridgeName(cluster.Spec.Name), leases(cluster.Spec), cluster.Logger); err != nil {
			failed <- err
		}
	})

	if cluster.Spec.Machines.Injection != provision.InjectHTTP {
		return nil
	}

	listener, err := net.Listen("tcp4", netip.AddrPortFrom(cluster.Spec.Gateway(), ConfigPort).String())
	if err != nil {
		return fmt.Errorf("serving configurations: %w", err)
	}

	host.ServeHTTP(ctx, wg, failed, &http.Server{Handler: configurations(cluster), ReadHeaderTimeout: time.Minute}, listener)

	return nil
}

// leases are what DHCP tells.
func leases(spec *provision.Spec) dhcpserver.Config {
	gateway := spec.Gateway()
	config := dhcpserver.Config{
		Server: gateway, Router: gateway, Network: spec.Network, Resolvers: spec.Resolvers,
		TimeServers: []netip.Addr{gateway}, Duration: leaseTime, MTU: uint16(spec.Machines.MTU),
	}

	for _, node := range spec.Nodes {
		lease := dhcpserver.Lease{MAC: net.HardwareAddr(node.MAC), Address: node.Address}
		if spec.Machines.Hostnames {
			lease.Hostname = node.Name
		}

		config.Leases = append(config.Leases, lease)
	}

	return config
}

// configurations serves each machine, known by its address, its configuration.
func configurations(cluster *host.Cluster) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /config.yaml", func(w http.ResponseWriter, r *http.Request) {
		from, err := netip.ParseAddrPort(r.RemoteAddr)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)

			return
		}

		for _, node := range cluster.Spec.Nodes {
			if node.Address == from.Addr().Unmap() {
				http.ServeFile(w, r, cluster.Folder.NodeConfig(node.Name))

				return
			}
		}

		http.Error(w, "no node has this address", http.StatusNotFound)
	})

	return mux
}

// Launch powers a machine on.
func (Provisioner) Launch(cluster *host.Cluster, node provision.Node) (host.Machine, error) {
	machines := cluster.Spec.Machines
	f := files{cluster.Folder.Node(node.Name)}

	installed, err := hasSystem(f, node)
	if err != nil {
		return nil, err
	}

	args, err := arguments(machines, cluster.Spec.Gateway(), node, f, state{installed})
	if err != nil {
		return nil, err
	}

	tap, err := openTap(cluster.Spec.Name, node.Name, machines.MTU)
	if err != nil {
		return nil, err
	}
	defer tap.Close() //nolint:errcheck // the child has it

	logger := cluster.Logger.With("node", node.Name)

	m, err := launch(machines.Program, args, cluster.Folder.Console(node.Name), tap, machines.Accelerator, func(e event) {
		logger.Info("machine", "event", e.Event, "reason", e.Data.Reason, "action", e.Data.Action, "guest", e.Data.Guest)
	})
	if err != nil {
		return nil, err
	}

	logger.Info("machine on", "pid", m.PID(), "accelerator", machines.Accelerator, "installed", installed)

	return m, nil
}

// Cleanup has nothing to do: machines and their tap devices end with the host
// process.
func (Provisioner) Cleanup(context.Context, string) error { return nil }

// hasSystem says whether the first disk has a partition to boot from.
func hasSystem(f files, node provision.Node) (bool, error) {
	if len(node.Disks) == 0 {
		return false, nil
	}

	disk, err := os.Open(f.disk(0))
	if err != nil {
		return false, err
	}
	defer disk.Close() //nolint:errcheck // only read

	info, err := disk.Stat()
	if err != nil {
		return false, err
	}

	sector := node.Disks[0].BlockSize
	if sector == 0 {
		sector = 512
	}

	table, _, err := gpt.Read(disk, info.Size(), int(sector))
	if err != nil {
		return false, nil //nolint:nilerr // no table: nothing to boot
	}

	for _, partition := range table.Partitions {
		if partition.Type == gpt.TypeEFI {
			return true, nil
		}
	}

	return false, nil
}

// openTap makes a tap device in the cluster's bridge. It is gone when all have
// closed it.
func openTap(cluster, node string, mtu int) (*os.File, error) {
	name := host.LinkName(node)

	file, err := os.OpenFile("/dev/net/tun", os.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("making tap device %s: %w", name, err)
	}

	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}

	request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI | unix.IFF_VNET_HDR)

	if err := unix.IoctlIfreq(int(file.Fd()), unix.TUNSETIFF, request); err != nil {
		return nil, errors.Join(fmt.Errorf("making tap device %s: %w", name, err), file.Close())
	}

	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("finding tap device %s: %w", name, err), file.Close())
	}

	if mtu > 0 {
		if err := netlink.LinkSetMTU(link, mtu); err != nil {
			return nil, errors.Join(fmt.Errorf("setting the MTU of %s to %s: %w", name, strconv.Itoa(mtu), err), file.Close())
		}
	}

	if err := host.AttachLink(cluster, link); err != nil {
		return nil, errors.Join(err, file.Close())
	}

	return file, nil
}
