package manage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/kube"
	"github.com/basalt-os/basalt/internal/drain"
)

// drainFlags say whether pods are moved to other nodes before a node goes down.
type drainFlags struct {
	drain   bool
	timeout time.Duration
}

func (d *drainFlags) add(cmd *cobra.Command, byDefault bool) {
	cmd.Flags().BoolVar(&d.drain, "drain", byDefault,
		"cordon the node and move its pods to others before, and let pods come to it again afterwards; "+
			"the node by itself takes a minute at most for that")
	cmd.Flags().DurationVar(&d.timeout, "drain-timeout", 5*time.Minute, "how long pods may take to move")
}

// before returns what has to be done with each node before it goes down; nil
// when it is nothing. A node that nobody waits for stays cordoned.
func (d *drainFlags) before(cmd *cobra.Command, target *connect.Target, wait bool) (
	func(context.Context, connect.Node, progress) (func(context.Context) error, error), error,
) {
	if !d.drain {
		return nil, nil
	}

	client, err := kube.Client(cmd.Context(), target, "")
	if err != nil {
		return nil, err
	}

	return func(ctx context.Context, n connect.Node, show progress) (func(context.Context) error, error) {
		name, err := kube.NodeName(ctx, n)
		if err != nil {
			return nil, err
		}

		show.phase(n.Name, "cordon the node")

		ours, err := drain.Cordon(ctx, client, name, nil)
		if err != nil {
			return nil, err
		}

		show.phase(n.Name, "move its pods to other nodes")

		limited, cancel := context.WithTimeoutCause(ctx, d.timeout, errors.New("not done within "+d.timeout.String()))
		defer cancel()

		err = drain.Pods(limited, client, name, true, func(format string, args ...any) {
			show.task(n.Name, fmt.Sprintf(format, args...))
		})

		uncordon := func(ctx context.Context) error {
			if !ours {
				return nil // somebody wanted it so before
			}

			// The node may be the one whose API server is asked.
			var last error

			err := every(ctx, askPeriod, func(ctx context.Context) (bool, error) {
				last = drain.Uncordon(ctx, client, name)

				return last == nil, nil
			})
			if err != nil {
				return errors.Join(err, last)
			}

			return nil
		}

		if err != nil {
			// Nothing has happened to the node yet: it goes on as before.
			restore, stop := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
			defer stop()

			return nil, errors.Join(err, uncordon(restore))
		}

		if ours && !wait {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: node %s stays cordoned: let pods come to it again with \"kubectl uncordon %s\"\n", n.Name, name, name)
		}

		return uncordon, nil
	}, nil
}
