package k8s

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// podServer serves the list of static pods to the kubelet.
type podServer struct {
	mu   sync.RWMutex
	body []byte
	url  string
}

// StaticPodServer serves the static pods over HTTP, to this host alone, and
// tells where.
func StaticPodServer() reconcile.Controller {
	server := &podServer{}

	controller := derive.One("k8s.StaticPodServerController", k8s.StaticPodServerStatusID,
		[]reconcile.Input{reconcile.In[k8s.StaticPod]()},
		func(ctx context.Context, rt *reconcile.Runtime, _ k8s.StaticPodServerStatus) (k8s.StaticPodServerStatus, error) {
			pods, err := resource.List[k8s.StaticPod](ctx, rt)
			if err != nil {
				return k8s.StaticPodServerStatus{}, err
			}

			url, err := server.set(pods)
			if err != nil {
				return k8s.StaticPodServerStatus{}, err
			}

			if url == "" {
				return derive.None[k8s.StaticPodServerStatus]()
			}

			return k8s.StaticPodServerStatus{URL: url}, nil
		})

	return derive.Watched(controller, server.serve)
}

// podList is a PodList of the given pods, in the order of their IDs.
func podList(pods []*resource.Resource[k8s.StaticPod]) ([]byte, error) {
	items := make([]map[string]any, 0, len(pods))

	for _, p := range pods {
		if p.Meta.Phase == resource.Running {
			items = append(items, p.Spec.Pod)
		}
	}

	body, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "PodList", "items": items})
	if err != nil {
		return nil, fmt.Errorf("encoding static pods: %w", err)
	}

	return body, nil
}

func (s *podServer) set(pods []*resource.Resource[k8s.StaticPod]) (url string, err error) {
	body, err := podList(pods)
	if err != nil {
		return "", err
	}

	s.mu.Lock()
	defer s.mu.Unlock()

	s.body = body

	return s.url, nil
}

func (s *podServer) serve(ctx context.Context, notify func()) error {
	var config net.ListenConfig

	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening for the kubelet: %w", err)
	}

	s.mu.Lock()
	s.url = "http://" + listener.Addr().String()
	s.mu.Unlock()

	notify()

	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { server.Close() }) //nolint:errcheck // the listener's error counts

	defer stop()

	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving static pods: %w", err)
	}

	return nil
}

// ServeHTTP implements http.Handler.
func (s *podServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	s.mu.RLock()
	body := s.body
	s.mu.RUnlock()

	if body == nil {
		// Without an answer the kubelet keeps the pods that it has.
		http.Error(w, "static pods are not known yet", http.StatusServiceUnavailable)

		return
	}

	w.Header().Set("Content-Type", "application/json")
	w.Write(body) //nolint:errcheck // the client has gone
}
