// Package cluster has the commands that make and look after local clusters.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// DefaultName is the name of the cluster that commands mean when none is named.
const DefaultName = "basalt"

// target says which cluster a command is about.
type target struct {
	state string
	name  string
}

func (t *target) folder() provision.Folder { return provision.Open(t.state, t.name) }

// New returns the command "cluster" with its subcommands.
func New() *cobra.Command {
	var t target

	command := &cobra.Command{
		Use:   "cluster",
		Short: "Create and look after clusters on this machine",
	}

	command.PersistentFlags().StringVar(&t.state, "state", defaultState(), "folder in which clusters keep their state")
	command.PersistentFlags().StringVar(&t.name, "name", DefaultName, "name of the cluster")

	command.AddCommand(newCreate(&t), newDestroy(&t), newShow(&t), newList(&t), newStart(&t), newStop(&t), newNode(&t))

	return command
}

func defaultState() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "/root"
	}

	return filepath.Join(home, ".basalt", "clusters")
}

func newDestroy(t *target) *cobra.Command {
	return &cobra.Command{
		Use:   "destroy",
		Short: "End a cluster and remove everything that it has",
		Example: `  basaltctl cluster destroy
  basaltctl cluster destroy --name test`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, missing := t.folder().Spec()
			if missing != nil && !errors.Is(missing, provision.ErrNoCluster) {
				return missing
			}

			// Without a spec there may still be leftovers of an interrupted create.
			if err := host.Destroy(cmd.Context(), t.folder(), all{}, t.name); err != nil {
				return fmt.Errorf("destroying cluster %q: %w", t.name, err)
			}

			if missing != nil {
				cmd.Printf("There is no cluster %q.\n", t.name)

				return nil
			}

			forgetContext(t.name)
			cmd.Printf("Cluster %q is gone.\n", t.name)

			return nil
		},
	}
}

// forgetContext takes the cluster's context out of the client configuration.
// A configuration that cannot be changed keeps it.
func forgetContext(name string) {
	path, err := clientconfig.Locate()
	if err != nil {
		return
	}

	config, err := clientconfig.Load(path)
	if err != nil {
		return
	}

	if config.Context == name {
		config.Context = ""
	}

	if config.Remove(name) == nil {
		config.Save(path) //nolint:errcheck // see above
	}
}

func newList(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the clusters on this machine",
		Example: "  basaltctl cluster list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			specs, err := provision.List(t.state)
			if err != nil {
				return err
			}

			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(w, "NAME\tPROVISIONER\tNETWORK\tNODES\tRUNNING\tKUBERNETES") //nolint:errcheck // flushed below

			for _, spec := range specs {
				statuses, err := host.Nodes(cmd.Context(), provision.Open(t.state, spec.Name))
				if err != nil && !errors.Is(err, host.ErrNotRunning) {
					return err
				}

				running := 0

				for _, status := range statuses {
					if status.State == host.Running {
						running++
					}
				}

				fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\n", //nolint:errcheck // flushed below
					spec.Name, spec.Provisioner, spec.Network, len(spec.Nodes), running, spec.KubernetesVersion)
			}

			return w.Flush()
		},
	}
}

func newShow(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show a cluster and its nodes",
		Example: "  basaltctl cluster show --name test",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := t.folder().Spec()
			if err != nil {
				return err
			}

			states := map[string]host.NodeStatus{}

			statuses, err := host.Nodes(cmd.Context(), t.folder())
			if err != nil && !errors.Is(err, host.ErrNotRunning) {
				return err
			}

			for _, status := range statuses {
				states[status.Name] = status
			}

			cmd.Printf("name:        %s\nprovisioner: %s\nnetwork:     %s, gateway %s\nkubernetes:  %s at %s\nfolder:      %s\n\n",
				spec.Name, spec.Provisioner, spec.Network, spec.Gateway(), spec.KubernetesVersion, spec.KubernetesEndpoint(), t.folder())

			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(w, "NODE\tROLE\tADDRESS\tSTATE\tSINCE\tCPUS\tMEMORY") //nolint:errcheck // flushed below

			for _, node := range spec.Nodes {
				state, since := host.Stopped, "-"
				if status, ok := states[node.Name]; ok {
					state, since = status.State, time.Since(status.Since).Round(time.Second).String()
				}

				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", node.Name, node.Role, node.Address, state, since, //nolint:errcheck // flushed below
					orDash(node.CPUs > 0, fmt.Sprint(node.CPUs)), orDash(node.Memory > 0, fmt.Sprintf("%d MiB", node.Memory>>20)))
			}

			return w.Flush()
		},
	}
}

func orDash(set bool, text string) string {
	if set {
		return text
	}

	return "-"
}

func newStart(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "start",
		Short:   "Start a stopped cluster with the state that it had",
		Example: "  basaltctl cluster start",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := t.folder().Spec(); err != nil {
				return err
			}

			return host.Start(cmd.Context(), t.folder())
		},
	}
}

func newStop(t *target) *cobra.Command {
	return &cobra.Command{
		Use:     "stop",
		Short:   "Shut all nodes of a cluster down; they keep their state",
		Example: "  basaltctl cluster stop",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := t.folder().Spec(); err != nil {
				return err
			}

			return host.Stop(cmd.Context(), t.folder(), true)
		},
	}
}

func newNode(t *target) *cobra.Command {
	command := &cobra.Command{Use: "node", Short: "Start, stop and kill single nodes"}

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
