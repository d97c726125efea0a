package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/support"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// supportTimeout bounds the collection of what a bug report needs, from nodes
// that may not answer.
const supportTimeout = 5 * time.Minute

// destroyOptions are the flags of "cluster destroy".
type destroyOptions struct {
	force         bool
	logs, support string
}

func newDestroy(t *target) *cobra.Command {
	var (
		o           destroyOptions
		provisioner string
	)

	command := &cobra.Command{
		Use:   "destroy",
		Short: "End a cluster and remove everything that it has",
		Example: `  basaltctl cluster destroy
  basaltctl cluster destroy --name test --save-cluster-logs-archive-path logs.tar.gz`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return t.destroy(cmd, o) },
	}

	flags := command.PersistentFlags()
	flags.BoolVarP(&o.force, "force", "f", false, "remove the cluster's folder even if something else cannot be removed")
	flags.StringVar(&o.logs, "save-cluster-logs-archive-path", "", "file for an archive of the nodes' console logs, written first")
	flags.StringVar(&o.support, "save-support-archive-path", "", "file for what a bug report needs, written first")

	command.Flags().StringVar(&provisioner, "provisioner", "", "ignored: a cluster knows its own")
	command.Flags().MarkHidden("provisioner") //nolint:errcheck // it exists

	return command
}

func (t *target) destroy(cmd *cobra.Command, o destroyOptions) error {
	spec, missing := t.folder().Spec()
	if missing != nil && !errors.Is(missing, provision.ErrNoCluster) {
		return missing
	}

	if missing == nil {
		t.save(cmd, spec, o)
	}

	// Without a spec there may still be leftovers of an interrupted create.
	if err := host.Destroy(cmd.Context(), t.folder(), all{}, t.name); err != nil {
		err = fmt.Errorf("destroying cluster %q: %w", t.name, err)
		if !o.force {
			return err
		}

		cmd.PrintErrln("warning:", err)

		if err := t.folder().Remove(); err != nil {
			return err
		}
	}

	if missing != nil {
		cmd.Printf("There is no cluster %q.\n", t.name)

		return nil
	}

	forgetContext(t.name)
	cmd.Printf("Cluster %q is gone.\n", t.name)

	return nil
}

// save keeps what was asked for. That it cannot be kept does not keep the
// cluster.
func (t *target) save(cmd *cobra.Command, spec *provision.Spec, o destroyOptions) {
	if o.support != "" {
		if err := t.saveSupport(cmd, spec, o.support); err != nil {
			cmd.PrintErrf("warning: collecting what a bug report needs: %s\n", err)
		}
	}

	if o.logs != "" {
		if err := t.saveLogs(o.logs); err != nil {
			cmd.PrintErrf("warning: keeping the console logs: %s\n", err)
		}
	}
}

// saveSupport runs "support" for all nodes.
func (t *target) saveSupport(cmd *cobra.Command, spec *provision.Spec, path string) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), supportTimeout)
	defer cancel()

	var addresses []string
	for _, node := range spec.Nodes {
		addresses = append(addresses, node.Address.String())
	}

	collect := support.New()
	collect.SetOut(cmd.OutOrStdout())
	collect.SetErr(cmd.ErrOrStderr())
	collect.SetArgs([]string{
		"--talosconfig", t.folder().Talosconfig(), "--nodes", strings.Join(addresses, ","), "--output", path, "--no-encryption",
	})

	return collect.ExecuteContext(ctx)
}
