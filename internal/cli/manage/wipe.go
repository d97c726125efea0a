package manage

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/api/storage"
	"github.com/basalt-os/basalt/internal/cli/choice"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

func newWipe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "wipe",
		Short: "Erase block devices, and what is made of them",
	}
	reach := connect.Add(cmd)

	cmd.AddCommand(
		newWipeDisk(reach),
		newWipeOne(reach, "lv <vg/lv>", "Remove a logical volume", "  basaltctl wipe lv -n 10.5.0.3 data/scratch",
			func(ctx context.Context, n connect.Node, name string) error {
				group, volume, ok := strings.Cut(name, "/")
				if !ok {
					return fmt.Errorf("%q: give the volume group and the logical volume, as in data/scratch", name)
				}

				_, err := n.LVM.LogicalVolumeRemove(ctx, &machine.LVMServiceLogicalVolumeRemoveRequest{VolumeGroup: group, LogicalVolume: volume})

				return err
			}),
		newWipeOne(reach, "vg <name>", "Remove a volume group", "  basaltctl wipe vg -n 10.5.0.3 data",
			func(ctx context.Context, n connect.Node, name string) error {
				_, err := n.LVM.VolumeGroupRemove(ctx, &machine.LVMServiceVolumeGroupRemoveRequest{VolumeGroup: name})

				return err
			}),
		newWipeOne(reach, "pv <device>", "Remove a physical volume", "  basaltctl wipe pv -n 10.5.0.3 /dev/sdb",
			func(ctx context.Context, n connect.Node, name string) error {
				_, err := n.LVM.PhysicalVolumeRemove(ctx, &machine.LVMServicePhysicalVolumeRemoveRequest{Device: name})

				return err
			}),
		newWipeOne(reach, "md <device>", "Take a software RAID array apart", "  basaltctl wipe md -n 10.5.0.3 /dev/md0",
			func(ctx context.Context, n connect.Node, name string) error {
				_, err := n.MD.Destroy(ctx, &machine.MDDestroyRequest{Device: name})

				return err
			}),
	)

	return cmd
}

func newWipeDisk(reach *connect.Flags) *cobra.Command {
	var drop, skipVolumes, skipSecondaries bool

	method := "FAST"

	cmd := &cobra.Command{
		Use:   "disk <device names>...",
		Short: "Erase disks or partitions that nothing uses",
		Long: `Erase disks or partitions that nothing uses.

The method FAST makes what is on them unrecognizable, ZEROES overwrites all of
it. A device that holds a volume of the machine, that is mounted, or that another
device is made of is refused.`,
		Example: `  basaltctl wipe disk -n 10.5.0.3 sdb
  basaltctl wipe disk -n 10.5.0.3 sdb1 --drop-partition
  basaltctl wipe disk -n 10.5.0.3 nvme0n1 nvme1n1 --method ZEROES`,
		Args: cobra.MinimumNArgs(1),
	}

	reach.AddInsecure(cmd)

	flags := cmd.Flags()
	flags.BoolVar(&drop, "drop-partition", false, "take the partition out of its disk's table afterwards")
	flags.StringVar(&method, "method", method, "how to erase: FAST or ZEROES")
	flags.BoolVar(&skipVolumes, "skip-volume-check", false, "erase a device even when a volume is on it")
	flags.BoolVar(&skipSecondaries, "skip-secondary-check", false, "erase a device even when another one is made of it")

	for _, name := range []string{"skip-volume-check", "skip-secondary-check"} {
		_ = flags.MarkHidden(name) // the flag exists
	}

	_ = cmd.RegisterFlagCompletionFunc("method", choice.Words("FAST", "ZEROES")) // the flag exists

	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		chosen, ok := storage.BlockDeviceWipeDescriptor_Method_value[strings.ToUpper(method)]
		if !ok {
			return fmt.Errorf("--method %q: give FAST or ZEROES", method)
		}

		request := &storage.BlockDeviceWipeRequest{}

		for _, device := range args {
			request.Devices = append(request.Devices, &storage.BlockDeviceWipeDescriptor{
				Device: strings.TrimPrefix(device, "/dev/"), Method: storage.BlockDeviceWipeDescriptor_Method(chosen),
				DropPartition: drop, SkipVolumeCheck: skipVolumes, SkipSecondaryCheck: skipSecondaries,
			})
		}

		return reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			return onEach(cmd, target, "erased", func(ctx context.Context, n connect.Node) error {
				_, err := client.Check(n.Storage.BlockDeviceWipe(ctx, request))

				return err
			})
		})(cmd, args)
	}

	return cmd
}

// newWipeOne is a command that removes one thing by its name.
func newWipeOne(
	reach *connect.Flags, use, short, example string, remove func(ctx context.Context, n connect.Node, name string) error,
) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Example: example, Args: cobra.ExactArgs(1)}

	reach.AddInsecure(cmd)

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		return onEach(cmd, target, "removed", func(ctx context.Context, n connect.Node) error { return remove(ctx, n, args[0]) })
	})

	return cmd
}

// onEach does something on all nodes and says on which it was done.
func onEach(cmd *cobra.Command, target *connect.Target, done string, act func(ctx context.Context, n connect.Node) error) error {
	answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) (struct{}, error) {
		return struct{}{}, act(ctx, n)
	})

	for _, answer := range answers {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", answer.Node, done)
	}

	return err
}

// newDisks is a command of the past, which says what has taken its place.
func newDisks() *cobra.Command {
	cmd := &cobra.Command{
		Use:    "disks",
		Short:  "Use \"get disks\"",
		Hidden: true,

		Example: "  basaltctl get disks -n 10.5.0.3",
		Args:    cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New(`disks are resources now: use "basaltctl get disks", "get discoveredvolumes" and "get systemdisk"`)
		},
	}

	connect.Add(cmd)

	return cmd
}
