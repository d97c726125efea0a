package manage

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/choice"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/client"
)

// upgradeFlags say how a node upgrades.
type upgradeFlags struct {
	waitFlags

	moving           drainFlags
	image, namespace string
	mode             string
	noReboot, legacy bool
	stage, force     bool
}

func newUpgrade() *cobra.Command {
	var f upgradeFlags

	cmd := &cobra.Command{
		Use:   "upgrade",
		Short: "Install another version of the system on nodes, and restart them with it",
		Long: `Install another version of the system on nodes, and restart them with it.

The new version is written beside the running one. The boot loader tries it
three times; it stays once the node is healthy, see "get upgradestatus". Until
then the version before comes back by itself, and the status says why.`,
		Example: `  basaltctl upgrade -n 10.5.0.3 --image ` + payload.Image(version.Version) + `
  basaltctl upgrade -n 10.5.0.3 --image … --no-reboot
  basaltctl upgrade -n 10.5.0.3 --image … --drain=false`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	f.add(cmd)

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error { return f.upgrade(cmd, target) })

	return cmd
}

func (f *upgradeFlags) add(cmd *cobra.Command) {
	f.waitFlags.add(cmd)
	f.moving.add(cmd, true)

	flags := cmd.Flags()
	flags.StringVarP(&f.image, "image", "i", payload.Image(version.Version), "the image of the installer")
	flags.StringVar(&f.namespace, "namespace", "system", "where the image goes: system or cri")
	flags.BoolVar(&f.noReboot, "no-reboot", false, "write the new version and go on with the running one")
	flags.BoolVar(&f.legacy, "legacy", false, "have the node do it all by itself, as nodes before 1.13 do")
	flags.BoolVarP(&f.stage, "stage", "s", false, "with --legacy: write the new version after a restart, when no disk is in use")
	flags.BoolVarP(&f.force, "force", "f", false, "with --legacy: do not drain the node")
	flags.BoolP("preserve", "p", false, "")
	flags.StringVarP(&f.mode, "reboot-mode", "m", "default", "default or powercycle (both through the firmware)")
	flags.StringVar(&f.progress, "progress", "auto", "how to show progress: auto or plain")

	_ = flags.MarkHidden("preserve")                                                         // the flag exists; data always stay
	_ = cmd.RegisterFlagCompletionFunc("reboot-mode", choice.Words("default", "powercycle")) // the flag exists
	_ = cmd.RegisterFlagCompletionFunc("namespace", choice.Words("system", "cri"))           // the flag exists
}

func (f *upgradeFlags) upgrade(cmd *cobra.Command, target *connect.Target) error {
	modes := map[string]machine.RebootRequest_Mode{
		"default": machine.RebootRequest_DEFAULT, "powercycle": machine.RebootRequest_POWERCYCLE,
	}

	mode, ok := modes[f.mode]
	if !ok {
		return fmt.Errorf("--reboot-mode %q: give default or powercycle", f.mode)
	}

	spaces := map[string]common.ContainerdNamespace{
		"system": common.ContainerdNamespace_NS_SYSTEM, "cri": common.ContainerdNamespace_NS_CRI,
	}

	space, ok := spaces[f.namespace]
	if !ok {
		return fmt.Errorf("--namespace %q: give system or cri", f.namespace)
	}

	if f.stage && !f.legacy {
		return errors.New("--stage needs --legacy")
	}

	if f.legacy {
		return f.run(cmd, target, comesBack, func(ctx context.Context, n connect.Node) (string, error) {
			reply, err := client.Check(n.Machine.Upgrade(ctx, &machine.UpgradeRequest{Image: f.image, Stage: f.stage, Force: f.force}))

			return actorOf(reply.GetMessages()), err
		})
	}

	install := func(ctx context.Context, n connect.Node, show progress) error {
		return installVersion(ctx, n, show, &common.ContainerdInstance{Driver: common.ContainerDriver_CONTAINERD, Namespace: space}, f.image)
	}

	if f.noReboot {
		show := newProgress(cmd.ErrOrStderr(), len(target.Nodes) == 1 && f.progress == "auto")

		return connect.Do(cmd.Context(), target, func(ctx context.Context, n connect.Node) error {
			err := install(ctx, n, show)
			show.finish(n.Name, err)

			return err
		})
	}

	moving, err := f.moving.before(cmd, target, f.wait)
	if err != nil {
		return fmt.Errorf("%w (use --drain=false where Kubernetes does not run)", err)
	}

	f.around = func(ctx context.Context, n connect.Node, show progress) (func(context.Context) error, error) {
		if err := install(ctx, n, show); err != nil {
			return nil, err
		}

		if moving == nil {
			return func(context.Context) error { return nil }, nil
		}

		return moving(ctx, n, show)
	}

	return f.run(cmd, target, comesBack, func(ctx context.Context, n connect.Node) (string, error) {
		reply, err := client.Check(n.Machine.Reboot(ctx, &machine.RebootRequest{Mode: mode}))

		return actorOf(reply.GetMessages()), err
	})
}

// installVersion has a node fetch an image and run its installer.
func installVersion(ctx context.Context, n connect.Node, show progress, where *common.ContainerdInstance, image string) error {
	show.phase(n.Name, "pull "+image)

	pull, err := n.Image.Pull(ctx, &machine.ImageServicePullRequest{Containerd: where, ImageRef: image})

	for err == nil {
		var reply *machine.ImageServicePullResponse
		if reply, err = pull.Recv(); err == nil && reply.GetName() != "" {
			image = reply.GetName()
		}
	}

	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("pulling %s: %w", image, err)
	}

	show.phase(n.Name, "write the new version")

	upgrade, err := n.Lifecycle.Upgrade(ctx, &machine.LifecycleServiceUpgradeRequest{
		Containerd: where, Source: &machine.InstallArtifactsSource{ImageName: image},
	})

	last := ""

	for err == nil {
		var reply *machine.LifecycleServiceUpgradeResponse
		if reply, err = upgrade.Recv(); err != nil {
			break
		}

		switch response := reply.GetProgress().GetResponse().(type) {
		case *machine.LifecycleServiceInstallProgress_Message:
			last = response.Message
			show.task(n.Name, last)
		case *machine.LifecycleServiceInstallProgress_ExitCode:
			if response.ExitCode != 0 {
				return fmt.Errorf("the installer ended with exit code %d: %s", response.ExitCode, last)
			}

			return nil
		}
	}

	if errors.Is(err, io.EOF) {
		err = errors.New("the node did not say how the installer ended")
	}

	return fmt.Errorf("installing %s: %w", image, err)
}

func newRollback() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "rollback",
		Short:   "Restart nodes with the version that they ran before",
		Example: "  basaltctl rollback --nodes 10.5.0.3",
		Args:    cobra.NoArgs,
	}

	cmd.RunE = connect.Add(cmd).Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return onEach(cmd, target, "restarts with the version before", func(ctx context.Context, n connect.Node) error {
			_, err := client.Check(n.Machine.Rollback(ctx, &machine.RollbackRequest{}))

			return err
		})
	})

	return cmd
}
