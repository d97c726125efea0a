package manage

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/choice"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/patches"
	"github.com/basalt-os/basalt/pkg/client"
)

// applyFlags say how a configuration is put into effect.
type applyFlags struct {
	mode    *choice.Flag
	dryRun  bool
	timeout time.Duration
}

func addApplyFlags(cmd *cobra.Command) *applyFlags {
	f := &applyFlags{mode: choice.New("auto", "no-reboot", "staged", "try")}
	flags := cmd.Flags()
	flags.VarP(f.mode, "mode", "m", "when it takes effect: auto, no-reboot, staged (at the next boot) or try (for --timeout)")
	flags.BoolVar(&f.dryRun, "dry-run", false, "show what would change, and change nothing")
	flags.DurationVar(&f.timeout, "timeout", time.Minute, "with --mode try: when to go back to the configuration before")
	_ = cmd.RegisterFlagCompletionFunc("mode", f.mode.Complete) // the flag exists

	return f
}

// apply gives a node a configuration and says what came of it.
func (f *applyFlags) apply(ctx context.Context, n connect.Node, data []byte) (*machine.ApplyConfiguration, error) {
	modes := map[string]machine.ApplyConfigurationRequest_Mode{
		"auto": machine.ApplyConfigurationRequest_AUTO, "no-reboot": machine.ApplyConfigurationRequest_NO_REBOOT,
		"staged": machine.ApplyConfigurationRequest_STAGED, "try": machine.ApplyConfigurationRequest_TRY,
	}

	reply, err := client.Check(n.Machine.ApplyConfiguration(ctx, &machine.ApplyConfigurationRequest{
		Data: data, Mode: modes[f.mode.String()], DryRun: f.dryRun, TryModeTimeout: durationpb.New(f.timeout),
	}))
	if err != nil {
		return nil, err
	}

	if len(reply.GetMessages()) == 0 {
		return &machine.ApplyConfiguration{}, nil
	}

	return reply.GetMessages()[0], nil
}

// report says what came of it, node by node.
func (f *applyFlags) report(cmd *cobra.Command, answers []connect.Answer[*machine.ApplyConfiguration]) {
	for _, answer := range answers {
		for _, warning := range answer.Value.GetWarnings() {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: warning: %s\n", answer.Node, warning)
		}

		details := answer.Value.GetModeDetails()
		if details == "" {
			details = "Applied configuration"
		}

		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", answer.Node, details)
	}
}

func newApply() *cobra.Command {
	var (
		path  string
		texts []string
	)

	cmd := &cobra.Command{
		Use:     "apply-config",
		Aliases: []string{"apply"},
		Short:   "Give nodes a configuration",
		Example: `  basaltctl apply-config --nodes 10.5.0.3 --file worker.yaml
  basaltctl apply-config -n 10.5.0.3 -f worker.yaml --dry-run
  basaltctl apply-config --insecure -n 10.5.0.9 -f worker.yaml --config-patch @patch.yaml`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)
	apply := addApplyFlags(cmd)
	cmd.Flags().StringVarP(&path, "file", "f", "", "file with the configuration")
	cmd.Flags().StringArrayVarP(&texts, "config-patch", "p", nil, "patch for it, or @file (repeatable)")

	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if path == "" {
			return errors.New("which configuration? Name its file with --file")
		}

		config, err := patches.Config(path)
		if err != nil {
			return err
		}

		list, err := patches.Load("--config-patch", texts)
		if err != nil {
			return err
		}

		if config, err = config.Patch(list...); err != nil {
			return err
		}

		return reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			answers, err := connect.Each(cmd.Context(), target,
				func(ctx context.Context, n connect.Node) (*machine.ApplyConfiguration, error) {
					return apply.apply(ctx, n, config.Bytes())
				})
			apply.report(cmd, answers)

			return err
		})(cmd, args)
	}

	return cmd
}
