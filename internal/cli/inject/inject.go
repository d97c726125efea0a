// Package inject has the commands that add access to the nodes' API to
// Kubernetes manifests.
package inject

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/rbac"
)

// New returns the command.
func New() *cobra.Command {
	cmd := &cobra.Command{Use: "inject", Short: "Add access to the nodes' API to Kubernetes manifests"}
	cmd.AddCommand(newServiceAccount())

	return cmd
}

func newServiceAccount() *cobra.Command {
	var (
		file  string
		roles []string
	)

	cmd := &cobra.Command{
		Use:     "serviceaccount [--roles='<ROLE_1>,<ROLE_2>'] -f <manifest.yaml>",
		Aliases: []string{"tsa"},
		Short:   "Add a service account of the nodes' API to the workloads of a manifest",
		Long: `Add a service account of the nodes' API to the workloads of a manifest.

Each pod, deployment, stateful set, daemon set, replica set, job and cron job gets
a ServiceAccount of the group talos.dev beside it, and finds the client
configuration that a node makes for that in /var/run/secrets/talos.dev/config,
where clients look for it. The nodes must allow the namespace and the roles: see
KubeTalosAPIAccessConfig. The result is printed.`,
		Example: `  basaltctl inject serviceaccount -f deployment.yaml > injected.yaml
  basaltctl inject serviceaccount --roles os:etcd:backup -f cronjob.yaml | kubectl apply -f -
  kubectl get deployment/x -o yaml | basaltctl inject serviceaccount -f -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if file == "" {
				return errors.New("which manifest? Name its file with -f")
			}

			if _, err := rbac.ParseStrict(roles); err != nil {
				return fmt.Errorf("--roles: %w", err)
			}

			text, err := read(cmd.InOrStdin(), file)
			if err != nil {
				return fmt.Errorf("reading manifest: %w", err)
			}

			out, err := ServiceAccounts(text, roles)
			if err != nil {
				return err
			}

			_, err = cmd.OutOrStdout().Write(out)

			return err
		},
	}

	cmd.Flags().StringVarP(&file, "file", "f", "", "file with the manifest; - is the standard input")
	cmd.Flags().StringSliceVarP(&roles, "roles", "r", []string{"os:reader"}, "roles of the API that pods get")

	return cmd
}

func read(stdin io.Reader, file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(stdin)
	}

	return os.ReadFile(file)
}
