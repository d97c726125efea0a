// Package get has the command that shows resources.
package get

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
)

// options are the flags of the command.
type options struct {
	namespace, output string
	watch             bool
}

// New returns the command.
func New() *cobra.Command {
	var o options

	cmd := &cobra.Command{
		Use:     "get <type> [<id>]",
		Aliases: []string{"g"},
		Short:   "Show resources of nodes",
		Long: `Show resources of nodes: what the configuration asks for, and what is.

A type goes by its name, by the beginning of its name up to a dot, or by an
alias; "basaltctl get rd" lists all types.`,
		Example: `  basaltctl get members
  basaltctl get addresses -o wide --nodes 10.5.0.2,10.5.0.3
  basaltctl get link eth0 -o yaml
  basaltctl get nodeaddress default -o jsonpath='{.spec.addresses}'
  basaltctl get services --watch`,
		Args: cobra.RangeArgs(1, 2),
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)
	cmd.Flags().StringVar(&o.namespace, "namespace", "", "namespace of the resources (default: that of the type)")
	cmd.Flags().StringVarP(&o.output, "output", "o", "table", "form of the output: table, wide, yaml, json or jsonpath=...")
	cmd.Flags().BoolVarP(&o.watch, "watch", "w", false, "go on showing changes")
	_ = cmd.RegisterFlagCompletionFunc("output", // the flag exists
		cobra.FixedCompletions([]string{"table", "wide", "yaml", "json", "jsonpath="}, cobra.ShellCompDirectiveNoFileComp))

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
		printer, err := newPrinter(o.output, cmd.OutOrStdout(), o.watch)
		if err != nil {
			return err
		}

		q := query{namespace: o.namespace, name: args[0]}
		if len(args) == 2 {
			q.id = args[1]
		}

		if o.watch {
			return q.watch(cmd.Context(), target, printer)
		}

		return q.print(cmd.Context(), target, printer)
	})
	cmd.ValidArgsFunction = o.complete(reach)

	return cmd
}

// query is what was asked for.
type query struct {
	namespace, name, id string
}

// resolve finds the type on a node, and the namespace.
func (q query) resolve(ctx context.Context, n connect.Node) (objects.Definition, string, error) {
	definitions, err := objects.Definitions(ctx, n)
	if err != nil {
		return objects.Definition{}, "", err
	}

	definition, err := objects.Resolve(definitions, q.name)
	if q.namespace != "" {
		return definition, q.namespace, err
	}

	return definition, definition.DefaultNamespace, err
}

// found is what one node has.
type found struct {
	definition objects.Definition
	list       []*objects.Object
}

func (q query) print(ctx context.Context, target *connect.Target, p printer) error {
	answers, err := connect.Each(ctx, target, func(ctx context.Context, n connect.Node) (found, error) {
		definition, namespace, err := q.resolve(ctx, n)
		if err != nil {
			return found{}, err
		}

		if q.id == "" {
			list, err := objects.List(ctx, n, namespace, definition.Type)

			return found{definition, list}, err
		}

		object, err := objects.Get(ctx, n, namespace, definition.Type, q.id)

		return found{definition, []*objects.Object{object}}, err
	})

	for _, answer := range answers {
		for _, object := range answer.Value.list {
			if err := p.print(answer.Value.definition, row{node: answer.Node, object: object}); err != nil {
				return err
			}
		}
	}

	if flushErr := p.flush(); flushErr != nil {
		return flushErr
	}

	return err
}

// marks stand for what happened, in a table that watches.
func mark(event cosiresource.EventType) string {
	switch event {
	case cosiresource.EventType_CREATED:
		return "+"
	case cosiresource.EventType_DESTROYED:
		return "-"
	default:
		return " "
	}
}

func (q query) watch(ctx context.Context, target *connect.Target, p printer) error {
	var mu sync.Mutex

	err := connect.Do(ctx, target, func(ctx context.Context, n connect.Node) error {
		definition, namespace, err := q.resolve(ctx, n)
		if err != nil {
			return err
		}

		return objects.Watch(ctx, n, namespace, definition.Type, q.id, func(event objects.Event) error {
			mu.Lock()
			defer mu.Unlock()

			return p.print(definition, row{
				node: n.Name, object: event.Object, mark: mark(event.Type), event: strings.ToLower(event.Type.String()),
			})
		})
	})
	if ctx.Err() != nil {
		return nil
	}

	return err
}

// complete completes types and then ids.
func (o *options) complete(reach *connect.Flags) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 1 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}

		return reach.Ask(cmd, func(ctx context.Context, n connect.Node) ([]string, error) {
			if len(args) == 0 {
				return typeNames(ctx, n)
			}

			definition, namespace, err := query{namespace: o.namespace, name: args[0]}.resolve(ctx, n)
			if err != nil {
				return nil, err
			}

			list, err := objects.List(ctx, n, namespace, definition.Type)

			ids := make([]string, len(list))
			for i, object := range list {
				ids[i] = object.Meta.GetId()
			}

			return ids, err
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

func typeNames(ctx context.Context, n connect.Node) ([]string, error) {
	definitions, err := objects.Definitions(ctx, n)

	var names []string
	for _, definition := range definitions {
		names = append(append(names, strings.ToLower(definition.Type)), definition.Aliases...)
	}

	return names, err
}

// newPrinter returns the printer for an output form.
func newPrinter(output string, out io.Writer, watch bool) (printer, error) {
	form, expression, _ := strings.Cut(output, "=")

	switch form {
	case "table", "wide":
		return newTablePrinter(out, form == "wide", watch), nil
	case "yaml":
		return &yamlPrinter{out: out}, nil
	case "json":
		return &jsonPrinter{out: out}, nil
	case "jsonpath":
		path, err := objects.ParsePath(expression)
		if err != nil {
			return nil, err
		}

		return &pathPrinter{out: out, path: path}, nil
	default:
		return nil, fmt.Errorf("--output %q: give table, wide, yaml, json or jsonpath=<expression>", output)
	}
}
