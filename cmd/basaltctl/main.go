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
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/container"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "error: %s\n", client.Message(err))
		os.Exit(1)
	}
}

// run does what the arguments ask for. Besides the user's commands, the
// program is started again by itself as the host process of a local cluster
// and as the first process of its nodes.
func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	switch {
	case len(os.Args) == 2 && os.Args[1] == container.InitArgument:
		return container.Init()
	case len(os.Args) == 3 && os.Args[1] == container.HostArgument:
		return container.Run(ctx, provision.Folder(os.Args[2]), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	}

	return cli.New().ExecuteContext(ctx)
}
