// Package contexts has the commands that manage the client configuration: the
// file that says where clusters are.
package contexts

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// New returns the command "config" with its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Manage the client configuration, which says where clusters are",
	}

	reach := connect.Add(cmd)
	cmd.AddCommand(
		newAdd(reach), newSelect(reach), newList(reach), newInfo(reach), newMerge(reach), newNew(reach), newRemove(reach),
		newSetter(reach, "endpoint <endpoint>...", "endpoints", "Set the endpoints of the current context: the addresses to connect to",
			"  basaltctl config endpoint 10.5.0.2 10.5.0.3",
			func(c *clientconfig.Context, values []string) { c.Endpoints = values }),
		newSetter(reach, "node <endpoint>...", "nodes", "Set the nodes of the current context: those that answer when a command names none",
			"  basaltctl config node 10.5.0.2\n  basaltctl config node",
			func(c *clientconfig.Context, values []string) { c.Nodes = values }),
		newProxy(reach),
	)

	return cmd
}

// edit changes the client configuration. When the function fails, nothing is
// written.
func edit(reach *connect.Flags, change func(*clientconfig.Config) error) error {
	config, err := clientconfig.LoadOrNew(reach.ConfigPath())
	if err != nil {
		return err
	}

	if err := change(config); err != nil {
		return err
	}

	return config.Save(reach.ConfigPath())
}

func newAdd(reach *connect.Flags) *cobra.Command {
	var ca, crt, key string

	cmd := &cobra.Command{
		Use:   "add <context>",
		Short: "Add a context and make it the current one",
		Example: `  basaltctl config add prod
  basaltctl config add prod --ca ca.crt --crt admin.crt --key admin.key`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			context := &clientconfig.Context{Endpoints: []string{}}

			for _, file := range []struct {
				path string
				into *secrets.PEM
			}{{ca, &context.CA}, {crt, &context.Crt}, {key, &context.Key}} {
				if file.path == "" {
					continue
				}

				data, err := os.ReadFile(file.path)
				if err != nil {
					return fmt.Errorf("adding context: %w", err)
				}

				*file.into = data
			}

			if _, err := context.Pool(); err != nil {
				return err
			}

			if _, err := context.Certificate(); err != nil {
				return err
			}

			return edit(reach, func(config *clientconfig.Config) error {
				if _, ok := config.Contexts[args[0]]; ok {
					return fmt.Errorf("adding context %q: there is one already", args[0])
				}

				config.Contexts[args[0]] = context
				config.Context = args[0]

				return nil
			})
		},
	}

	cmd.Flags().StringVar(&ca, "ca", "", "file with the certificate of the cluster's authority")
	cmd.Flags().StringVar(&crt, "crt", "", "file with the client certificate")
	cmd.Flags().StringVar(&key, "key", "", "file with the key of the client certificate")
	cmd.MarkFlagsRequiredTogether("crt", "key")

	return cmd
}

func newSelect(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:               "context <context>",
		Aliases:           []string{"use-context"},
		Short:             "Make a context the current one",
		Example:           "  basaltctl config context prod",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: reach.CompleteContexts,
		RunE: func(_ *cobra.Command, args []string) error {
			return edit(reach, func(config *clientconfig.Config) error {
				_, err := config.Select(args[0])
				config.Context = args[0]

				return err
			})
		},
	}
}

func newList(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:     "contexts",
		Aliases: []string{"get-contexts"},
		Short:   "List the contexts",
		Example: "  basaltctl config contexts",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := reach.Config()
			if err != nil {
				return err
			}

			t := table.New(cmd.OutOrStdout(), "CURRENT", "NAME", "ENDPOINTS", "NODES")

			for _, name := range config.Names() {
				current := ""
				if name == config.Context {
					current = "*"
				}

				context := config.Contexts[name]
				t.Row(current, name, strings.Join(context.Endpoints, ","), strings.Join(context.Nodes, ","))
			}

			return t.Flush()
		},
	}
}

// newSetter returns a command that sets a list of the current context.
func newSetter(reach *connect.Flags, use, alias, short, example string, set func(*clientconfig.Context, []string)) *cobra.Command {
	return &cobra.Command{
		Use:     use,
		Aliases: []string{alias},
		Short:   short,
		Long:    short + ".\n\nWithout arguments, the list is emptied.",
		Example: example,
		RunE: func(_ *cobra.Command, args []string) error {
			return edit(reach, func(config *clientconfig.Config) error {
				context, err := config.Select(reach.ContextName())
				if err != nil {
					return err
				}

				set(context, append([]string{}, args...))

				return nil
			})
		},
	}
}

func newProxy(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "proxy-url [url]",
		Short: "Set the HTTP proxy of the current context, or remove it",
		Example: `  basaltctl config proxy-url http://proxy.example.org:3128
  basaltctl config proxy-url`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return edit(reach, func(config *clientconfig.Config) error {
				context, err := config.Select(reach.ContextName())
				if err != nil {
					return err
				}

				context.ProxyURL = strings.Join(args, "")

				return nil
			})
		},
	}
}

