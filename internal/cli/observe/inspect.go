package observe

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/inspect"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/pkg/client"
)

func newInspect() *cobra.Command {
	cmd := &cobra.Command{Use: "inspect", Short: "Look into the inner working of nodes"}
	reach := connect.Add(cmd)
	cmd.AddCommand(newDependencies(reach))

	return cmd
}

func newDependencies(reach *connect.Flags) *cobra.Command {
	var withResources bool

	cmd := &cobra.Command{
		Use:   "dependencies",
		Short: "Print which controller reads and writes what, as a graph for graphviz",
		Long: `Print which controller reads and writes what, as a graph for graphviz.

Controllers are boxes. An edge leads from the controller that writes a kind of
resource to the one that reads it. With --with-resources, the kinds of resources
are shown too, and an edge of a controller's own says how it uses them.`,
		Example: `  basaltctl inspect dependencies | dot -Tsvg > controllers.svg
  basaltctl inspect dependencies --with-resources`,
		Args: cobra.NoArgs,
	}
	cmd.Flags().BoolVar(&withResources, "with-resources", false, "show resources too")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		return target.Only(cmd.Context(), func(ctx context.Context, n connect.Node) error {
			reply, err := client.Check(n.Inspect.ControllerRuntimeDependencies(ctx, &emptypb.Empty{}))
			if err != nil {
				return err
			}

			draw := drawControllers
			if withResources {
				draw = drawResources
			}

			out := cmd.OutOrStdout()
			fmt.Fprintf(out, "// %s\ndigraph {\n\trankdir=LR;\n\tnode [shape=box];\n", n.Name)
			draw(out, first(reply.GetMessages()).GetEdges())
			fmt.Fprintln(out, "}")

			return nil
		})
	})

	return cmd
}

func isOutput(edge *inspect.ControllerDependencyEdge) bool {
	return edge.GetEdgeType() == inspect.DependencyEdgeType_OUTPUT_EXCLUSIVE ||
		edge.GetEdgeType() == inspect.DependencyEdgeType_OUTPUT_SHARED
}

// drawControllers draws an edge from each writer of a type to its readers.
func drawControllers(out io.Writer, edges []*inspect.ControllerDependencyEdge) {
	var lines []string

	for _, written := range edges {
		for _, read := range edges {
			if isOutput(written) && !isOutput(read) && written.GetResourceType() == read.GetResourceType() {
				lines = append(lines, fmt.Sprintf("\t%q -> %q [label=%q];",
					written.GetControllerName(), read.GetControllerName(), written.GetResourceType()))
			}
		}
	}

	printSorted(out, lines)
}

// drawResources draws an edge from each writer to the type, and from the type
// to each reader.
func drawResources(out io.Writer, edges []*inspect.ControllerDependencyEdge) {
	var lines []string

	styles := map[inspect.DependencyEdgeType]string{
		inspect.DependencyEdgeType_OUTPUT_EXCLUSIVE:    "style=bold",
		inspect.DependencyEdgeType_OUTPUT_SHARED:       "style=solid",
		inspect.DependencyEdgeType_INPUT_STRONG:        "style=solid",
		inspect.DependencyEdgeType_INPUT_WEAK:          "style=dotted",
		inspect.DependencyEdgeType_INPUT_DESTROY_READY: "style=dashed",
	}

	for _, edge := range edges {
		style := styles[edge.GetEdgeType()]

		lines = append(lines, fmt.Sprintf("\t%q [shape=note];", edge.GetResourceType()))

		if isOutput(edge) {
			lines = append(lines, fmt.Sprintf("\t%q -> %q [%s];", edge.GetControllerName(), edge.GetResourceType(), style))

			continue
		}

		label := ""
		if id := edge.GetResourceId(); id != "" {
			label = fmt.Sprintf(", label=%q", id)
		}

		lines = append(lines, fmt.Sprintf("\t%q -> %q [%s%s];", edge.GetResourceType(), edge.GetControllerName(), style, label))
	}

	printSorted(out, lines)
}

func printSorted(out io.Writer, lines []string) {
	slices.Sort(lines)
	fmt.Fprintln(out, strings.Join(slices.Compact(lines), "\n"))
}
