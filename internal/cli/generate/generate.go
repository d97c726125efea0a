// Package generate has the commands that work on files of this machine alone:
// they make secrets, certificates and machine configurations, and patch and
// check configurations.
package generate

import (
	"github.com/spf13/cobra"
)

// Commands returns the commands.
func Commands() []*cobra.Command {
	return []*cobra.Command{newGen(), newMachineConfig(), newValidate()}
}

func newGen() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gen",
		Short: "Make machine configurations, secrets, certificates and keys",
	}

	var force bool

	cmd.PersistentFlags().BoolVarP(&force, "force", "f", false, "replace files that exist")
	cmd.AddCommand(newConfig(&force), newSecrets(&force), newCA(&force), newCertificate(&force), newRequest(&force),
		newKey(&force), newKeyPair(&force))

	return cmd
}

// required marks flags that must be given.
func required(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		_ = cmd.MarkFlagRequired(name) // the flag exists
	}
}
