package observe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client"
)

// listOptions are the flags of "list".
type listOptions struct {
	long, humanize, recurse bool
	depth                   int32
	types                   []string
}

func newList() *cobra.Command {
	var o listOptions

	cmd := &cobra.Command{
		Use:     "list [path]",
		Aliases: []string{"ls"},
		Short:   "List a folder of nodes",
		Example: `  basaltctl list /var/log
  basaltctl list -l -r -d 2 /etc
  basaltctl list -t f,l /system`,
		Args: cobra.MaximumNArgs(1),
	}

	reach := connect.Add(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&o.long, "long", "l", false, "print mode, owner, size and time too")
	flags.BoolVarP(&o.humanize, "humanize", "H", false, "print sizes and times for people")
	flags.BoolVarP(&o.recurse, "recurse", "r", false, "list folders in folders")
	flags.Int32VarP(&o.depth, "depth", "d", 1, "how deep to go")
	flags.StringSliceVarP(&o.types, "type", "t", nil, "only f (files), d (folders), l, L (links); may be repeated")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		root := "/"
		if len(args) == 1 {
			root = args[0]
		}

		return o.run(cmd, target, root)
	})
	cmd.ValidArgsFunction = completePath(reach)

	return cmd
}

func (o *listOptions) request(root string) (*machine.ListRequest, error) {
	request := &machine.ListRequest{Root: root, Recurse: o.recurse || o.depth > 1, RecursionDepth: o.depth, ReportXattrs: o.long}

	// "recurse" alone means everything.
	if o.recurse && o.depth == 1 {
		request.RecursionDepth = 0
	}

	for _, word := range o.types {
		switch word {
		case "f":
			request.Types = append(request.Types, machine.ListRequest_REGULAR)
		case "d":
			request.Types = append(request.Types, machine.ListRequest_DIRECTORY)
		case "l", "L":
			request.Types = append(request.Types, machine.ListRequest_SYMLINK)
		default:
			return nil, fmt.Errorf("--type %q: give f, d or l", word)
		}
	}

	return request, nil
}

// collect gathers a stream of one node. With an error come the messages before
// it.
func collect[M any](messages func(yield func(M, error) bool)) ([]M, error) {
	var list []M

	for message, err := range messages {
		if err != nil {
			return list, err
		}

		list = append(list, message)
	}

	return list, nil
}

func (o *listOptions) run(cmd *cobra.Command, target *connect.Target, root string) error {
	request, err := o.request(root)
	if err != nil {
		return err
	}

	answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) ([]*machine.FileInfo, error) {
		stream, err := n.Machine.List(ctx, request)

		return collect(client.Messages(stream, err))
	})

	headings := []string{"NODE", "NAME"}
	if o.long {
		headings = []string{"NODE", "MODE", "UID", "GID", "SIZE(B)", "LASTMOD", "LABEL", "NAME"}
	}

	t := table.New(cmd.OutOrStdout(), headings...)

	var problems []error

	for _, answer := range answers {
		for _, info := range answer.Value {
			if info.GetError() != "" {
				problems = append(problems, fmt.Errorf("%s: %s", answer.Node, info.GetError()))

				continue
			}

			if !o.long {
				t.Row(answer.Node, info.GetRelativeName())

				continue
			}

			t.Row(o.longRow(answer.Node, info)...)
		}
	}

	return errors.Join(append([]error{t.Flush(), err}, problems...)...)
}

func (o *listOptions) longRow(node string, info *machine.FileInfo) []any {
	size, modified := fmt.Sprint(info.GetSize()), time.Unix(info.GetModified(), 0)
	when := modified.Format("Jan _2 15:04:05 2006")

	if o.humanize {
		size, when = humanize.Bytes(uint64(max(info.GetSize(), 0))), humanize.Time(modified)
	}

	name := info.GetRelativeName()
	if info.GetLink() != "" {
		name += " -> " + info.GetLink()
	}

	return []any{node, fs.FileMode(info.GetMode()), info.GetUid(), info.GetGid(), size, when, label(info), name}
}

// label is the security label of a file.
func label(info *machine.FileInfo) string {
	for _, attribute := range info.GetXattrs() {
		if attribute.GetName() == "security.selinux" {
			return strings.TrimRight(string(attribute.GetData()), "\x00")
		}
	}

	return ""
}

// completePath completes a path of the nodes.
func completePath(reach *connect.Flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		folder := path.Dir(prefix + "x")

		words := reach.Ask(cmd, func(ctx context.Context, n connect.Node) ([]string, error) {
			stream, err := n.Machine.List(ctx, &machine.ListRequest{Root: folder})
			infos, err := collect(client.Messages(stream, err))

			var words []string

			for _, info := range infos {
				word := path.Join(folder, info.GetRelativeName())
				if info.GetIsDir() {
					word += "/"
				}

				words = append(words, word)
			}

			return words, err
		})

		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
}

func newRead() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "read <path>",
		Aliases: []string{"cat"},
		Short:   "Print a file of nodes",
		Example: `  basaltctl read /etc/os-release
  basaltctl read /proc/cmdline --nodes 10.5.0.2,10.5.0.3`,
		Args: cobra.ExactArgs(1),
	}

	reach := connect.Add(cmd)
	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		open := func(ctx context.Context, n connect.Node) (client.Stream[*common.Data], error) {
			return n.Machine.Read(ctx, &machine.ReadRequest{Path: args[0]})
		}

		if len(target.Nodes) > 1 {
			return stream(cmd, target, false, open)
		}

		// One file is passed on as it is, which may not be text.
		return connect.Do(cmd.Context(), target, func(ctx context.Context, n connect.Node) error {
			reader, err := client.NewReader(open(ctx, n))
			if err != nil {
				return err
			}

			_, err = reader.WriteTo(cmd.OutOrStdout())

			return err
		})
	})
	cmd.ValidArgsFunction = completePath(reach)

	return cmd
}
