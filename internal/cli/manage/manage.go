// Package manage has the commands that change nodes: their configuration, and
// whether they run.
package manage

import (
	"github.com/spf13/cobra"
)

// Commands returns the commands.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		newApply(), newPatch(), newEdit(), newBootstrap(), newKubeconfig(), newHealth(),
		newReboot(), newShutdown(), newReset(), newUpgrade(), newRollback(), newMeta(), newWipe(), newDisks(),
	}
}
