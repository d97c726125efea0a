package cli_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/basalt-os/basalt/internal/cli"
)

// contractCommand is a command of the contract.
type contractCommand struct {
	Path            string            `json:"path"`
	Aliases         []string          `json:"aliases"`
	Hidden          bool              `json:"hidden"`
	Flags           []contractFlag    `json:"flags"`
	PersistentFlags []contractFlag    `json:"persistent_flags"`
	Commands        []contractCommand `json:"commands"`
}

type contractFlag struct {
	Name      string `json:"name"`
	Shorthand string `json:"shorthand"`
	Type      string `json:"type"`
	Default   string `json:"default"`
	NoOpt     string `json:"no_opt_default"`
	Hidden    bool   `json:"hidden"`
	Required  bool   `json:"required"`
}

var update = flag.Bool("update", false, "write the lists of testdata/contract anew")

// TestContract compares the command tree with the contract. What is missing
// and what is different on purpose are golden lists: the first one only
// shrinks.
func TestContract(t *testing.T) {
	// The home folder is in defaults.
	t.Setenv("HOME", "/home/user")

	data, err := os.ReadFile("testdata/contract/cli.json")
	if err != nil {
		t.Fatal(err)
	}

	var contract struct {
		Root contractCommand `json:"root"`
	}
	if err := json.Unmarshal(data, &contract); err != nil {
		t.Fatal(err)
	}

	root := cli.New()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()

	c := comparison{everywhere: map[string]int{}}
	c.compare(contract.Root, root)

	for name, count := range c.everywhere {
		c.missing = append(c.missing, fmt.Sprintf("%s on %d groups of commands", name, count))
	}

	check(t, "testdata/contract/missing.txt", c.missing)
	check(t, "testdata/contract/different.txt", c.different)
}

// check compares a list with the golden one.
func check(t *testing.T, path string, list []string) {
	t.Helper()

	slices.Sort(list)
	got := strings.Join(list, "\n") + "\n"

	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}

		return
	}

	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("%s is not true any more; shorten it, or mend what is missing (-listed +found):\n%s", path, diff)
	}
}

// comparison collects differences.
type comparison struct {
	missing, different []string
	// everywhere counts missing flags that many groups of commands share.
	everywhere map[string]int
}

func (c *comparison) compare(want contractCommand, got *cobra.Command) {
	path := strings.TrimPrefix(strings.TrimPrefix(want.Path, "talosctl"), " ")

	for _, alias := range want.Aliases {
		if !slices.Contains(got.Aliases, alias) {
			c.missing = append(c.missing, fmt.Sprintf("%s: alias %s", path, alias))
		}
	}

	for _, flag := range want.Flags {
		c.flag(path, flag, got.Flags().Lookup(flag.Name))
	}

	for _, flag := range want.PersistentFlags {
		found := got.PersistentFlags().Lookup(flag.Name)
		if found == nil && flag.Name == "siderov1-keys-dir" {
			c.everywhere["--"+flag.Name]++

			continue
		}

		c.flag(path, flag, found)
	}

	for _, sub := range want.Commands {
		// Hidden commands are inner parts of the reference client.
		if sub.Hidden {
			continue
		}

		name := sub.Path[strings.LastIndexByte(sub.Path, ' ')+1:]
		i := slices.IndexFunc(got.Commands(), func(cmd *cobra.Command) bool { return cmd.Name() == name })

		if i < 0 {
			c.missing = append(c.missing, strings.TrimPrefix(sub.Path, "talosctl "))

			continue
		}

		c.compare(sub, got.Commands()[i])
	}
}

func (c *comparison) flag(path string, want contractFlag, got *pflag.Flag) {
	name := path + " --" + want.Name

	if got == nil {
		// Hidden flags are of the reference client's past.
		if !want.Hidden {
			c.missing = append(c.missing, name)
		}

		return
	}

	_, required := got.Annotations[cobra.BashCompOneRequiredFlag]

	for _, property := range []struct {
		name      string
		want, got any
	}{
		{"type", want.Type, got.Value.Type()},
		{"shorthand", want.Shorthand, got.Shorthand},
		{"default", want.Default, got.DefValue},
		{"value without argument", want.NoOpt, got.NoOptDefVal},
		{"hidden", want.Hidden && got.Hidden, got.Hidden},
		{"required", want.Required, required},
	} {
		if property.want != property.got {
			c.different = append(c.different, fmt.Sprintf("%s: %s is %q, not %q", name, property.name,
				fmt.Sprint(property.got), fmt.Sprint(property.want)))
		}
	}
}

// TestHelp checks that every command says what it does and how to use it.
func TestHelp(t *testing.T) {
	var visit func(cmd *cobra.Command)

	visit = func(cmd *cobra.Command) {
		if cmd.Short == "" {
			t.Errorf("%s has no description", cmd.CommandPath())
		}

		if cmd.Runnable() && cmd.Example == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}

		for _, name := range []string{"Talos ", "talosctl"} {
			if strings.Contains(cmd.Short+cmd.Long+cmd.Example+cmd.Flags().FlagUsages(), name) {
				t.Errorf("%s speaks of %s", cmd.CommandPath(), name)
			}
		}

		for _, sub := range cmd.Commands() {
			visit(sub)
		}
	}

	visit(cli.New())
}
