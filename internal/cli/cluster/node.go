package cluster

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/pkg/provision/host"
)

func newNode(t *target) *cobra.Command {
	command := &cobra.Command{Use: "node", Short: "Start, stop, restart and kill single nodes"}

	for _, action := range []struct {
		name, short string
		run         func(cmd *cobra.Command, node string) error
	}{
		{"start", "Start a stopped node with the state that it had", func(cmd *cobra.Command, node string) error {
			return host.StartNode(cmd.Context(), t.folder(), node)
		}},
		{"stop", "Shut a node down in order", func(cmd *cobra.Command, node string) error {
			return host.StopNode(cmd.Context(), t.folder(), node)
		}},
		{"restart", "Shut a node down in order, and start it again", func(cmd *cobra.Command, node string) error {
			if err := host.StopNode(cmd.Context(), t.folder(), node); err != nil {
				return err
			}

			return host.StartNode(cmd.Context(), t.folder(), node)
		}},
		{"kill", "End a node at once, as a power cut does", func(cmd *cobra.Command, node string) error {
			return host.KillNode(cmd.Context(), t.folder(), node)
		}},
	} {
		command.AddCommand(&cobra.Command{
			Use:     action.name + " <node>...",
			Short:   action.short,
			Example: "  basaltctl cluster node " + action.name + " basalt-worker-1",
			Args:    cobra.MinimumNArgs(1),
			ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return t.nodeNames(), cobra.ShellCompDirectiveNoFileComp
			},
			RunE: func(cmd *cobra.Command, args []string) error {
				spec, err := t.folder().Spec()
				if err != nil {
					return err
				}

				for _, name := range args {
					if _, err := spec.Node(name); err != nil {
						return err
					}

					if err := action.run(cmd, name); err != nil {
						return fmt.Errorf("node %s: %w", name, err)
					}
				}

				return nil
			},
		})
	}

	return command
}

func (t *target) nodeNames() []string {
	spec, err := t.folder().Spec()
	if err != nil {
		return nil
	}

	var names []string
	for _, node := range spec.Nodes {
		names = append(names, node.Name+"\t"+strings.ToLower(string(node.Role)))
	}

	return names
}

func newReboot(t *target) *cobra.Command {
	var names []string

	command := &cobra.Command{
		Use:   "reboot",
		Short: "Start nodes again at once, as a reset button does",
		Long: `Start nodes of a cluster again at once, as a reset button does, without the help
of what runs on them. "basaltctl reboot" asks a node to reboot in order.`,
		Example: `  basaltctl cluster reboot
  basaltctl cluster reboot --node basalt-worker-1`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := t.folder().Spec()
			if err != nil {
				return err
			}

			if len(names) == 0 {
				for _, node := range spec.Nodes {
					names = append(names, node.Name)
				}
			}

			for _, name := range names {
				if _, err := spec.Node(name); err != nil {
					return err
				}

				if err := host.ResetNode(cmd.Context(), t.folder(), name); err != nil {
					return fmt.Errorf("node %s: %w", name, err)
				}
			}

			return nil
		},
	}

	command.Flags().StringSliceVarP(&names, "node", "n", nil, "the nodes to start again (default: all)")

	return command
}
