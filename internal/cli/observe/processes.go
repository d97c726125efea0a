package observe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
)

// order compares two processes; the one to be shown first is less.
type order func(a, b *machine.ProcessInfo) int

var errSort = errors.New("--sort: give rss or cpu")

func parseOrder(name string) (order, error) {
	switch name {
	case "rss":
		return func(a, b *machine.ProcessInfo) int { return cmp.Compare(b.GetResidentMemory(), a.GetResidentMemory()) }, nil
	case "cpu":
		return func(a, b *machine.ProcessInfo) int { return cmp.Compare(b.GetCpuTime(), a.GetCpuTime()) }, nil
	default:
		return nil, errSort
	}
}

// livePeriod is the time between two looks of the live view.
const livePeriod = 2 * time.Second

func newProcesses() *cobra.Command {
	var (
		sort string
		live bool
	)

	cmd := &cobra.Command{
		Use:     "processes",
		Aliases: []string{"p", "ps"},
		Short:   "List the processes of nodes, once or as a live view",
		Example: `  basaltctl processes
  basaltctl processes --sort cpu --nodes 10.5.0.2
  basaltctl processes --watch`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	cmd.Flags().StringVarP(&sort, "sort", "s", "rss", "order: rss (memory) or cpu (processor time)")
	cmd.Flags().BoolVarP(&live, "watch", "w", false, "go on showing them until interrupted")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		by, err := parseOrder(sort)
		if err != nil {
			return err
		}

		if !live {
			return printProcesses(cmd.Context(), cmd.OutOrStdout(), target, by)
		}

		return watchProcesses(cmd.Context(), cmd.OutOrStdout(), target, by)
	})

	return cmd
}

func printProcesses(ctx context.Context, out io.Writer, target *connect.Target, by order) error {
	answers, err := connect.Call(ctx, target, &emptypb.Empty{},
		func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.ProcessesResponse] {
			return n.Machine.Processes
		})
	t := table.New(out, "NODE", "PID", "STATE", "THREADS", "CPU-TIME", "VIRTMEM", "RESMEM", "LABEL", "COMMAND")

	for _, answer := range answers {
		processes := first(answer.Value.GetMessages()).GetProcesses()
		slices.SortStableFunc(processes, by)

		for _, p := range processes {
			t.Row(answer.Node, p.GetPid(), p.GetState(), p.GetThreads(), fmt.Sprintf("%.2f", p.GetCpuTime()),
				humanize.Bytes(p.GetVirtualMemory()), humanize.Bytes(p.GetResidentMemory()), p.GetLabel(), commandOf(p))
		}
	}

	return errors.Join(t.Flush(), err)
}

// commandOf is what a process runs: its arguments, or for the kernel's own its
// name.
func commandOf(p *machine.ProcessInfo) string {
	for _, text := range []string{p.GetArgs(), p.GetExecutable()} {
		if text != "" {
			return text
		}
	}

	return "[" + p.GetCommand() + "]"
}

// watchProcesses prints the processes again and again, each time from the top
// of the screen.
func watchProcesses(ctx context.Context, out io.Writer, target *connect.Target, by order) error {
	ticker := time.NewTicker(livePeriod)
	defer ticker.Stop()

	for {
		fmt.Fprint(out, "\x1b[H\x1b[2J")

		if err := printProcesses(ctx, out, target, by); err != nil && ctx.Err() == nil {
			return err
		}

		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}
