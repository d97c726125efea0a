// Package dashboard has the command that shows nodes on a terminal screen as
// they live: load, memory, services and logs.
package dashboard

import (
	"errors"
	"os"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/basalt-os/basalt/internal/cli/connect"
)

// New returns the command.
func New() *cobra.Command {
	var interval time.Duration

	cmd := &cobra.Command{
		Use:   "dashboard",
		Short: "Show nodes on a terminal screen: load, memory, services and logs",
		Long: `Show nodes on a terminal screen: load, memory, services and logs.

Keys: left and right choose a node, up and down choose a service, whose log is shown
below; l shows the log of the kernel instead; q ends.`,
		Example: `  basaltctl dashboard
  basaltctl dashboard --nodes 10.5.0.2,10.5.0.3 --update-interval 1s`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	cmd.Flags().DurationVarP(&interval, "update-interval", "d", 3*time.Second, "time between two looks")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		if out, ok := cmd.OutOrStdout().(*os.File); !ok || !term.IsTerminal(int(out.Fd())) {
			return errors.New("the dashboard needs a terminal")
		}

		if interval <= 0 {
			return errors.New("--update-interval: give a time above zero")
		}

		screen := newModel(len(target.Nodes), interval, &source{ctx: cmd.Context(), target: target})

		_, err := tea.NewProgram(screen, tea.WithContext(cmd.Context())).Run()
		if cmd.Context().Err() != nil {
			return nil
		}

		return err
	})

	return cmd
}
