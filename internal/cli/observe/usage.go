package observe

import (
	"context"
	"errors"
	"fmt"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client"
)

func newUsage() *cobra.Command {
	var (
		all, human bool
		depth      int32
		threshold  int64
	)

	cmd := &cobra.Command{
		Use:     "usage [path1] [path2] ... [pathN]",
		Aliases: []string{"du"},
		Short:   "Show how much space files and folders take",
		Example: `  basaltctl usage /var
  basaltctl usage -H -d 2 /var/lib /var/log
  basaltctl usage -a -t 1000000 /var`,
	}

	reach := connect.Add(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&all, "all", "a", false, "show files too, not only folders")
	flags.BoolVarP(&human, "humanize", "H", false, "print sizes for people")
	flags.Int32VarP(&depth, "depth", "d", 0, "how deep to go")
	flags.Int64VarP(&threshold, "threshold", "t", 0, "leave out what is smaller than this many bytes, or, if negative, what is bigger")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		if len(args) == 0 {
			args = []string{"/"}
		}

		request := &machine.DiskUsageRequest{RecursionDepth: depth, All: all, Threshold: threshold, Paths: args}
		answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) ([]*machine.DiskUsageInfo, error) {
			stream, err := n.Machine.DiskUsage(ctx, request)

			return collect(client.Messages(stream, err))
		})
		t := table.New(cmd.OutOrStdout(), "NODE", "SIZE", "NAME")

		var problems []error

		for _, answer := range answers {
			for _, info := range answer.Value {
				if info.GetError() != "" {
					problems = append(problems, fmt.Errorf("%s: %s: %s", answer.Node, info.GetName(), info.GetError()))

					continue
				}

				size := fmt.Sprint(info.GetSize())
				if human {
					size = humanize.Bytes(uint64(max(info.GetSize(), 0)))
				}

				t.Row(answer.Node, size, info.GetRelativeName())
			}
		}

		return errors.Join(append([]error{t.Flush(), err}, problems...)...)
	})
	cmd.ValidArgsFunction = completePath(reach)

	return cmd
}
