package provision

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/cluster"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/pkg/client"
)

// askInterval is the pause between two attempts to reach a node that is
// starting.
const askInterval = 200 * time.Millisecond

// ApplyConfigs gives machines in maintenance mode their configurations, by node
// name. It waits for each to answer. A machine that has its configuration
// already has left maintenance mode, which is no error.
func ApplyConfigs(ctx context.Context, spec *Spec, configs map[string][]byte, detail func(string)) error {
	for _, node := range spec.Nodes {
		detail(node.Name)

		if err := applyConfig(ctx, node, configs[node.Name]); err != nil {
			return fmt.Errorf("giving node %s its configuration: %w", node.Name, err)
		}
	}

	return nil
}

func applyConfig(ctx context.Context, node Node, config []byte) error {
	c, err := client.New(client.WithEndpoints(node.Address.String()), client.WithMaintenance())
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is lost

	return retry(ctx, func(ctx context.Context) error {
		_, err := client.Check(c.Machine.ApplyConfiguration(ctx, &machine.ApplyConfigurationRequest{Data: config}))

		return err
	})
}

// AwaitAPI waits until every node of a cluster answers API calls.
func AwaitAPI(ctx context.Context, c *client.Client, spec *Spec, detail func(string)) error {
	for _, node := range spec.Nodes {
		detail(node.Name)

		err := retry(ctx, func(ctx context.Context) error {
			_, err := client.Check(c.Machine.Version(client.WithNode(ctx, node.Address.String()), &emptypb.Empty{}))

			return err
		})
		if err != nil {
			return fmt.Errorf("waiting for the API of node %s: %w", node.Name, err)
		}
	}

	return nil
}

// Bootstrap makes the first control plane begin the cluster's etcd. It is no
// error when etcd has begun already.
func Bootstrap(ctx context.Context, c *client.Client, spec *Spec) error {
	first := spec.ByRole(ControlPlane)[0]

	err := retry(ctx, func(ctx context.Context) error {
		_, err := client.Check(c.Machine.Bootstrap(client.WithNode(ctx, first.Address.String()), &machine.BootstrapRequest{}))
		if status.Code(err) == codes.AlreadyExists {
			return nil
		}

		return err
	})
	if err != nil {
		return fmt.Errorf("bootstrapping etcd on node %s: %w", first.Name, err)
	}

	return nil
}

// Kubeconfig is an administrator's kubeconfig, made by the first control plane.
// It waits until the node has what that takes.
func Kubeconfig(ctx context.Context, c *client.Client, spec *Spec) ([]byte, error) {
	first := spec.ByRole(ControlPlane)[0]

	var kubeconfig []byte

	err := retry(ctx, func(ctx context.Context) (err error) {
		kubeconfig, err = c.Kubeconfig(client.WithNode(ctx, first.Address.String()))

		return err
	})
	if err != nil {
		return nil, fmt.Errorf("asking node %s for a kubeconfig: %w", first.Name, err)
	}

	return kubeconfig, nil
}

// AwaitHealth waits until the cluster is healthy: etcd, the nodes and the
// control plane, as the first control plane sees them. began is called with
// the name of each check when it begins, and detail with what it waits for.
func AwaitHealth(ctx context.Context, c *client.Client, spec *Spec, timeout time.Duration, began, detail func(string)) error {
	info := &cluster.ClusterInfo{}

	for _, node := range spec.Nodes {
		if node.Role == ControlPlane {
			info.ControlPlaneNodes = append(info.ControlPlaneNodes, node.Address.String())
		} else {
			info.WorkerNodes = append(info.WorkerNodes, node.Address.String())
		}
	}

	ctx = client.WithNode(ctx, info.GetControlPlaneNodes()[0])
	stream, err := c.Cluster.HealthCheck(ctx, &cluster.HealthCheckRequest{WaitTimeout: durationpb.New(timeout), ClusterInfo: info})

	for progress, err := range client.Messages(stream, err) {
		if err != nil {
			return err
		}

		check, state, _ := strings.Cut(strings.TrimPrefix(progress.GetMessage(), "waiting for "), ": ")
		if state == "..." {
			began(check)
		}

		detail(state)
	}

	return nil
}

// retry calls f until it works or ctx ends. Errors that another attempt cannot
// mend end it at once.
func retry(ctx context.Context, f func(context.Context) error) error {
	ticker := time.NewTicker(askInterval)
	defer ticker.Stop()

	for {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := f(attempt)

		cancel()

		switch status.Code(err) {
		case codes.OK:
			return nil
		case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument, codes.Unimplemented:
			return err
		}

		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-ticker.C:
		}
	}
}
