package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/internal/controllers/k8s/kubelet"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/service"
)

const (
	joinPause = 500 * time.Millisecond // between two looks at the cluster
	joinCall  = 2 * time.Second        // for one look
)

// joinable holds when the cluster accepts the kubelet: because it has a
// certificate, or can be given one by this node, or its join token is valid.
// A kubelet that comes too early pauses longer after each refusal, so that it
// joins long after it could.
func (n *Node) joinable() service.Condition {
	return condition{name: "cluster to accept the join token", wait: func(ctx context.Context) error {
		// The spec comes after the files that are read here.
		if _, err := resource.WaitFor(ctx, n.store, k8s.KubeletID, present[k8s.KubeletSpec]); err != nil {
			return err
		}

		_, err := resource.Get[secrets.KubernetesRoot](ctx, n.store, secrets.KubernetesRootID)
		if !errors.Is(err, resource.ErrNotFound) {
			return err
		}

		for {
			accepted, err := joinAccepted(ctx, kubelet.ClientCertificate, kubelet.BootstrapKubeconfig)
			if accepted {
				return nil
			}

			if err != nil {
				n.logger.Debug("asking the cluster whether it accepts the join token", "error", err)
			}

			select {
			case <-time.After(joinPause):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
}

// joinAccepted says whether there is a certificate, or else the API server
// knows who the bearer of the bootstrap kubeconfig is.
func joinAccepted(ctx context.Context, certificate, bootstrap string) (bool, error) {
	if _, err := os.Stat(certificate); !errors.Is(err, fs.ErrNotExist) {
		return err == nil, err
	}

	config, err := clientcmd.BuildConfigFromFlags("", bootstrap)
	if err != nil {
		return false, fmt.Errorf("reading bootstrap kubeconfig: %w", err)
	}

	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return false, fmt.Errorf("reading bootstrap kubeconfig: %w", err)
	}
	defer client.CloseIdleConnections()

	ctx, cancel := context.WithTimeout(ctx, joinCall)
	defer cancel()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/version", nil)
	if err != nil {
		return false, err
	}

	response, err := client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()

	return response.StatusCode == http.StatusOK, nil
}
