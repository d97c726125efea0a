package host

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

// control serves the control socket until ctx ends; the nodes that it starts
// run until nodes ends.
func (h *host) control(ctx, nodes context.Context, wg *sync.WaitGroup, failed chan<- error) error {
	path := h.Folder.Path(socketName)
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
	mux.HandleFunc("POST /nodes/{name}/reset", h.handleNode((*node).reset))

	ServeHTTP(ctx, wg, failed, &http.Server{Handler: mux, ReadHeaderTimeout: stopTimeout}, listener)

	return nil
}

func (h *host) handleStatus(w http.ResponseWriter, _ *http.Request) {
	statuses := make([]NodeStatus, len(h.Spec.Nodes))
	for i, node := range h.Spec.Nodes {
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
					h.Logger.Error("stopping a node", "node", n.self.Name, "error", err)
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
	case <-n.end(Machine.Shutdown):
		return nil
	case <-time.After(stopTimeout):
		h.Logger.Warn("node did not shut down in time", "node", n.self.Name, "timeout", stopTimeout)

		return h.kill(n)
	}
}

// kill ends a node at once, as a power cut does.
func (h *host) kill(n *node) error {
	select {
	case <-n.end(powerCut):
		return nil
	case <-time.After(killTimeout):
		return fmt.Errorf("node %s does not end", n.self.Name)
	}
}

func (h *host) killAll() {
	for _, n := range h.nodes {
		n.end(powerCut)
	}

	h.wg.Wait()
}
