// Package cluster has the commands that make and look after local clusters.
package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

	command.AddCommand(newCreate(&t), newDestroy(&t), newShow(&t), newList(&t), newStart(&t), newStop(&t), newNode(&t),
		newLogs(&t), newReboot(&t))

	return command
}

func defaultState() string {
	home, err := os.UserHomeDir()
	if err != nil {
		home = "/root"
	}

	return filepath.Join(home, ".basalt", "clusters")
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
	var provisioner string

	command := &cobra.Command{
		Use:     "show",
		Short:   "Show a cluster and its nodes",
		Example: "  basaltctl cluster show --name test",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			spec, err := t.folder().Spec()
			if err != nil {
				return err
			}

			if provisioner != "" && provisioner != spec.Provisioner {
				return fmt.Errorf("cluster %q has nodes of provisioner %s, not %s", t.name, spec.Provisioner, provisioner)
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

			if m := spec.Machines; m != nil {
				cmd.Printf("machines:    %s, %s, from %s; %s\n\n", m.Arch, firmwareName(m), m.Boot.Source, m.Reason)
			}

			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 3, ' ', 0)
			fmt.Fprintln(w, "NODE\tROLE\tADDRESS\tSTATE\tSINCE\tCPUS\tMEMORY\tDETAIL") //nolint:errcheck // flushed below

			for _, node := range spec.Nodes {
				state, since := host.Stopped, "-"
				if status, ok := states[node.Name]; ok {
					state, since = status.State, time.Since(status.Since).Round(time.Second).String()
				}

				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", node.Name, node.Role, node.Address, state, since, //nolint:errcheck // flushed below
					orDash(node.CPUs > 0, fmt.Sprint(node.CPUs)), orDash(node.Memory > 0, fmt.Sprintf("%d MiB", node.Memory>>20)),
					orDash(states[node.Name].Detail != "", states[node.Name].Detail))
			}

			return w.Flush()
		},
	}

	command.Flags().StringVar(&provisioner, "provisioner", "", "the provisioner that the cluster must have")

	return command
}

func firmwareName(m *provision.Machines) string {
	if m.UEFI {
		return "UEFI"
	}

	return "BIOS"
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
