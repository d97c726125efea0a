// Package cli is the command tree of basaltctl.
package cli

import (
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/cluster"
	"github.com/basalt-os/basalt/internal/cli/contexts"
	"github.com/basalt-os/basalt/internal/cli/dashboard"
	"github.com/basalt-os/basalt/internal/cli/etcd"
	"github.com/basalt-os/basalt/internal/cli/generate"
	"github.com/basalt-os/basalt/internal/cli/get"
	"github.com/basalt-os/basalt/internal/cli/image"
	"github.com/basalt-os/basalt/internal/cli/manage"
	"github.com/basalt-os/basalt/internal/cli/observe"
	"github.com/basalt-os/basalt/internal/cli/support"
	"github.com/basalt-os/basalt/internal/cli/why"
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

	root.AddCommand(cluster.New(), contexts.New(), get.New(), etcd.New(), image.New(), why.New(), support.New(), dashboard.New())
	root.AddCommand(generate.Commands()...)
	root.AddCommand(manage.Commands()...)
	root.AddCommand(observe.Commands()...)

	return root
}
