// Command basaltctl manages machines that run Basalt.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/basalt-os/basalt/internal/cli"
	"github.com/basalt-os/basalt/internal/cli/cluster"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/container"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

func main() { os.Exit(run()) }

// run does what the arguments ask for and returns the exit code. Besides the
// user's commands, the program is started again by itself as the host process
// of a local cluster and as the first process of its nodes.
func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	var err error

	switch {
	case len(os.Args) == 2 && os.Args[1] == container.InitArgument:
		err = container.Init()
	case len(os.Args) == 3 && os.Args[1] == host.Argument:
		err = cluster.Host(ctx, provision.Folder(os.Args[2]), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	default:
		return cli.Run(ctx)
	}

	if err != nil {
		fmt.Fprintf(os.Stderr, "error: %s\n", err)

		return 1
	}

	return 0
}
