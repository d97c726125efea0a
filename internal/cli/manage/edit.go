package manage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/choice"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/patches"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// Where a node keeps the configuration that it runs with.
const (
	configNamespace = "config"
	configType      = "MachineConfigs.config.talos.dev"
	configID        = "v1alpha1"
)

// currentConfig returns the configuration that a node runs with.
func currentConfig(ctx context.Context, n connect.Node, namespace string) ([]byte, error) {
	if namespace == "" {
		namespace = configNamespace
	}

	object, err := objects.Get(ctx, n, namespace, configType, configID)
	if err != nil {
		return nil, fmt.Errorf("reading configuration: %w", err)
	}

	text, ok := object.Spec.(string)
	if !ok {
		return nil, errors.New("reading configuration: the node does not give it as text")
	}

	return []byte(text), nil
}

// isMachineConfig refuses arguments that name anything but the machine
// configuration, which is the only resource that may be changed.
func isMachineConfig(_ *cobra.Command, args []string) error {
	if len(args) == 0 || len(args) > 2 {
		return errors.New("say what: machineconfig is the only thing that can be changed")
	}

	switch strings.ToLower(args[0]) {
	case "machineconfig", "machineconfigs", "mc", strings.ToLower(configType):
		return nil
	default:
		return fmt.Errorf("%q cannot be changed; only machineconfig can", args[0])
	}
}

func newPatch() *cobra.Command {
	var (
		texts           []string
		file, namespace string
	)

	cmd := &cobra.Command{
		Use:   "patch machineconfig",
		Short: "Patch the configuration of nodes",
		Example: `  basaltctl patch machineconfig --patch @patch.yaml --nodes 10.5.0.3
  basaltctl patch mc -p '{"machine": {"sysctls": {"net.core.somaxconn": "65535"}}}' --mode no-reboot`,
		Args:              isMachineConfig,
		ValidArgsFunction: choice.Words("machineconfig"),
	}

	reach := connect.Add(cmd)
	apply := addApplyFlags(cmd)
	cmd.Flags().StringVar(&namespace, "namespace", "", "namespace of the resource (default: that of the type)")
	cmd.Flags().StringArrayVarP(&texts, "patch", "p", nil, "patch, or @file (repeatable)")
	cmd.Flags().StringVar(&file, "patch-file", "", "file with a patch")
	cmd.MarkFlagsOneRequired("patch", "patch-file")

	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file != "" {
			texts = append(texts, "@"+file)
		}

		list, err := patches.Load("--patch", texts)
		if err != nil {
			return err
		}

		return reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			answers, err := connect.Each(cmd.Context(), target,
				func(ctx context.Context, n connect.Node) (*machine.ApplyConfiguration, error) {
					return apply.patch(ctx, n, namespace, list)
				})
			apply.report(cmd, answers)

			return err
		})(cmd, args)
	}

	return cmd
}

// patch patches the configuration of a node.
func (f *applyFlags) patch(ctx context.Context, n connect.Node, namespace string, list []machineconfig.Patch) (*machine.ApplyConfiguration, error) {
	text, err := currentConfig(ctx, n, namespace)
	if err != nil {
		return nil, err
	}

	config, err := machineconfig.Load(text, machineconfig.Options{})
	if err != nil {
		return nil, err
	}

	if config, err = config.Patch(list...); err != nil {
		return nil, err
	}

	return f.apply(ctx, n, config.Bytes())
}

func newEdit() *cobra.Command {
	var namespace string

	cmd := &cobra.Command{
		Use:   "edit machineconfig",
		Short: "Edit the configuration of nodes with an editor",
		Long: `Edit the configuration of nodes, one after the other, with the editor that
$BASALT_EDITOR or $EDITOR names, else vi. When the node refuses the result, the editor opens
again with the reasons on top. A file that is left as it was changes nothing.`,
		Example: `  basaltctl edit machineconfig --nodes 10.5.0.3
  EDITOR=nano basaltctl edit mc --mode staged`,
		Args:              isMachineConfig,
		ValidArgsFunction: choice.Words("machineconfig"),
	}

	reach := connect.Add(cmd)
	apply := addApplyFlags(cmd)
	cmd.Flags().StringVar(&namespace, "namespace", "", "namespace of the resource (default: that of the type)")

	cmd.RunE = reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		for _, node := range target.Nodes {
			if err := apply.edit(cmd, node, namespace); err != nil {
				return client.Errors{{Node: node.Name, Err: err}}
			}
		}

		return nil
	})

	return cmd
}

// edit has the user edit a node's configuration until the node takes it.
func (f *applyFlags) edit(cmd *cobra.Command, n connect.Node, namespace string) error {
	ctx := n.Context(cmd.Context())

	original, err := currentConfig(ctx, n, namespace)
	if err != nil {
		return err
	}

	text := original

	for {
		edited, err := openEditor(cmd, text)
		if err != nil {
			return err
		}

		edited = withoutReasons(edited)

		if bytes.Equal(bytes.TrimSpace(edited), bytes.TrimSpace(original)) {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: nothing was changed\n", n.Name)

			return nil
		}

		if bytes.Equal(edited, withoutReasons(text)) {
			return errors.New("the configuration was left as the node refused it; nothing was changed")
		}

		reply, err := f.apply(ctx, n, edited)
		if err == nil {
			f.report(cmd, []connect.Answer[*machine.ApplyConfiguration]{{Node: n.Name, Value: reply}})

			return nil
		}

		text = withReasons(edited, client.Message(err))
	}
}

// reasonMark begins the lines by which the editor tells why a configuration
// was refused.
const reasonMark = "#! "

func withReasons(text []byte, reason string) []byte {
	var out bytes.Buffer
	for line := range strings.Lines("The node refused this configuration:\n" + reason + "\n") {
		out.WriteString(reasonMark + line)
	}

	out.Write(text)

	return out.Bytes()
}

func withoutReasons(text []byte) []byte {
	for bytes.HasPrefix(text, []byte(reasonMark)) {
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}

	return text
}

// openEditor returns what the user makes of the text.
func openEditor(cmd *cobra.Command, text []byte) (_ []byte, err error) {
	editor := "vi"

	for _, name := range []string{"EDITOR", "BASALT_EDITOR"} {
		if value := os.Getenv(name); value != "" {
			editor = value
		}
	}

	file, err := os.CreateTemp("", "machineconfig-*.yaml")
	if err != nil {
		return nil, fmt.Errorf("editing: %w", err)
	}

	// The file has secrets: it does not stay.
	defer func() { err = errors.Join(err, os.Remove(file.Name())) }()

	_, err = file.Write(text)
	if err := errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("editing: %w", err)
	}

	words := append(strings.Fields(editor), file.Name())
	process := exec.CommandContext(cmd.Context(), words[0], words[1:]...)
	process.Stdin, process.Stdout, process.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()

	if err := process.Run(); err != nil {
		return nil, fmt.Errorf("editing with %q: %w", editor, err)
	}

	edited, err := os.ReadFile(file.Name())
	if err != nil {
		return nil, fmt.Errorf("editing: %w", err)
	}

	return edited, nil
}
