package node

import (
	"context"
	"io"

	"github.com/basalt-os/basalt/internal/console"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/process"
)

// dashboardID is the service that shows the machine on its own screen. Nothing
// waits for it: a machine works as well without.
const dashboardID = "dashboard"

// logTerminal is where the kernel's log is.
const logTerminal = "/dev/tty1"

// dashboardService is the dashboard on its terminal.
func (n *Node) dashboardService() service.Definition {
	return service.Definition{
		ID:        dashboardID,
		DependsOn: []string{"machined"},
		Prepare: func(context.Context) (service.Runner, error) {
			return &screen{terminal: n.terminal, Runner: process.Runner{
				Process: process.Process{
					Path: initBinary, Args: []string{dashboardID}, Env: append(n.environment(), "TERM=linux"),
					UID: console.User, GID: console.User, Terminal: n.terminal,
					Group: groupDashboard, KillGroup: true,
				},
				Starter: n.reaper,
				Groups:  n.groups,
			}}, nil
		},
	}
}

// screen is a process whose terminal is in front while it runs. After that, the
// log is.
type screen struct {
	process.Runner

	terminal string
}

// Run implements [service.Runner].
func (s *screen) Run(ctx context.Context, log io.Writer, started func(service.Started)) error {
	if err := console.Activate(s.terminal); err != nil {
		return err
	}

	defer console.Activate(logTerminal) //nolint:errcheck // it was shown before

	return s.Runner.Run(ctx, log, started)
}
