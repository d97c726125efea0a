package observe

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

func newLogs() *cobra.Command {
	var (
		follow  bool
		tail    int32
		runtime runtimeFlags
	)

	cmd := &cobra.Command{
		Use:   "logs <service name>",
		Short: "Print the log of a service or a container",
		Example: `  basaltctl logs kubelet --tail 20
  basaltctl logs -f etcd --nodes 10.5.0.2
  basaltctl logs -k kube-system/kube-proxy-x7k2p:kube-proxy`,
		Args: cobra.ExactArgs(1),
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)
	runtime.add(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as the log grows")
	cmd.Flags().Int32Var(&tail, "tail", -1, "print this many lines from the end (-1: all)")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		namespace, driver := runtime.choose()

		return stream(cmd, target, follow, func(ctx context.Context, n connect.Node) (client.Stream[*common.Data], error) {
			return n.Machine.Logs(ctx, &machine.LogsRequest{
				Namespace: namespace, Driver: driver, Id: args[0], Follow: follow, TailLines: tail,
			})
		})
	})

	cmd.ValidArgsFunction = reach.Complete(func(ctx context.Context, n connect.Node) ([]string, error) {
		if runtime.kubernetes || runtime.cri {
			return runtime.ids(ctx, n)
		}

		list, err := client.Check(n.Machine.LogsContainers(ctx, &emptypb.Empty{}))

		return first(list.GetMessages()).GetIds(), err
	})

	return cmd
}

func newDmesg() *cobra.Command {
	var follow, tail bool

	cmd := &cobra.Command{
		Use:   "dmesg",
		Short: "Print the log of the kernel",
		Example: `  basaltctl dmesg
  basaltctl dmesg -f --tail --nodes 10.5.0.2`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as the log grows")
	cmd.Flags().BoolVar(&tail, "tail", false, "with --follow: print new messages only")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return stream(cmd, target, follow, func(ctx context.Context, n connect.Node) (client.Stream[*common.Data], error) {
			return n.Machine.Dmesg(ctx, &machine.DmesgRequest{Follow: follow, Tail: tail})
		})
	})

	return cmd
}

// stream prints the bytes that nodes send, all nodes at once, until they end.
// When the user interrupts what goes on for ever, that is no error.
func stream(cmd *cobra.Command, target *connect.Target, endless bool,
	open func(ctx context.Context, n connect.Node) (client.Stream[*common.Data], error),
) error {
	lines := connect.NewLines(cmd.OutOrStdout(), target)

	err := connect.Do(cmd.Context(), target, func(ctx context.Context, n connect.Node) error {
		reader, err := client.NewReader(open(ctx, n))
		if err != nil {
			return err
		}

		out := lines.For(n.Name)
		_, err = io.Copy(out, reader)

		return errors.Join(err, out.Close())
	})
	if endless && cmd.Context().Err() != nil {
		return nil
	}

	return err
}
