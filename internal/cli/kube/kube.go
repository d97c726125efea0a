// Package kube is how commands reach the Kubernetes API of a cluster: with the
// kubeconfig of an administrator, which a control plane node issues for the
// occasion.
package kube

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// Config asks the endpoints, which are control plane nodes as a rule, and then
// the nodes of the target for a kubeconfig. Endpoint, which may be empty, is
// the URL to use instead of the one that is in it.
func Config(ctx context.Context, target *connect.Target, endpoint string) (*rest.Config, error) {
	var errs []error

	for i, n := range target.Nodes {
		var ways []context.Context
		if i == 0 {
			ways = append(ways, ctx)
		}

		for _, way := range append(ways, n.Context(ctx)) {
			text, err := n.Kubeconfig(way)
			if err != nil {
				errs = append(errs, err)

				continue
			}

			config, err := clientcmd.RESTConfigFromKubeConfig(text)
			if err != nil {
				return nil, fmt.Errorf("reading kubeconfig: %w", err)
			}

			if endpoint != "" {
				config.Host = endpoint
			}

			config.QPS, config.Burst, config.WarningHandler = 50, 100, rest.NoWarnings{}

			return config, nil
		}
	}

	return nil, fmt.Errorf("asking a control plane node for a kubeconfig: %w", errors.Join(errs...))
}

// Client returns a client for the Kubernetes API.
func Client(ctx context.Context, target *connect.Target, endpoint string) (dynamic.Interface, error) {
	config, err := Config(ctx, target, endpoint)
	if err != nil {
		return nil, err
	}

	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	return client, nil
}

// NodeName is what Kubernetes calls a node.
func NodeName(ctx context.Context, n connect.Node) (string, error) {
	definition := k8s.Nodename{}.Definition()

	object, err := objects.Get(ctx, n, definition.Namespace, definition.Type, k8s.NodenameID)
	if err != nil {
		return "", fmt.Errorf("asking for the node's name in Kubernetes: %w", err)
	}

	var spec struct {
		Nodename string `yaml:"nodename"`
	}
	if err := object.Decode(&spec); err != nil {
		return "", err
	}

	if spec.Nodename == "" {
		return "", errors.New("asking for the node's name in Kubernetes: it has none")
	}

	return spec.Nodename, nil
}
