// Package cli is the command tree of basaltctl.
package cli

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/cluster"
	"github.com/basalt-os/basalt/internal/cli/contexts"
	"github.com/basalt-os/basalt/internal/cli/dashboard"
	"github.com/basalt-os/basalt/internal/cli/etcd"
	"github.com/basalt-os/basalt/internal/cli/generate"
	"github.com/basalt-os/basalt/internal/cli/get"
	"github.com/basalt-os/basalt/internal/cli/image"
	"github.com/basalt-os/basalt/internal/cli/inject"
	"github.com/basalt-os/basalt/internal/cli/kubeupgrade"
	"github.com/basalt-os/basalt/internal/cli/manage"
	"github.com/basalt-os/basalt/internal/cli/observe"
	"github.com/basalt-os/basalt/internal/cli/support"
	"github.com/basalt-os/basalt/internal/cli/why"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/client"
)

// Exit codes of the program.
const (
	exitFailure = 1
	// exitInterrupted is what shells have for a program that SIGINT ended.
	exitInterrupted = 130
)

// Run runs the command that the arguments of the process ask for and returns
// the exit code: zero when it did all that was asked, on every node. The context
// ends when the user interrupts it.
func Run(ctx context.Context) int {
	err := New().ExecuteContext(ctx)

	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "interrupted")

		return exitInterrupted
	default:
		fmt.Fprintf(os.Stderr, "error: %s\n", client.Message(err))

		return exitFailure
	}
}

// New returns the root command.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:           "basaltctl",
		Short:         "Manage machines that run Basalt, the API-only operating system for Kubernetes",
		Version:       version.Version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}

	root.AddCommand(cluster.New(), contexts.New(), get.New(), etcd.New(), image.New(), inject.New(), kubeupgrade.New(), why.New(), support.New(), dashboard.New())
	root.AddCommand(generate.Commands()...)
	root.AddCommand(manage.Commands()...)
	root.AddCommand(observe.Commands()...)

	return root
}
