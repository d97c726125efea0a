package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/loadbalancer"
	"github.com/basalt-os/basalt/internal/registry"
	"github.com/basalt-os/basalt/internal/timeserver"
	"github.com/basalt-os/basalt/pkg/provision"
)

const (
	// kubernetesPort is where a control plane's API server listens.
	kubernetesPort = 6443
	// stopTimeout is how long a node may take to shut down before it is
	// killed: longer than its own sequence may take.
	stopTimeout = 2 * time.Minute
	// killTimeout is how long the kernel may take to end a killed node.
	killTimeout = 10 * time.Second
)

// NodeStatus is what a node is doing now.
type NodeStatus struct {
	Name  string    `json:"name"`
	State State     `json:"state"`
	PID   int       `json:"pid,omitempty"` // the node's process on the hosting machine
	Since time.Time `json:"since"`
	// Detail is what the provisioner has to say about the running node.
	Detail string `json:"detail,omitempty"`
}

// host is the process behind a cluster.
type host struct {
	*Cluster

	provisioner Provisioner

	wg    sync.WaitGroup // the nodes
	nodes map[string]*node
	stop  context.CancelFunc // ends the host
}

// Run hosts the cluster in a folder: it makes the network, serves registry,
// discovery, load balancer and time on the gateway's address, starts all nodes, and
// answers on the folder's control socket until ctx ends or the control socket
// asks it to stop. When it returns, the nodes have ended and the network and
// the control groups are gone; the folder stays. It fails with [ErrNameTaken] when
// a cluster of the same name runs from another folder.
func Run(ctx context.Context, folder provision.Folder, provisioner Provisioner, logger *slog.Logger) (err error) {
	spec, err := folder.Spec()
	if err != nil {
		return err
	}

	lock, err := lockHost(folder)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // gives up the lock

	name, err := lockName(spec.Name)
	if err != nil {
		return err
	}
	defer name.Close() //nolint:errcheck // gives up the lock

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	h := &host{
		Cluster:     &Cluster{Spec: spec, Folder: folder, Logger: logger},
		provisioner: provisioner, nodes: map[string]*node{}, stop: cancel,
	}

	// Whatever a host process that was killed has left is in the way.
	if err := Cleanup(ctx, provisioner, spec.Name); err != nil {
		return err
	}

	// The control socket goes silent last: then everything is cleaned up.
	controlled, silence := context.WithCancel(context.WithoutCancel(ctx))

	var control sync.WaitGroup
	defer control.Wait()
	defer silence()

	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
		defer cancel()

		err = errors.Join(err, Cleanup(ctx, provisioner, spec.Name))
	}()

	if err := createNetwork(spec); err != nil {
		return err
	}

	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()

	failed, err := h.serve(ctx, &wg)
	if err != nil {
		return err
	}

	// The context of the nodes outlives ctx until they have been killed.
	nodes, killed := context.WithCancel(context.WithoutCancel(ctx))
	defer killed()
	defer h.killAll()

	for _, self := range spec.Nodes {
		n := &node{Cluster: h.Cluster, provisioner: provisioner, self: self, state: Stopped}
		h.nodes[self.Name] = n

		if err := n.start(nodes, &h.wg); err != nil {
			return err
		}
	}

	// The control socket comes last: who reaches it finds all nodes started.
	if err := h.control(controlled, nodes, &control, failed); err != nil {
		return err
	}

	select {
	case <-ctx.Done():
		return nil
	case err := <-failed:
		return err
	}
}

// Cleanup ends and removes everything outside its folder that a cluster has
// left behind. It is no error when there is nothing.
func Cleanup(ctx context.Context, provisioner Provisioner, cluster string) error {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()

	return errors.Join(provisioner.Cleanup(ctx, cluster), removeNetwork(cluster))
}

// serve starts the servers around the nodes. They end with ctx; the first that
// fails is reported on the channel.
func (h *host) serve(ctx context.Context, wg *sync.WaitGroup) (chan error, error) {
	failed := make(chan error, 8)

	images, err := registry.New(h.Spec.Images)
	if err != nil {
		return nil, fmt.Errorf("opening the images: %w", err)
	}

	registryListener, err := h.listen(provision.RegistryPort)
	if err != nil {
		return nil, err
	}

	ServeHTTP(ctx, wg, failed, &http.Server{Handler: images, ReadHeaderTimeout: stopTimeout}, registryListener)

	discoveryListener, err := h.listen(provision.DiscoveryPort)
	if err != nil {
		return nil, err
	}

	h.serveDiscovery(ctx, wg, failed, discoveryListener)

	balancerListener, err := h.listen(provision.KubernetesPort)
	if err != nil {
		return nil, err
	}

	var backends []string
	for _, node := range h.Spec.ByRole(provision.ControlPlane) {
		backends = append(backends, netip.AddrPortFrom(node.Address, kubernetesPort).String())
	}

	balancer := loadbalancer.New(h.Logger)
	balancer.SetBackends(backends)
	wg.Go(func() { failed <- balancer.Serve(ctx, balancerListener) })

	if err := h.serveTime(ctx, wg, failed, timeserver.Port); err != nil {
		return nil, err
	}

	return failed, h.provisioner.Serve(ctx, h.Cluster, wg, failed)
}

func (h *host) listen(port uint16) (net.Listener, error) {
	// The bridge has no link yet, so its address may still be tentative.
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) (err error) {
		return errors.Join(conn.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
		}), err)
	}}

	return config.Listen(context.Background(), "tcp", netip.AddrPortFrom(h.Spec.Gateway(), port).String())
}

// ServeHTTP runs an HTTP server until ctx ends.
func ServeHTTP(ctx context.Context, wg *sync.WaitGroup, failed chan<- error, server *http.Server, listener net.Listener) {
	wg.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			failed <- err
		}
	})
	wg.Go(func() {
		<-ctx.Done()
		server.Close() //nolint:errcheck // ends all connections
	})
}
