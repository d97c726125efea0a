package observe

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/version"
)

// serverVersion is what --json prints of a node.
type serverVersion struct {
	Node     string                `json:"node"`
	Version  *machine.VersionInfo  `json:"version"`
	Platform *machine.PlatformInfo `json:"platform"`
	Features *machine.FeaturesInfo `json:"features,omitempty"`
}

func newVersion() *cobra.Command {
	var clientOnly, short, asJSON bool

	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of this program and of nodes",
		Example: `  basaltctl version
  basaltctl version --client --short
  basaltctl version --nodes 10.5.0.2,10.5.0.3`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	reach.AddInsecure(cmd)
	cmd.Flags().BoolVar(&clientOnly, "client", false, "print the version of this program only")
	cmd.Flags().BoolVar(&short, "short", false, "print the tags only")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.Flags().MarkHidden("json") // the flag exists

	ask := reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
		answers, err := connect.Call(cmd.Context(), target, &emptypb.Empty{},
			func(n connect.Node) connect.Unary[*emptypb.Empty, *machine.VersionResponse] { return n.Machine.Version })

		if printErr := printServers(cmd.OutOrStdout(), answers, short, asJSON); printErr != nil {
			return printErr
		}

		return err
	})

	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := printClient(cmd.OutOrStdout(), short, asJSON); err != nil || clientOnly {
			return err
		}

		return ask(cmd, args)
	}

	return cmd
}

func printClient(out io.Writer, short, asJSON bool) error {
	own := &machine.VersionInfo{
		Tag: version.Tag, Sha: version.Commit, GoVersion: runtime.Version(), Os: runtime.GOOS, Arch: runtime.GOARCH,
	}

	switch {
	case asJSON:
		return printJSON(out, map[string]any{"client": own})
	case short:
		fmt.Fprintf(out, "Client:\n\t%s %s\n", version.Name, own.GetTag())
	default:
		fmt.Fprintf(out, "Client:\n\tName:        %s %s\n", version.Name, version.Version)
		printVersion(out, own)
	}

	return nil
}

func printServers(out io.Writer, answers []connect.Answer[*machine.VersionResponse], short, asJSON bool) error {
	if len(answers) > 0 && !asJSON {
		fmt.Fprintln(out, "Server:")
	}

	for _, answer := range answers {
		for _, message := range answer.Value.GetMessages() {
			switch {
			case asJSON:
				err := printJSON(out, map[string]any{"server": serverVersion{
					answer.Node, message.GetVersion(), message.GetPlatform(), message.GetFeatures(),
				}})
				if err != nil {
					return err
				}
			case short:
				fmt.Fprintf(out, "\tNODE:        %s\n\tTag:         %s\n", answer.Node, message.GetVersion().GetTag())
			default:
				fmt.Fprintf(out, "\tNODE:        %s\n", answer.Node)
				printVersion(out, message.GetVersion())
				fmt.Fprintf(out, "\tPlatform:    %s\n", message.GetPlatform().GetName())

				if message.GetFeatures().GetRbac() {
					fmt.Fprintf(out, "\tEnabled:     RBAC\n")
				}
			}
		}
	}

	return nil
}

func printVersion(out io.Writer, v *machine.VersionInfo) {
	fmt.Fprintf(out, "\tTag:         %s\n\tSHA:         %s\n\tBuilt:       %s\n\tGo version:  %s\n\tOS/Arch:     %s/%s\n",
		v.GetTag(), v.GetSha(), v.GetBuilt(), v.GetGoVersion(), v.GetOs(), v.GetArch())
}

func printJSON(out io.Writer, value any) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")

	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("printing JSON: %w", err)
	}

	return nil
}
