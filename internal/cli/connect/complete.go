package connect

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// completeTimeout bounds how long a shell waits for nodes.
const completeTimeout = 2 * time.Second

// CompleteContexts completes names of contexts.
func (f *Flags) CompleteContexts(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	config, err := f.Config()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}

	return config.Names(), cobra.ShellCompDirectiveNoFileComp
}

// completeNodes offers what the context names.
func (f *Flags) completeNodes(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	config, err := f.Config()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}

	selected, err := config.Select(f.context)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}

	names := slices.Concat(selected.Nodes, selected.Endpoints)
	slices.Sort(names)

	return slices.Compact(names), cobra.ShellCompDirectiveNoFileComp
}

// Complete returns a completion of the first argument that asks the nodes. Of
// errors nothing is seen: a shell has no place for them.
func (f *Flags) Complete(ask func(ctx context.Context, n Node) ([]string, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}

		return f.Ask(cmd, ask), cobra.ShellCompDirectiveNoFileComp
	}
}

// Ask returns what the nodes answer, sorted and without duplicates.
func (f *Flags) Ask(cmd *cobra.Command, ask func(ctx context.Context, n Node) ([]string, error)) []string {
	target, err := f.Open()
	if err != nil {
		return nil
	}
	defer target.Close() //nolint:errcheck // nothing is lost

	// A shell completes without the context of a command.
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}

	ctx, cancel := context.WithTimeout(parent, completeTimeout)
	defer cancel()

	// There is no place for errors.
	answers, _ := Each(ctx, target, ask)

	var words []string
	for _, answer := range answers {
		words = append(words, answer.Value...)
	}

	slices.Sort(words)

	return slices.Compact(words)
}
