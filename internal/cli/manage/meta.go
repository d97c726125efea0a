package manage

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

func newMeta() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "meta",
		Short: "Change the values in META, which a machine has before it can read anything else",
		Long: `Change the values in META, which a machine has before it can read anything else.

Keys are numbers, such as 0x0a for the network of a machine of metal. Use
"basaltctl get metakeys" to see the values.`,
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)

	cmd.AddCommand(
		&cobra.Command{
			Use:     "write <key> <value>",
			Short:   "Write a value",
			Example: "  basaltctl meta write -n 10.5.0.3 0x0b 4711",
			Args:    cobra.ExactArgs(2),
			RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
				return changeMeta(cmd, target, args[0], "written", func(ctx context.Context, n connect.Node, key uint32) error {
					_, err := client.Check(n.Machine.MetaWrite(ctx, &machine.MetaWriteRequest{Key: key, Value: []byte(args[1])}))

					return err
				})
			}),
		},
		&cobra.Command{
			Use:     "delete <key>",
			Short:   "Delete a value",
			Example: "  basaltctl meta delete -n 10.5.0.3 0x0b",
			Args:    cobra.ExactArgs(1),
			RunE: reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
				return changeMeta(cmd, target, args[0], "deleted", func(ctx context.Context, n connect.Node, key uint32) error {
					_, err := client.Check(n.Machine.MetaDelete(ctx, &machine.MetaDeleteRequest{Key: key}))

					return err
				})
			}),
		},
	)

	return cmd
}

func changeMeta(
	cmd *cobra.Command, target *connect.Target, text, done string, change func(ctx context.Context, n connect.Node, key uint32) error,
) error {
	key, err := strconv.ParseUint(text, 0, 8)
	if err != nil || key == 0 {
		return fmt.Errorf("%q is no key: give a number from 0x01 to 0xff", text)
	}

	return onEach(cmd, target, done, func(ctx context.Context, n connect.Node) error { return change(ctx, n, uint32(key)) })
}
