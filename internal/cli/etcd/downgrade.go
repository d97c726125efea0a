package etcd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client"
)

// downgraded is what the answers to all three calls have.
type downgraded interface {
	GetClusterDowngrade() *machine.EtcdClusterDowngrade
}

func newDowngrade(reach *connect.Flags) *cobra.Command {
	cmd := &cobra.Command{Use: "downgrade", Short: "Let the storage of etcd go back to an older version"}

	cmd.AddCommand(
		newDowngradeStep(reach, "validate <version>", "Ask whether the storage can go back to a version",
			"  basaltctl etcd downgrade validate 3.6", 1,
			func(ctx context.Context, n connect.Node, version string) ([]downgraded, error) {
				reply, err := client.Check(n.Machine.EtcdDowngradeValidate(ctx, &machine.EtcdDowngradeValidateRequest{Version: version}))

				return list(reply.GetMessages()), err
			}),
		newDowngradeStep(reach, "enable <version>", "Let the storage go back to a version",
			"  basaltctl etcd downgrade enable 3.6", 1,
			func(ctx context.Context, n connect.Node, version string) ([]downgraded, error) {
				reply, err := client.Check(n.Machine.EtcdDowngradeEnable(ctx, &machine.EtcdDowngradeEnableRequest{Version: version}))

				return list(reply.GetMessages()), err
			}),
		newDowngradeStep(reach, "cancel", "Do not go back any more",
			"  basaltctl etcd downgrade cancel", 0,
			func(ctx context.Context, n connect.Node, _ string) ([]downgraded, error) {
				reply, err := client.Check(n.Machine.EtcdDowngradeCancel(ctx, &emptypb.Empty{}))

				return list(reply.GetMessages()), err
			}),
	)

	return cmd
}

func list[M downgraded](messages []M) []downgraded {
	answers := make([]downgraded, len(messages))
	for i, message := range messages {
		answers[i] = message
	}

	return answers
}

func newDowngradeStep(reach *connect.Flags, use, short, example string, arguments int,
	call func(ctx context.Context, n connect.Node, version string) ([]downgraded, error),
) *cobra.Command {
	return &cobra.Command{
		Use:     use,
		Short:   short,
		Example: example,
		Args:    cobra.ExactArgs(arguments),
		RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
			version := ""
			if len(args) > 0 {
				version = args[0]
			}

			answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) ([]downgraded, error) {
				return call(ctx, n, version)
			})
			t := table.New(cmd.OutOrStdout(), "NODE", "CLUSTER VERSION")

			for _, answer := range answers {
				for _, message := range answer.Value {
					t.Row(answer.Node, message.GetClusterDowngrade().GetClusterVersion())
				}
			}

			return errors.Join(t.Flush(), err)
		}),
	}
}
