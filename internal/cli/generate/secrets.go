package generate

import (
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/filing"
	"github.com/basalt-os/basalt/internal/cli/patches"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// secretsOptions are the flags of "gen secrets".
type secretsOptions struct {
	config, pki, token, output, contract string
}

func newSecrets(force *bool) *cobra.Command {
	var o secretsOptions

	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "Make the secrets of a cluster, from which configurations are made",
		Long: `Make the secrets of a cluster, from which configurations are made.

They are new, or taken from the configuration of a control plane node, or take
over the authorities of an existing Kubernetes cluster.`,
		Example: `  basaltctl gen secrets
  basaltctl gen secrets --from-controlplane-config controlplane.yaml -o prod-secrets.yaml
  basaltctl gen secrets --from-kubernetes-pki /etc/kubernetes/pki`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := filing.Free(o.output, *force); err != nil {
				return err
			}

			bundle, err := o.bundle()
			if err != nil {
				return err
			}

			data, err := bundle.Bytes()
			if err != nil {
				return err
			}

			return filing.Write(cmd.OutOrStdout(), o.output, data, true, *force)
		},
	}

	flags := cmd.Flags()
	flags.StringVar(&o.config, "from-controlplane-config", "", "take them from this configuration of a control plane node")
	flags.StringVarP(&o.pki, "from-kubernetes-pki", "p", "", "take over the authorities in this folder, laid out as kubeadm does")
	flags.StringVarP(&o.token, "kubernetes-bootstrap-token", "t", "", "with --from-kubernetes-pki: take over this bootstrap token")
	flags.StringVarP(&o.output, "output-file", "o", "secrets.yaml", "file to write, or - for the standard output")
	flags.StringVar(&o.contract, "talos-version", "", "version of the wire that the machines speak; secrets are the same for all")
	cmd.MarkFlagsMutuallyExclusive("from-controlplane-config", "from-kubernetes-pki")

	return cmd
}

func (o *secretsOptions) bundle() (*secrets.Bundle, error) {
	switch {
	case o.pki != "":
		return secrets.NewBundleFromKubernetesPKI(os.DirFS(o.pki), secrets.Options{BootstrapToken: o.token})
	case o.token != "":
		return nil, errors.New("--kubernetes-bootstrap-token: it goes with --from-kubernetes-pki")
	case o.config == "":
		return secrets.NewBundle(secrets.Options{})
	}

	config, err := patches.Config(o.config)
	if err != nil {
		return nil, err
	}

	return config.Secrets()
}

func newMachineConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "machineconfig",
		Aliases: []string{"mc"},
		Short:   "Make and patch machine configurations",
	}

	var force bool

	generate := newConfig(&force)
	generate.Use = "gen <cluster name> <cluster endpoint>"
	generate.Example = "  basaltctl machineconfig gen prod https://10.0.0.10:6443"
	generate.Flags().BoolVarP(&force, "force", "f", false, "replace files that exist")

	cmd.AddCommand(generate, newPatch())

	return cmd
}

func newPatch() *cobra.Command {
	var (
		texts  []string
		output string
	)

	cmd := &cobra.Command{
		Use:   "patch <machineconfig-file>",
		Short: "Patch a machine configuration in a file",
		Example: `  basaltctl machineconfig patch worker.yaml -p @patch.yaml
  basaltctl mc patch worker.yaml -p '{"machine": {"network": {"hostname": "w1"}}}' -o w1.yaml`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := patches.Config(args[0])
			if err != nil {
				return err
			}

			list, err := patches.Load("--patch", texts)
			if err != nil {
				return err
			}

			if config, err = config.Patch(list...); err != nil {
				return err
			}

			return filing.Write(cmd.OutOrStdout(), output, config.Bytes(), true, true)
		},
	}

	cmd.Flags().StringArrayVarP(&texts, "patch", "p", nil, "patch, or @file (repeatable)")
	cmd.Flags().StringVarP(&output, "output", "o", "", "file to write (default: the standard output)")
	cmd.PreRun = func(*cobra.Command, []string) {
		if output == "" {
			output = "-"
		}
	}

	return cmd
}

func newValidate() *cobra.Command {
	var (
		path, modeName string
		strict         bool
	)

	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check a machine configuration in a file",
		Example: `  basaltctl validate --mode metal --config controlplane.yaml
  basaltctl validate -m container -c worker.yaml --strict`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			mode, err := machineconfig.ParseMode(modeName)
			if err != nil {
				return err
			}

			if path == "" {
				return errors.New("which configuration? Name its file with --config")
			}

			config, err := patches.Config(path)
			if err != nil {
				return err
			}

			warnings, err := config.Validate(mode)
			for _, warning := range warnings {
				cmd.PrintErrf("warning: %s\n", warning)
			}

			if err != nil {
				return err
			}

			if strict && len(warnings) > 0 {
				return errors.New("there are warnings, which --strict takes for errors")
			}

			cmd.PrintErrf("%s is valid for %s mode\n", path, mode)

			return nil
		},
	}

	cmd.Flags().StringVarP(&path, "config", "c", "", "file with the machine configuration")
	cmd.Flags().StringVarP(&modeName, "mode", "m", "", "kind of machine that it is for: metal, cloud or container")
	cmd.Flags().BoolVar(&strict, "strict", false, "take warnings for errors")
	required(cmd, "mode")

	return cmd
}
