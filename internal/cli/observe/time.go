package observe

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	timeapi "github.com/basalt-os/basalt/api/time"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client"
)

func newTime() *cobra.Command {
	var server string

	cmd := &cobra.Command{
		Use:   "time [--check server]",
		Short: "Compare the clocks of nodes with a time server",
		Example: `  basaltctl time
  basaltctl time --check pool.ntp.org`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	cmd.Flags().StringVar(&server, "check", "", "time server to compare with (default: the node's own)")
	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return printTimes(cmd, target, server)
	})

	return cmd
}

func printTimes(cmd *cobra.Command, target *connect.Target, server string) error {
	answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) (clock, error) {
		return askClock(ctx, n, server)
	})
	t := table.New(cmd.OutOrStdout(), "NODE", "NTP-SERVER", "NODE-TIME", "NTP-SERVER-TIME", "DIFFERENCE")

	for _, answer := range answers {
		c := answer.Value
		t.Row(answer.Node, c.server, c.local.Format(time.RFC3339Nano), c.remote.Format(time.RFC3339Nano), c.local.Sub(c.remote))
	}

	return errors.Join(t.Flush(), err)
}

// clock is the time of a node beside that of a time server.
type clock struct {
	server        string
	local, remote time.Time
}

func askClock(ctx context.Context, n connect.Node, server string) (clock, error) {
	var (
		reply *timeapi.TimeResponse
		err   error
	)

	if server == "" {
		reply, err = client.Check(n.Time.Time(ctx, &emptypb.Empty{}))
	} else {
		reply, err = client.Check(n.Time.TimeCheck(ctx, &timeapi.TimeRequest{Server: server}))
	}

	message := first(reply.GetMessages())

	return clock{message.GetServer(), message.GetLocaltime().AsTime(), message.GetRemotetime().AsTime()}, err
}
