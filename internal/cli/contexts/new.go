package contexts

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/filing"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
)

func newNew(reach *connect.Flags) *cobra.Command {
	var (
		roles []string
		ttl   time.Duration
	)

	cmd := &cobra.Command{
		Use:   "new [<path>]",
		Short: "Have a control plane node make a client configuration, with a new certificate",
		Example: `  basaltctl config new
  basaltctl config new --roles os:reader --crt-ttl 24h ./reader.yaml`,
		Args: cobra.MaximumNArgs(1),
	}

	cmd.Flags().StringSliceVar(&roles, "roles", []string{"os:admin"}, "roles of the certificate")
	cmd.Flags().DurationVar(&ttl, "crt-ttl", 365*24*time.Hour, "lifetime of the certificate")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		path := "talosconfig"
		if len(args) == 1 {
			path = args[0]
		}

		if err := filing.Free(path, false); err != nil {
			return err
		}

		return target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
			data, err := generate(ctx, n, roles, ttl)
			if err != nil {
				return err
			}

			return filing.Write(cmd.OutOrStdout(), path, data, true, false)
		})
	})

	return cmd
}

// generate has a node make a client configuration.
func generate(ctx context.Context, n connect.Node, roles []string, ttl time.Duration) ([]byte, error) {
	reply, err := client.Check(n.Machine.GenerateClientConfiguration(ctx,
		&machine.GenerateClientConfigurationRequest{Roles: roles, CrtTtl: durationpb.New(ttl)}))
	if err != nil {
		return nil, err
	}

	messages := reply.GetMessages()
	if len(messages) != 1 {
		return nil, fmt.Errorf("making client configuration: %d answers came, expected one", len(messages))
	}

	config, err := clientconfig.Parse(messages[0].GetTalosconfig())
	if err != nil {
		return nil, err
	}

	// The node does not know by which addresses it is reached.
	for _, present := range config.Contexts {
		present.Endpoints = n.Client.Context().Endpoints
		present.Nodes = n.Client.Context().Nodes
	}

	return config.Bytes()
}
