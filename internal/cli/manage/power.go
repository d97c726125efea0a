package manage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/choice"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

// request asks a node to begin a sequence and returns the id by which the
// sequence's events are known.
type request func(ctx context.Context, n connect.Node) (actor string, err error)

func newReboot() *cobra.Command {
	var (
		f    waitFlags
		d    drainFlags
		mode string
	)

	cmd := &cobra.Command{
		Use:   "reboot",
		Short: "Restart nodes",
		Example: `  basaltctl reboot --nodes 10.5.0.3
  basaltctl reboot -n 10.5.0.2,10.5.0.3 --wait=false
  basaltctl reboot -n 10.5.0.3 --drain --drain-timeout 10m
  basaltctl reboot -n 10.5.0.3 --mode powercycle --debug`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	f.add(cmd)
	d.add(cmd, false)
	cmd.Flags().StringVar(&f.progress, "progress", "auto", "how to show progress: auto or plain")
	cmd.Flags().StringVarP(&mode, "mode", "m", "default",
		"default, powercycle (through the firmware) or force (at once, stopping nothing)")
	_ = cmd.RegisterFlagCompletionFunc("mode", choice.Words("default", "powercycle", "force")) // the flag exists

	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		modes := map[string]machine.RebootRequest_Mode{
			"default": machine.RebootRequest_DEFAULT, "powercycle": machine.RebootRequest_POWERCYCLE,
			"force": machine.RebootRequest_FORCE,
		}

		chosen, ok := modes[mode]
		if !ok {
			return fmt.Errorf("--mode %q: give default, powercycle or force", mode)
		}

		return reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			before, err := d.before(cmd, target, f.wait)
			if err != nil {
				return err
			}

			f.around = before

			return f.run(cmd, target, comesBack, func(ctx context.Context, n connect.Node) (string, error) {
				reply, err := client.Check(n.Machine.Reboot(ctx, &machine.RebootRequest{Mode: chosen}))

				return actorOf(reply.GetMessages()), err
			})
		})(cmd, args)
	}

	return cmd
}

func newShutdown() *cobra.Command {
	var (
		f     waitFlags
		force bool
	)

	cmd := &cobra.Command{
		Use:   "shutdown",
		Short: "Power nodes off",
		Example: `  basaltctl shutdown --nodes 10.5.0.3
  basaltctl shutdown -n 10.5.0.3 --force`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	f.add(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "do not cordon and drain the node before")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return f.run(cmd, target, staysDown, func(ctx context.Context, n connect.Node) (string, error) {
			reply, err := client.Check(n.Machine.Shutdown(ctx, &machine.ShutdownRequest{Force: force}))

			return actorOf(reply.GetMessages()), err
		})
	})

	return cmd
}

func newReset() *cobra.Command {
	var (
		f                waitFlags
		graceful, reboot bool
		labels, disks    []string
	)

	wipe := choice.New("all", "system-disk", "user-disks")
	cmd := &cobra.Command{
		Use:   "reset",
		Short: "Erase nodes: take them out of the cluster and remove all that they have",
		Example: `  basaltctl reset --nodes 10.5.0.3
  basaltctl reset -n 10.5.0.3 --graceful=false --reboot
  basaltctl reset -n 10.5.0.3 --system-labels-to-wipe EPHEMERAL --reboot`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	f.add(cmd)

	flags := cmd.Flags()
	flags.BoolVar(&graceful, "graceful", true, "leave etcd, and cordon and drain the node, before")
	flags.BoolVar(&reboot, "reboot", false, "restart afterwards instead of powering off")
	flags.StringSliceVar(&labels, "system-labels-to-wipe", nil, "erase only these system partitions")
	flags.StringSliceVar(&disks, "user-disks-to-wipe", nil, "erase these disks too")
	flags.Var(wipe, "wipe-mode", "what to erase: all, system-disk or user-disks")
	_ = cmd.RegisterFlagCompletionFunc("wipe-mode", wipe.Complete) // the flag exists

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		modes := map[string]machine.ResetRequest_WipeMode{
			"all": machine.ResetRequest_ALL, "system-disk": machine.ResetRequest_SYSTEM_DISK,
			"user-disks": machine.ResetRequest_USER_DISKS,
		}
		message := &machine.ResetRequest{Graceful: graceful, Reboot: reboot, UserDisksToWipe: disks, Mode: modes[wipe.String()]}

		for _, label := range labels {
			message.SystemPartitionsToWipe = append(message.SystemPartitionsToWipe, &machine.ResetPartitionSpec{Label: label, Wipe: true})
		}

		end := staysDown
		if reboot {
			end = comesBackEmpty
		}

		return f.run(cmd, target, end, func(ctx context.Context, n connect.Node) (string, error) {
			reply, err := client.Check(n.Machine.Reset(ctx, message))

			return actorOf(reply.GetMessages()), err
		})
	})

	return cmd
}

func actorOf[M interface{ GetActorId() string }](messages []M) string {
	if len(messages) == 0 {
		return ""
	}

	return messages[0].GetActorId()
}

// waitFlags say how a command follows what it has begun.
type waitFlags struct {
	wait, debug bool
	timeout     time.Duration
	progress    string
	// around is done before the sequence begins, and what it returns when the
	// node is back; nil for nothing.
	around func(ctx context.Context, n connect.Node, show progress) (after func(context.Context) error, err error)
}

func (f *waitFlags) add(cmd *cobra.Command) {
	f.progress = "auto"
	cmd.Flags().BoolVar(&f.wait, "wait", true, "wait until it is done, and show what happens")
	cmd.Flags().BoolVar(&f.debug, "debug", false, "print the log of the kernel meanwhile")
	cmd.Flags().DurationVar(&f.timeout, "timeout", 30*time.Minute, "how long to wait at most")
}

// run begins a sequence on all nodes and follows it to its end.
func (f *waitFlags) run(cmd *cobra.Command, target *connect.Target, end ending, begin request) error {
	if f.progress != "auto" && f.progress != "plain" {
		return fmt.Errorf("--progress %q: give auto or plain", f.progress)
	}

	if f.around == nil {
		f.around = func(context.Context, connect.Node, progress) (func(context.Context) error, error) {
			return func(context.Context) error { return nil }, nil
		}
	}

	ctx, cancel := context.WithTimeoutCause(cmd.Context(), f.timeout, errors.New("not done within "+f.timeout.String()))
	defer cancel()

	show := newProgress(cmd.ErrOrStderr(), len(target.Nodes) == 1 && f.progress == "auto")
	lines := connect.NewLines(cmd.ErrOrStderr(), target)

	return connect.Do(ctx, target, func(ctx context.Context, n connect.Node) error {
		if f.debug {
			stop := followKernel(ctx, n, lines)
			defer stop()
		}

		after, err := f.around(ctx, n, show)
		if err != nil {
			show.finish(n.Name, err)

			return err
		}

		if !f.wait && !f.debug {
			_, err := begin(ctx, n)

			return err
		}

		t := tracker{node: n, show: show, end: end}
		if err = t.track(ctx, begin); err == nil {
			err = after(ctx)
		}

		show.finish(n.Name, err)

		return err
	})
}
