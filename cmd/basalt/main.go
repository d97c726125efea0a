// Command basalt is everything that runs on a node: it is told by the name it
// is called with what to be.
//
//   - init, machined: the first process of the node (package node);
//   - apid: the gateway to the node's API (package gateway);
//   - trustd: signs certificates of joining nodes (package trust);
//   - dashboard: shows the machine on its own screen (package cli/dashboard);
//   - poweroff, shutdown, reboot: ask the first process to end the machine.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/basalt-os/basalt/internal/cli/dashboard"
	"github.com/basalt-os/basalt/internal/console"
	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/node"
	"github.com/basalt-os/basalt/internal/trust"
)

// program is one of the things that the binary can be.
type program struct {
	processors int   // that Go code may use at once
	memory     int64 // bytes at which the garbage collector works harder
	run        func(ctx context.Context, logger *slog.Logger) error
}

func programs() map[string]program {
	machined := program{processors: 4, memory: 96 << 20, run: node.Run}

	return map[string]program{
		"init":      machined,
		"machined":  machined,
		"apid":      {processors: 2, memory: 32 << 20, run: runGateway},
		"trustd":    {processors: 2, memory: 24 << 20, run: runTrust},
		"dashboard": {processors: 2, memory: 32 << 20, run: runDashboard},
		"poweroff":  {run: ask(machine.PowerOff)},
		"shutdown":  {run: ask(machine.PowerOff)},
		"reboot":    {run: ask(machine.Restart)},
	}
}

func runGateway(ctx context.Context, logger *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()

	return gateway.Run(ctx, gateway.Options{Sandbox: true, Logger: logger})
}

func runTrust(ctx context.Context, logger *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()

	return trust.Run(ctx, trust.Options{Sandbox: true, Logger: logger})
}

func runDashboard(ctx context.Context, _ *slog.Logger) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()

	return dashboard.Console(ctx, console.Socket, os.Stdin)
}

func ask(power machine.Power) func(context.Context, *slog.Logger) error {
	return func(context.Context, *slog.Logger) error { return machine.Ask(power) }
}

func main() {
	name := filepath.Base(os.Args[0])

	if err := run(name); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(name string) error {
	p, ok := programs()[name]
	if !ok {
		return fmt.Errorf("this program is not called by the name %q", name)
	}

	if p.processors > 0 {
		runtime.GOMAXPROCS(min(p.processors, runtime.GOMAXPROCS(0)))
	}

	if p.memory > 0 {
		debug.SetGCPercent(50)
		debug.SetMemoryLimit(p.memory)
	}

	return p.run(context.Background(), slog.New(slog.NewTextHandler(os.Stderr, nil)))
}
