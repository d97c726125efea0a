// Package cli is the command tree of basaltctl.
package cli

import (
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/cluster"
	"github.com/basalt-os/basalt/internal/cli/get"
	"github.com/basalt-os/basalt/internal/cli/observe"
	"github.com/basalt-os/basalt/internal/version"
)

// New returns the root command.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:           "basaltctl",
		Short:         "Manage machines that run Basalt, the API-only operating system for Kubernetes",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}

	root.AddCommand(cluster.New(), get.New())
	root.AddCommand(observe.Commands()...)

	return root
}
