package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

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

	var out strings.Builder

	out.WriteString("# Commands\n\n")
	list(&out, root, 0)
	out.WriteByte('\n')
	describe(&out, root)

	// Defaults that are beside the program.
	return strings.ReplaceAll(out.String(), filepath.Dir(filepath.Dir(self)), "."), nil
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

func list(out *strings.Builder, command *cobra.Command, depth int) {
	path := command.CommandPath()
	fmt.Fprintf(out, "%s- [%s](#%s): %s\n", strings.Repeat("  ", depth), path, strings.ReplaceAll(path, " ", "-"), command.Short)

	for _, sub := range shown(command) {
		list(out, sub, depth+1)
	}
}

func describe(out *strings.Builder, command *cobra.Command) {
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

	if flags := command.NonInheritedFlags().FlagUsages(); flags != "" {
		fmt.Fprintf(out, "```\n%s```\n\n", flags)
	}

	for _, sub := range shown(command) {
		describe(out, sub)
	}
}