func newMerge(reach *connect.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "merge <from>",
		Short: "Take over the contexts of another client configuration file",
		Long: `Take over the contexts of another client configuration file, and its current one.

A context whose name is taken by a different one gets a number after its name.`,
		Example: "  basaltctl config merge ./talosconfig",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			other, err := clientconfig.Load(args[0])
			if err != nil {
				return err
			}

			return edit(reach, func(config *clientconfig.Config) error {
				for _, rename := range config.Merge(other) {
					fmt.Fprintf(cmd.ErrOrStderr(), "renamed context %q to %q\n", rename.From, rename.To)
				}

				return nil
			})
		},
	}
}

func newRemove(reach *connect.Flags) *cobra.Command {
	var dryRun, yes bool

	cmd := &cobra.Command{
		Use:   "remove <context>",
		Short: "Remove contexts",
		Example: `  basaltctl config remove old
  basaltctl config remove old older --noconfirm`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: reach.CompleteContexts,
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := reach.Config()
			if err != nil {
				return err
			}

			if err := config.Remove(args...); err != nil {
				return err
			}

			if dryRun {
				fmt.Fprintf(cmd.OutOrStdout(), "would remove %s\n", strings.Join(args, ", "))

				return nil
			}

			if !yes && !confirm(cmd, fmt.Sprintf("Remove %s?", strings.Join(args, ", "))) {
				return errors.New("nothing was removed")
			}

			return config.Save(reach.ConfigPath())
		},
	}

	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, and remove nothing")
	cmd.Flags().BoolVarP(&yes, "noconfirm", "y", false, "do not ask")

	return cmd
}

// confirm asks the user; everything but a yes is a no.
func confirm(cmd *cobra.Command, question string) bool {
	fmt.Fprintf(cmd.ErrOrStderr(), "%s [y/N] ", question)

	var answer string

	_, _ = fmt.Fscanln(cmd.InOrStdin(), &answer) // no answer is a no

	return strings.EqualFold(answer, "y") || strings.EqualFold(answer, "yes")
}

// info is what "config info" says.
type info struct {
	Context   string    `json:"context" yaml:"context"`
	Nodes     []string  `json:"nodes" yaml:"nodes"`
	Endpoints []string  `json:"endpoints" yaml:"endpoints"`
	Roles     []string  `json:"roles" yaml:"roles"`
	NotAfter  time.Time `json:"notAfter" yaml:"notAfter"`
}

func newInfo(reach *connect.Flags) *cobra.Command {
	var output string

	cmd := &cobra.Command{
		Use:   "info",
		Short: "Show the current context: where it leads, with which roles, and until when",
		Example: `  basaltctl config info
  basaltctl config info -o json --context prod`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			described, err := describe(reach)
			if err != nil {
				return err
			}

			return printInfo(cmd, output, described)
		},
	}

	cmd.Flags().StringVarP(&output, "output", "o", "text", "form of the output: text, json or yaml")

	return cmd
}

func describe(reach *connect.Flags) (*info, error) {
	config, err := reach.Config()
	if err != nil {
		return nil, err
	}

	name := reach.ContextName()
	if name == "" {
		name = config.Context
	}

	context, err := config.Select(name)
	if err != nil {
		return nil, err
	}

	described := &info{Context: name, Nodes: context.Nodes, Endpoints: context.Endpoints}

	pair, err := context.Certificate()
	if err != nil {
		return nil, err
	}

	if pair != nil {
		described.Roles = pair.Leaf.Subject.Organization
		described.NotAfter = pair.Leaf.NotAfter
	}

	return described, nil
}

func printInfo(cmd *cobra.Command, output string, described *info) error {
	var (
		text []byte
		err  error
	)

	switch output {
	case "text":
		until := "no client certificate"
		if !described.NotAfter.IsZero() {
			until = fmt.Sprintf("%s (%s)", remaining(described.NotAfter), described.NotAfter.UTC().Format(time.DateOnly))
		}

		text = fmt.Appendf(nil, "%-21s%s\n%-21s%s\n%-21s%s\n%-21s%s\n%-21s%s\n",
			"Current context:", described.Context,
			"Nodes:", orNot(described.Nodes, "not defined"),
			"Endpoints:", orNot(described.Endpoints, "not defined"),
			"Roles:", orNot(described.Roles, "none"),
			"Certificate expires:", until)
	case "json":
		text, err = json.MarshalIndent(described, "", "    ")
		text = append(text, '\n')
	case "yaml":
		text, err = yaml.Marshal(described)
	default:
		return fmt.Errorf("--output %q: give text, json or yaml", output)
	}

	if err != nil {
		return fmt.Errorf("printing context: %w", err)
	}

	_, err = cmd.OutOrStdout().Write(text)

	return err
}

func orNot(list []string, instead string) string {
	if len(list) == 0 {
		return instead
	}

	return strings.Join(list, ", ")
}

// remaining says how long it is until a time, in the largest units.
func remaining(until time.Time) string {
	const day = 24 * time.Hour

	switch left := time.Until(until); {
	case left <= 0:
		return "expired"
	case left < 2*day:
		return "in " + left.Round(time.Minute).String()
	default:
		return fmt.Sprintf("in %d days", left/day)
	}
}
