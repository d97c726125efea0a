package observe

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
)

func newMemory() *cobra.Command {
	var verbose bool

	cmd := &cobra.Command{
		Use:     "memory",
		Aliases: []string{"m", "free"},
		Short:   "Show how much memory nodes have and use, in MB",
		Example: `  basaltctl memory
  basaltctl memory --verbose --nodes 10.5.0.2`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "print everything that the kernel says")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		answers, err := connect.Call(cmd.Context(), target, &emptypb.Empty{},
			func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.MemoryResponse] { return n.Machine.Memory })

		if verbose {
			for _, answer := range answers {
				fmt.Fprintf(cmd.OutOrStdout(), "NODE: %s\n%s\n", answer.Node, allMemory(first(answer.Value.GetMessages()).GetMeminfo()))
			}

			return err
		}

		t := table.New(cmd.OutOrStdout(), "NODE", "TOTAL", "USED", "FREE", "SHARED", "BUFFERS", "CACHE", "AVAILABLE")

		for _, answer := range answers {
			m := first(answer.Value.GetMessages()).GetMeminfo()
			used := m.GetMemtotal() - m.GetMemfree() - m.GetCached() - m.GetBuffers()
			t.Row(answer.Node, mega(m.GetMemtotal()), mega(used), mega(m.GetMemfree()), mega(m.GetShmem()),
				mega(m.GetBuffers()), mega(m.GetCached()), mega(m.GetMemavailable()))
		}

		return errors.Join(t.Flush(), err)
	})

	return cmd
}

// mega turns the kernel's kB into MB.
func mega(kilobytes uint64) uint64 { return kilobytes / 1024 }

// allMemory lists all fields of the kernel's report, in its order.
func allMemory(info *machine.MemInfo) string {
	var text strings.Builder

	message := info.ProtoReflect()
	fields := message.Descriptor().Fields()

	for i := range fields.Len() {
		field := fields.Get(i)

		unit := " kB"
		if strings.HasPrefix(string(field.Name()), "hugepages") && field.Name() != protoreflect.Name("hugepagesize") {
			unit = ""
		}

		fmt.Fprintf(&text, "%-20s %d%s\n", field.Name(), message.Get(field).Uint(), unit)
	}

	return text.String()
}

func newMounts() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "mounts",
		Aliases: []string{"mount"},
		Short:   "List mounted filesystems",
		Example: `  basaltctl mounts
  basaltctl mounts --nodes 10.5.0.2,10.5.0.3`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		answers, err := connect.Call(cmd.Context(), target, &emptypb.Empty{},
			func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.MountsResponse] { return n.Machine.Mounts })
		t := table.New(cmd.OutOrStdout(), "NODE", "FILESYSTEM", "SIZE(GB)", "USED(GB)", "AVAILABLE(GB)", "PERCENT USED", "MOUNTED ON")

		for _, answer := range answers {
			for _, m := range first(answer.Value.GetMessages()).GetStats() {
				used := m.GetSize() - min(m.GetAvailable(), m.GetSize())

				percent := 0.0
				if m.GetSize() > 0 {
					percent = 100 * float64(used) / float64(m.GetSize())
				}

				t.Row(answer.Node, m.GetFilesystem(), giga(m.GetSize()), giga(used), giga(m.GetAvailable()),
					fmt.Sprintf("%.2f%%", percent), m.GetMountedOn())
			}
		}

		return errors.Join(t.Flush(), err)
	})

	return cmd
}

func giga(bytes uint64) string { return fmt.Sprintf("%.2f", float64(bytes)/1e9) }
