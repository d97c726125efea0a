package manage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/basalt-os/basalt/api/cluster"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/client"
)

func newBootstrap() *cobra.Command {
	var (
		snapshot string
		skipHash bool
	)

	cmd := &cobra.Command{
		Use:   "bootstrap",
		Short: "Begin the cluster: make the etcd of one control plane node its first member",
		Long: `Begin the cluster: make the etcd of one control plane node its first member.

This is done once in the life of a cluster, on one node. After the loss of all
control plane nodes, a snapshot brings the cluster back.`,
		Example: `  basaltctl bootstrap --nodes 10.5.0.2
  basaltctl bootstrap --nodes 10.5.0.2 --recover-from etcd.snapshot`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	cmd.Flags().StringVar(&snapshot, "recover-from", "", "file with a snapshot of etcd to begin with")
	cmd.Flags().BoolVar(&skipHash, "recover-skip-hash-check", false,
		"take a snapshot without a hash, such as one that was copied out of a data folder")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
			if snapshot != "" {
				fmt.Fprintf(cmd.ErrOrStderr(), "Sending %s to %s\n", snapshot, n.Name)

				if err := sendSnapshot(ctx, n, snapshot); err != nil {
					return err
				}
			}

			_, err := client.Check(n.Machine.Bootstrap(ctx, &machine.BootstrapRequest{
				RecoverEtcd: snapshot != "", RecoverSkipHashCheck: skipHash,
			}))

			return err
		})
	})

	return cmd
}

// sendSnapshot gives a node the snapshot that it shall begin with.
func sendSnapshot(ctx context.Context, n connect.Node, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading snapshot: %w", err)
	}
	defer file.Close()

	stream, err := n.Machine.EtcdRecover(ctx)
	if err != nil {
		return err
	}

	_, err = client.Check(client.Send(stream, file))

	return err
}

// healthOptions are the flags of "health".
type healthOptions struct {
	controlPlanes, workers []string
	initNode, endpoint     string
	timeout                time.Duration
	server, e2e            bool
}

func newHealth() *cobra.Command {
	var o healthOptions

	cmd := &cobra.Command{
		Use:   "health",
		Short: "Wait until the cluster is healthy, and say what is waited for",
		Long: `Wait until the cluster is healthy, and say what is waited for.

One control plane node looks at etcd, all nodes and Kubernetes. It takes the
nodes that discovery has found, unless others are named.`,
		Example: `  basaltctl health
  basaltctl health --wait-timeout 30s
  basaltctl health --control-plane-nodes 10.5.0.2 --worker-nodes 10.5.0.3`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	flags := cmd.Flags()
	flags.StringSliceVar(&o.controlPlanes, "control-plane-nodes", nil, "addresses of the control plane nodes that must be there")
	flags.StringSliceVar(&o.workers, "worker-nodes", nil, "addresses of the workers that must be there")
	flags.StringVar(&o.initNode, "init-node", "", "one more control plane node")
	flags.StringVar(&o.endpoint, "k8s-endpoint", "", "address of the Kubernetes API (default: that of the cluster)")
	flags.DurationVar(&o.timeout, "wait-timeout", 20*time.Minute, "how long to wait at most")
	flags.BoolVar(&o.server, "server", true, "let a node do the checks; this is the only way")
	flags.BoolVar(&o.e2e, "run-e2e", false, "run a test of Kubernetes itself afterwards")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		switch {
		case !o.server:
			return errors.New("--server=false: this program does no checks by itself")
		case o.e2e:
			return errors.New("--run-e2e: this program has no tests of Kubernetes in it; use the conformance tests of Kubernetes")
		}

		// One node looks at all.
		first := &connect.Target{Nodes: target.Nodes[:1]}

		return first.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
			return o.run(ctx, cmd.OutOrStdout(), n)
		})
	})

	return cmd
}

// run shows each check as a step.
func (o *healthOptions) run(ctx context.Context, out io.Writer, n connect.Node) error {
	info := &cluster.ClusterInfo{ControlPlaneNodes: o.controlPlanes, WorkerNodes: o.workers, ForceEndpoint: o.endpoint}
	if o.initNode != "" {
		info.ControlPlaneNodes = append(info.ControlPlaneNodes, o.initNode)
	}

	var step *steps.Step

	printer := steps.New(out)
	end := func(err error) {
		if step != nil {
			step.End(err)
		}

		step = nil
	}

	stream, err := n.Cluster.HealthCheck(ctx, &cluster.HealthCheckRequest{
		WaitTimeout: durationpb.New(o.timeout), ClusterInfo: info,
	})

	for progress, err := range client.Messages(stream, err) {
		if err != nil {
			end(err)

			return err
		}

		check, state, waits := strings.Cut(strings.TrimPrefix(progress.GetMessage(), "waiting for "), ": ")

		switch {
		case !waits || !strings.HasPrefix(progress.GetMessage(), "waiting for "):
			fmt.Fprintln(out, progress.GetMessage())
		case state == "...":
			end(nil)

			step = printer.Begin(check)
		case step != nil:
			step.Detail(state)
		}
	}

	end(nil)

	return nil
}
