package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/internal/resources/block"
)

// diskFree are the flags of "diskfree".
type diskFree struct{ bytes, inodes bool }

func newDiskFree() *cobra.Command {
	var o diskFree

	cmd := &cobra.Command{
		Use:     "diskfree [volume ID]",
		Aliases: []string{"df"},
		Short:   "Show how full the mounted volumes are",
		Example: `  basaltctl diskfree
  basaltctl diskfree EPHEMERAL --bytes
  basaltctl df -i`,
		Args: cobra.MaximumNArgs(1),
	}

	reach := connect.Add(cmd)
	cmd.Flags().BoolVarP(&o.bytes, "bytes", "b", false, "print sizes in bytes")
	cmd.Flags().BoolVarP(&o.inodes, "inodes", "i", false, "count files instead of space")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) ([]volumeUse, error) {
			return volumes(ctx, n, args)
		})
		t := table.New(cmd.OutOrStdout(), o.header()...)

		for _, answer := range answers {
			for _, v := range answer.Value {
				t.Row(o.row(answer.Node, v)...)
			}
		}

		return errors.Join(t.Flush(), err)
	})
	cmd.ValidArgsFunction = reach.Complete(func(ctx context.Context, n connect.Node) ([]string, error) {
		mounted, err := mountedVolumes(ctx, n)

		var names []string
		for _, v := range mounted {
			names = append(names, v.volume)
		}

		return names, err
	})

	return cmd
}

// volumeUse is a mounted volume.
type volumeUse struct {
	volume, target string
	use            *machine.StorageServiceStatfsResponse
}

// volumes measures the named volume of a node, or all of them.
func volumes(ctx context.Context, n connect.Node, names []string) ([]volumeUse, error) {
	mounted, err := mountedVolumes(ctx, n)
	if err != nil {
		return nil, err
	}

	if len(names) > 0 {
		mounted = slices.DeleteFunc(mounted, func(v volumeUse) bool { return !slices.Contains(names, v.volume) })
		if len(mounted) == 0 {
			return nil, fmt.Errorf("volume %q is not mounted", names[0])
		}
	}

	for i := range mounted {
		mounted[i].use, err = n.Filesystem.Statfs(ctx, &machine.StorageServiceStatfsRequest{Path: mounted[i].target})
		if err != nil {
			return nil, fmt.Errorf("measuring volume %s: %w", mounted[i].volume, err)
		}
	}

	return mounted, nil
}

func mountedVolumes(ctx context.Context, n connect.Node) ([]volumeUse, error) {
	definition := block.MountStatus{}.Definition()

	list, err := objects.List(ctx, n, definition.Namespace, definition.Type)
	if err != nil {
		return nil, fmt.Errorf("listing mounted volumes: %w", err)
	}

	var out []volumeUse

	for _, object := range list {
		var spec struct {
			Spec struct {
				VolumeID string `yaml:"volumeID"`
			} `yaml:"spec"`
			Target string `yaml:"target"`
		}
		if err := object.Decode(&spec); err != nil {
			return nil, err
		}

		// A volume that is not at any place, such as swap, has no file system.
		if spec.Target != "" {
			out = append(out, volumeUse{volume: cmp.Or(spec.Spec.VolumeID, object.Meta.GetId()), target: spec.Target})
		}
	}

	slices.SortFunc(out, func(a, b volumeUse) int { return cmp.Compare(a.volume, b.volume) })

	return out, nil
}

func (o diskFree) header() []string {
	if o.inodes {
		return []string{"NODE", "VOLUME", "INODES", "USED", "FREE", "USED%", "MOUNTED ON"}
	}

	return []string{"NODE", "VOLUME", "SIZE", "USED", "AVAILABLE", "USED%", "MOUNTED ON"}
}

func (o diskFree) row(node string, v volumeUse) []any {
	number := func(n uint64) string { return strconv.FormatUint(n, 10) }
	if !o.inodes && !o.bytes {
		number = humanize.IBytes
	}

	all, used, free := v.use.GetSize(), v.use.GetUsed(), v.use.GetAvailable()
	if o.inodes {
		all, used, free = v.use.GetInodes(), v.use.GetInodesUsed(), v.use.GetInodesFree()
	}

	return []any{node, v.volume, number(all), number(used), number(free), percent(used, used+free), v.target}
}

// percent is a share for people; of nothing it is unknown.
func percent(part, whole uint64) string {
	if whole == 0 {
		return "-"
	}

	return fmt.Sprintf("%.0f%%", 100*float64(part)/float64(whole))
}
