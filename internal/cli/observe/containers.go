package observe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client"
)

// ids lists the containers of a node.
func (f *runtimeFlags) ids(ctx context.Context, n connect.Node) ([]string, error) {
	namespace, driver := f.choose()
	list, err := client.Check(n.Machine.Containers(ctx, &machine.ContainersRequest{Namespace: namespace, Driver: driver}))

	var ids []string
	for _, container := range first(list.GetMessages()).GetContainers() {
		ids = append(ids, container.GetId())
	}

	return ids, err
}

func newContainers() *cobra.Command {
	var runtime runtimeFlags

	cmd := &cobra.Command{
		Use:     "containers",
		Aliases: []string{"c"},
		Short:   "List containers",
		Example: `  basaltctl containers
  basaltctl containers -k --nodes 10.5.0.2,10.5.0.3`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	runtime.add(cmd)

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		namespace, driver := runtime.choose()
		answers, err := connect.Call(cmd.Context(), target, &machine.ContainersRequest{Namespace: namespace, Driver: driver},
			func(n connect.Node) connect.Unary[*machine.ContainersRequest, *machine.ContainersResponse] {
				return n.Machine.Containers
			})
		t := table.New(cmd.OutOrStdout(), "NODE", "NAMESPACE", "ID", "IMAGE", "PID", "STATUS")

		for _, answer := range answers {
			containers := first(answer.Value.GetMessages()).GetContainers()
			slices.SortFunc(containers, func(a, b *machine.ContainerInfo) int { return strings.Compare(a.GetId(), b.GetId()) })

			for _, c := range containers {
				t.Row(answer.Node, c.GetNamespace(), nested(c.GetId(), c.GetPodId()), c.GetImage(), c.GetPid(), c.GetStatus())
			}
		}

		return errors.Join(t.Flush(), err)
	})

	return cmd
}

// nested sets the containers of a pod off from the pod.
func nested(id, pod string) string {
	if pod != "" && id != pod {
		return "└─" + id
	}

	return id
}

func newStats() *cobra.Command {
	var runtime runtimeFlags

	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show how much memory and processor time containers use",
		Example: `  basaltctl stats
  basaltctl stats -k --nodes 10.5.0.2`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	runtime.add(cmd)

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		namespace, driver := runtime.choose()
		answers, err := connect.Call(cmd.Context(), target, &machine.StatsRequest{Namespace: namespace, Driver: driver},
			func(n connect.Node) connect.Unary[*machine.StatsRequest, *machine.StatsResponse] {
				return n.Machine.Stats
			})
		t := table.New(cmd.OutOrStdout(), "NODE", "NAMESPACE", "ID", "MEMORY(MB)", "CPU")

		for _, answer := range answers {
			stats := first(answer.Value.GetMessages()).GetStats()
			slices.SortFunc(stats, func(a, b *machine.Stat) int { return strings.Compare(a.GetId(), b.GetId()) })

			for _, s := range stats {
				t.Row(answer.Node, s.GetNamespace(), nested(s.GetId(), s.GetPodId()),
					fmt.Sprintf("%.2f", float64(s.GetMemoryUsage())/1e6), time.Duration(s.GetCpuUsage()).Round(time.Millisecond))
			}
		}

		return errors.Join(t.Flush(), err)
	})

	return cmd
}

func newRestart() *cobra.Command {
	var runtime runtimeFlags

	cmd := &cobra.Command{
		Use:   "restart <id>",
		Short: "Restart the process of a container",
		Example: `  basaltctl restart etcd
  basaltctl restart -k kube-system/kube-proxy-x7k2p:kube-proxy`,
		Args: cobra.ExactArgs(1),
	}

	reach := connect.Add(cmd)
	runtime.add(cmd)

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		namespace, driver := runtime.choose()

		_, err := connect.Call(cmd.Context(), target, &machine.RestartRequest{Namespace: namespace, Driver: driver, Id: args[0]},
			func(n connect.Node) connect.Unary[*machine.RestartRequest, *machine.RestartResponse] {
				return n.Machine.Restart
			})

		return err
	})
	cmd.ValidArgsFunction = reach.Complete(runtime.ids)

	return cmd
}
