package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/basalt-os/basalt/internal/cli"
)

// home stands for the user's home folder in default values of flags.
const home = "~"

// commandPage describes all commands.
func commandPage() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}

	if err := os.Setenv("HOME", home); err != nil {
		return "", err
	}

	root := cli.New()
	root.InitDefaultCompletionCmd()

	d := commandPrinter{common: commonFlags(root)}

	d.out.WriteString("# Commands\n\n")
	d.list(root, 0)
	fmt.Fprintf(&d.out, "\n## Common flags\n\nMany commands have some of these; each says which.\n\n```\n%s```\n\n", d.common.FlagUsages())
	d.describe(root)

	// Defaults that are beside the program.
	return strings.ReplaceAll(d.out.String(), filepath.Dir(filepath.Dir(self)), "."), nil
}

// shown are the commands below a command that readers are to know.
func shown(command *cobra.Command) []*cobra.Command {
	var commands []*cobra.Command

	for _, sub := range command.Commands() {
		if sub.IsAvailableCommand() && sub.Name() != "help" {
			commands = append(commands, sub)
		}
	}

	return commands
}

// many is the number of commands from which on a flag is described but once.
const many = 10

// commonFlags are those that many commands have with the same meaning.
func commonFlags(root *cobra.Command) *pflag.FlagSet {
	common := pflag.NewFlagSet("common", pflag.ContinueOnError)
	counts := map[string]int{}

	var count func(*cobra.Command)

	count = func(command *cobra.Command) {
		command.NonInheritedFlags().VisitAll(func(flag *pflag.Flag) {
			meaning := flag.Name + flag.Shorthand + flag.DefValue + flag.Usage

			if counts[meaning]++; counts[meaning] == many && !flag.Hidden {
				common.AddFlag(flag)
			}
		})

		for _, sub := range shown(command) {
			count(sub)
		}
	}

	count(root)

	return common
}

// commandPrinter writes the page.
type commandPrinter struct {
	out    strings.Builder
	common *pflag.FlagSet
}

// list writes the table of contents.
func (d *commandPrinter) list(command *cobra.Command, depth int) {
	path := command.CommandPath()
	fmt.Fprintf(&d.out, "%s- [%s](#%s): %s\n", strings.Repeat("  ", depth), path, strings.ReplaceAll(path, " ", "-"), command.Short)

	for _, sub := range shown(command) {
		d.list(sub, depth+1)
	}
}

func (d *commandPrinter) describe(command *cobra.Command) {
	out := &d.out
	fmt.Fprintf(out, "## %s\n\n", command.CommandPath())

	long := command.Long
	if long == "" {
		long = command.Short
	}

	fmt.Fprintf(out, "%s\n\n", strings.TrimSpace(long))

	if command.Runnable() {
		fmt.Fprintf(out, "```\n%s\n```\n\n", command.UseLine())
	}

	if len(command.Aliases) > 0 {
		fmt.Fprintf(out, "Also called %s.\n\n", strings.Join(command.Aliases, ", "))
	}

	if command.Example != "" {
		fmt.Fprintf(out, "Examples:\n\n```\n%s\n```\n\n", strings.TrimRight(command.Example, "\n"))
	}

	d.flags(command)

	for _, sub := range shown(command) {
		d.describe(sub)
	}
}

// flags describes a command's own flags and names the common ones.
func (d *commandPrinter) flags(command *cobra.Command) {
	own := pflag.NewFlagSet("own", pflag.ContinueOnError)
	own.SortFlags = command.Flags().SortFlags

	var shared []string

	command.NonInheritedFlags().VisitAll(func(flag *pflag.Flag) {
		if same := d.common.Lookup(flag.Name); same != nil && same.Usage == flag.Usage && same.DefValue == flag.DefValue {
			shared = append(shared, "`--"+flag.Name+"`")
		} else {
			own.AddFlag(flag)
		}
	})

	if usages := own.FlagUsages(); usages != "" {
		fmt.Fprintf(&d.out, "```\n%s```\n\n", usages)
	}

	if len(shared) > 0 {
		fmt.Fprintf(&d.out, "[Common flags](#common-flags): %s.\n\n", strings.Join(shared, ", "))
	}
}
