package container

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/loadbalancer"
	"github.com/basalt-os/basalt/internal/registry"
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
	PID   int       `json:"pid,omitempty"` // of PID 1, as the hosting machine sees it
	Since time.Time `json:"since"`
}

// host is the process behind a cluster.
type host struct {
	spec   *provision.Spec
	folder provision.Folder
	logger *slog.Logger

	wg    sync.WaitGroup // the nodes
	nodes map[string]*node
	stop  context.CancelFunc // ends the host
}

// Run hosts the cluster in a folder: it makes the network, serves registry,
// discovery and load balancer on the gateway's address, starts all nodes, and
// answers on the folder's control socket until ctx ends or the control socket
// asks it to stop. When it returns, the nodes have ended and the network and
// the control groups are gone; the folder stays.
func Run(ctx context.Context, folder provision.Folder, logger *slog.Logger) (err error) {
	spec, err := folder.Spec()
	if err != nil {
		return err
	}

	lock, err := lockHost(folder)
	if err != nil {
		return err
	}
	defer lock.Close() //nolint:errcheck // gives up the lock

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	h := &host{spec: spec, folder: folder, logger: logger, nodes: map[string]*node{}, stop: cancel}

	// Whatever a host process that was killed has left is in the way.
	if err := Cleanup(ctx, spec.Name); err != nil {
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

		err = errors.Join(err, Cleanup(ctx, spec.Name))
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
		n := &node{spec: spec, self: self, folder: folder, logger: logger, state: Stopped}
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
func Cleanup(ctx context.Context, cluster string) error {
	ctx, cancel := context.WithTimeout(ctx, killTimeout)
	defer cancel()

	return errors.Join(removeCgroups(ctx, cluster), removeNetwork(cluster))
}

// serve starts the servers around the nodes. They end with ctx; the first that
// fails is reported on the channel.
func (h *host) serve(ctx context.Context, wg *sync.WaitGroup) (chan error, error) {
	failed := make(chan error, 8)

	images, err := registry.New(h.spec.Images)
	if err != nil {
		return nil, fmt.Errorf("opening the images: %w", err)
	}

	registryListener, err := h.listen(provision.RegistryPort)
	if err != nil {
		return nil, err
	}

	serveHTTP(ctx, wg, failed, &http.Server{Handler: images, ReadHeaderTimeout: stopTimeout}, registryListener)

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
	for _, node := range h.spec.ByRole(provision.ControlPlane) {
		backends = append(backends, netip.AddrPortFrom(node.Address, kubernetesPort).String())
	}

	balancer := loadbalancer.New(h.logger)
	balancer.SetBackends(backends)
	wg.Go(func() { failed <- balancer.Serve(ctx, balancerListener) })

	return failed, nil
}

func (h *host) listen(port uint16) (net.Listener, error) {
	// The bridge has no link yet, so its address may still be tentative.
	config := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) (err error) {
		return errors.Join(conn.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
		}), err)
	}}

	return config.Listen(context.Background(), "tcp", netip.AddrPortFrom(h.spec.Gateway(), port).String())
}

// serveHTTP runs an HTTP server until ctx ends.
func serveHTTP(ctx context.Context, wg *sync.WaitGroup, failed chan<- error, server *http.Server, listener net.Listener) {
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

// control serves the control socket until ctx ends; the nodes that it starts
// run until nodes ends.
func (h *host) control(ctx, nodes context.Context, wg *sync.WaitGroup, failed chan<- error) error {
	path := h.folder.Path(socketName)
	os.Remove(path) //nolint:errcheck // left by a host process that was killed

	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}

	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.HandleFunc("GET /nodes", h.handleStatus)
	mux.HandleFunc("POST /stop", h.handleStop)
	mux.HandleFunc("POST /nodes/{name}/start", h.handleNode(func(n *node) error { return n.start(nodes, &h.wg) }))
	mux.HandleFunc("POST /nodes/{name}/stop", h.handleNode(h.shutDown))
	mux.HandleFunc("POST /nodes/{name}/kill", h.handleNode(h.kill))

	serveHTTP(ctx, wg, failed, &http.Server{Handler: mux, ReadHeaderTimeout: stopTimeout}, listener)

	return nil
}

func (h *host) handleStatus(w http.ResponseWriter, _ *http.Request) {
	statuses := make([]NodeStatus, len(h.spec.Nodes))
	for i, node := range h.spec.Nodes {
		statuses[i] = h.nodes[node.Name].status()
	}

	json.NewEncoder(w).Encode(statuses) //nolint:errcheck,errchkjson // the client may have gone
}

// handleStop ends the host; with "graceful" the nodes are shut down first.
func (h *host) handleStop(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("graceful") {
		var wg sync.WaitGroup

		for _, n := range h.nodes {
			wg.Go(func() {
				if err := h.shutDown(n); err != nil {
					h.logger.Error("stopping a node", "node", n.self.Name, "error", err)
				}
			})
		}

		wg.Wait()
	}

	w.WriteHeader(http.StatusNoContent)
	h.stop()
}

func (h *host) handleNode(act func(*node) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n, ok := h.nodes[r.PathValue("name")]
		if !ok {
			http.Error(w, fmt.Sprintf("no node %q", r.PathValue("name")), http.StatusNotFound)

			return
		}

		if err := act(n); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)

			return
		}

		w.WriteHeader(http.StatusNoContent)
	}
}

// shutDown asks a node to power off and kills it when it does not.
func (h *host) shutDown(n *node) error {
	select {
	case <-n.signal(syscall.SIGTERM, true):
		return nil
	case <-time.After(stopTimeout):
		h.logger.Warn("node did not shut down in time", "node", n.self.Name, "timeout", stopTimeout)

		return h.kill(n)
	}
}

// kill ends a node at once, as a power cut does.
func (h *host) kill(n *node) error {
	select {
	case <-n.signal(syscall.SIGKILL, true):
		return nil
	case <-time.After(killTimeout):
		return fmt.Errorf("node %s does not end", n.self.Name)
	}
}

func (h *host) killAll() {
	for _, n := range h.nodes {
		n.signal(syscall.SIGKILL, true)
	}

	h.wg.Wait()
}
