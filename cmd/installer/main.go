// Command installer puts the system on the disk of a machine. It is the entry
// point of installer images, which bring what it writes; the machine runs it in
// a container. See package install for what it does, and docs/upgrade.md for
// what is promised when it is cut off.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGINT, unix.SIGTERM)

	err := command(os.Stdout, os.Getenv, run).ExecuteContext(ctx)

	stop()

	if err != nil {
		fmt.Fprintln(os.Stderr, "installer:", err)
	}

	os.Exit(exitCode(err))
}

// command is the command line. What is to be done goes to run.
func command(output io.Writer, getenv func(string) string, run func(context.Context, io.Writer, request) error) *cobra.Command {
	root := &cobra.Command{
		Use:           "installer",
		Short:         "Install Basalt to a disk, or upgrade it",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version.Version,
		Args:          noArguments,
	}

	root.SetOut(output)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(installCommand(output, getenv, run), &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(output, "%s %s %s\n", version.Name, version.Version, version.Commit)

			return err
		},
	})

	return root
}

// noArguments refuses arguments that are no flags.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %q", errUsage, args)
	}

	return nil
}

func installCommand(output io.Writer, getenv func(string) string, run func(context.Context, io.Writer, request) error) *cobra.Command {
	var (
		r      request
		values []string
		unused string
	)

	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install to a disk, or upgrade what is installed there",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if r.meta, err = parseMeta(getenv(metaVariable), values); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}

			r.running, r.booted = getenv(runningVariable), getenv(bootedVariable)

			if err := r.check(); err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}

			return run(cmd.Context(), output, r)
		},
	}

	flags := cmd.Flags()
	flags.StringVar(&r.disk, "disk", "", "the disk, as the path of its device")
	flags.StringVar(&r.platform, "platform", "", "the platform, such as metal")
	flags.StringVar(&r.arch, "arch", "", "the architecture; this machine's when empty")
	flags.BoolVar(&r.upgrade, "upgrade", false, "put the version beside the one that is on the disk")
	flags.BoolVar(&r.force, "force", false, "overwrite what is on the disk; upgrade while the running version is on trial")
	flags.BoolVar(&r.zero, "zero", false, "erase what is on the disk")
	flags.StringArrayVar(&values, "meta", nil, "a value for META, as KEY=VALUE; in addition to those of "+metaVariable)
	flags.StringArrayVar(&r.extraArgs, "extra-kernel-arg", nil, `an argument for the kernel; "-NAME" takes one away`)

	// What is called with these expects them to be there.
	flags.StringVar(&unused, "board", "", "not used")
	flags.StringVar(&unused, "config", "", "not used")

	for _, name := range []string{"board", "config"} {
		if err := flags.MarkHidden(name); err != nil {
			panic(err) // the flag is made above
		}
	}

	return cmd
}
