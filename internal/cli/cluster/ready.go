package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
	"github.com/basalt-os/basalt/pkg/provision/qemu"
)

func (o *createOptions) create(ctx context.Context, printer *steps.Printer, spec *provision.Spec, settings provision.Settings) error {
	folder := o.folder()

	err := printer.Do("generate configurations", func(*steps.Step) error {
		configs, clientConfig, err := provision.Configure(spec, settings)
		if err != nil {
			return err
		}

		if err := folder.Create(spec, configs); err != nil {
			return err
		}

		return clientConfig.Save(folder.Talosconfig())
	})
	if err != nil {
		return err
	}

	if spec.Machines != nil {
		err := printer.Do("make disks", func(step *steps.Step) error { return qemu.Prepare(ctx, spec, folder, step.Detail) })
		if err != nil {
			return err
		}
	}

	if err := printer.Do("start nodes", func(*steps.Step) error { return host.Start(ctx, folder) }); err != nil {
		return err
	}

	if !configured(spec) {
		return nil
	}

	if spec.Machines != nil && spec.Machines.Injection == provision.InjectApply {
		if err := o.applyConfigs(ctx, printer, spec); err != nil {
			return err
		}
	}

	return o.await(ctx, printer, spec)
}

// configured says whether nodes get their configurations from this program. Those
// that do not wait for a person, and nothing can be waited for.
func configured(spec *provision.Spec) bool {
	return spec.Machines == nil || spec.Machines.Injection != provision.InjectNone
}

// await has the cluster begin, waits until it is healthy if that is wanted, and
// writes the client files.
func (o *createOptions) await(ctx context.Context, printer *steps.Printer, spec *provision.Spec) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.waitTimeout, fmt.Errorf("not ready within %s", o.waitTimeout))
	defer cancel()

	c, err := client.New(client.WithConfigFile(o.folder().Talosconfig()))
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // nothing is lost

	err = printer.Do("wait for the nodes' API", func(step *steps.Step) error {
		return provision.AwaitAPI(ctx, c, spec, step.Detail)
	})
	if err != nil {
		return err
	}

	err = printer.Do("bootstrap etcd", func(*steps.Step) error { return provision.Bootstrap(ctx, c, spec) })
	if err != nil {
		return err
	}

	if o.wait {
		if err := o.awaitHealth(ctx, printer, c, spec); err != nil {
			return err
		}
	}

	if o.skipKubeconfig {
		return nil
	}

	return printer.Do("write client configurations", func(*steps.Step) error { return o.writeClientFiles(ctx, c, spec) })
}

// awaitHealth shows each health check as a step.
func (o *createOptions) awaitHealth(ctx context.Context, printer *steps.Printer, c *client.Client, spec *provision.Spec) error {
	var step *steps.Step

	err := provision.AwaitHealth(ctx, c, spec, o.waitTimeout,
		func(check string) {
			if step != nil {
				step.End(nil)
			}

			step = printer.Begin("wait for " + check)
		},
		func(detail string) {
			if step != nil {
				step.Detail(detail)
			}
		})
	if step != nil {
		step.End(err)
	}

	return err
}

// writeClientFiles fetches the kubeconfig and makes the cluster the current
// context of the user's client configuration.
func (o *createOptions) writeClientFiles(ctx context.Context, c *client.Client, spec *provision.Spec) error {
	kubeconfig, err := provision.Kubeconfig(ctx, c, spec)
	if err != nil {
		return err
	}

	if err := renameio.WriteFile(o.folder().Kubeconfig(), kubeconfig, 0o600); err != nil {
		return err
	}

	path := o.clientFile
	if path == "" {
		if path, err = clientconfig.Locate(); err != nil {
			return err
		}
	}

	config, err := clientconfig.LoadOrNew(path)
	if err != nil {
		return err
	}

	added, err := clientconfig.Load(o.folder().Talosconfig())
	if err != nil {
		return err
	}

	if _, ok := config.Contexts[o.name]; ok {
		if err := replaceContext(config, added, o.name); err != nil {
			return err
		}
	} else {
		config.Merge(added)
	}

	config.Context = o.name

	return config.Save(path)
}

// replaceContext takes a context from another configuration.
func replaceContext(config, from *clientconfig.Config, name string) error {
	context, err := from.Select(name)
	if err != nil {
		return err
	}

	config.Contexts[name] = context

	return nil
}

// explain says what to type next, as far as it holds: client configurations may
// be elsewhere than usual, and machines may wait for their configurations.
func (o *createOptions) explain(cmd *cobra.Command, spec *provision.Spec) {
	program, kubectl, chosen := "basaltctl", "kubectl", "--name "+o.name

	if self, err := os.Executable(); err == nil {
		program = relative(self)
		kubectl = relative(filepath.Join(filepath.Dir(self), "kubectl"))
	}

	if cmd.Flags().Changed("state") {
		chosen += " --state " + o.state
	}

	line := func(what, format string, args ...any) { cmd.Printf("%-24s %s\n", what, fmt.Sprintf(format, args...)) }
	asClient := program

	switch {
	case o.skipKubeconfig || !configured(spec):
		asClient += " --talosconfig " + o.folder().Talosconfig()
	case o.clientFile != "":
		asClient += " --talosconfig " + o.clientFile
	}

	cmd.Println()

	switch first := spec.ByRole(provision.ControlPlane)[0]; {
	case !configured(spec):
		line("Look at the machines:", "%s cluster show %s", program, chosen)
		line("Configure each of them:", "%s apply-config --insecure -n %s -f %s", program, first.Address, o.folder().NodeConfig(first.Name))
		line("Then begin the cluster:", "%s bootstrap", asClient)
	case o.skipKubeconfig:
		line("Look at the nodes:", "%s health", asClient)
		line("Get a kubeconfig:", "%s kubeconfig", asClient)
	default:
		line("Look at the nodes:", "%s health", asClient)
		line("", "%s get members", asClient)
		line("", "%s dashboard", asClient)
		line("Look at Kubernetes:", "%s --kubeconfig %s get nodes -o wide", kubectl, o.folder().Kubeconfig())
	}

	line("Remove the cluster:", "%s cluster destroy %s", program, chosen)
}

// relative shortens a path below the working directory.
func relative(path string) string {
	directory, err := os.Getwd()
	if err != nil {
		return path
	}

	short, err := filepath.Rel(directory, path)
	if err != nil || strings.HasPrefix(short, "..") {
		return path
	}

	return short
}
