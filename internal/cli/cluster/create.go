package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/miekg/dns"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/basalt-os/basalt/internal/cli/patches"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/client/clientconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/container"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// cleanupTimeout bounds the cleaning up after a create that was interrupted.
const cleanupTimeout = 30 * time.Second

// createOptions are the flags of "cluster create".
type createOptions struct {
	*target

	controlPlanes, workers int
	cidr                   string
	kubernetesVersion      string
	cpus, memory           string
	root, images           string
	wait                   bool
	waitTimeout            time.Duration
	keep                   bool

	patches, controlPlanePatches, workerPatches []string
}

func newCreate(t *target) *cobra.Command {
	o := createOptions{target: t}

	command := &cobra.Command{
		Use:   "create",
		Short: "Create a cluster of container nodes on this machine",
		Long: `Create a cluster whose nodes are made of Linux namespaces on this machine.

Each node runs Basalt's own init over the root tree that "make build" makes.
Images come from the local image layout, so no internet is needed. When the
cluster exists already, nothing is changed; stopped nodes are started again.`,
		Example: `  basaltctl cluster create
  basaltctl cluster create --name big --controlplanes 3 --workers 2 --cidr 10.6.0.0/24
  basaltctl cluster create --config-patch @patch.yaml --memory 2GiB --cpus 1.5`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd) },
	}

	flags := command.Flags()
	flags.IntVar(&o.controlPlanes, "controlplanes", 1, "number of control plane nodes")
	flags.IntVar(&o.workers, "workers", 1, "number of worker nodes")
	flags.StringVar(&o.cidr, "cidr", "10.5.0.0/24", "address range of the nodes")
	flags.StringVar(&o.kubernetesVersion, "kubernetes-version", machineconfig.DefaultKubernetesVersion, "version of Kubernetes")
	flags.StringVar(&o.cpus, "cpus", "", "processors' worth of time that each node may use, such as 1.5 (default: no limit)")
	flags.StringVar(&o.memory, "memory", "", "memory that each node may use, such as 2GiB (default: no limit)")
	flags.StringVar(&o.root, "root-tree", besideProgram("root"), "folder with the node's root tree")
	flags.StringVar(&o.images, "images", besideProgram("oci"), "folder with the OCI image layout")
	flags.BoolVar(&o.wait, "wait", true, "wait until the cluster is healthy")
	flags.DurationVar(&o.waitTimeout, "wait-timeout", 10*time.Minute, "how long to wait at most")
	flags.BoolVar(&o.keep, "keep-failed", false, "keep what there is when something fails, to look at it")
	flags.StringArrayVar(&o.patches, "config-patch", nil, "patch for all machine configurations, or @file (repeatable)")
	flags.StringArrayVar(&o.controlPlanePatches, "config-patch-control-plane", nil, "patch for control planes, or @file (repeatable)")
	flags.StringArrayVar(&o.workerPatches, "config-patch-worker", nil, "patch for workers, or @file (repeatable)")

	return command
}

// besideProgram is a folder of the build's output, beside the folder that this
// program is in.
func besideProgram(name string) string {
	self, err := os.Executable()
	if err != nil {
		return name
	}

	return filepath.Join(filepath.Dir(filepath.Dir(self)), "_out", name)
}

func (o *createOptions) run(ctx context.Context, cmd *cobra.Command) error {
	printer := steps.New(cmd.ErrOrStderr())

	existing, err := o.folder().Spec()

	switch {
	case err == nil:
		return o.resume(ctx, cmd, printer, existing)
	case !errors.Is(err, provision.ErrNoCluster):
		return err
	}

	spec, changes, err := o.spec()
	if err != nil {
		return err
	}

	begin := time.Now()

	if err := printer.Do("check this machine", func(*steps.Step) error { return o.preflight(ctx, spec) }); err != nil {
		return err
	}

	if err := o.create(ctx, printer, spec, changes); err != nil {
		return o.fail(ctx, cmd, err)
	}

	cmd.Printf("\nCluster %q is ready after %s.\n", spec.Name, time.Since(begin).Round(100*time.Millisecond))
	o.explain(cmd)

	return nil
}

// fail cleans up after a failure, or says how to look.
func (o *createOptions) fail(ctx context.Context, cmd *cobra.Command, cause error) error {
	if ctx.Err() != nil {
		cause = fmt.Errorf("interrupted: %w", context.Cause(ctx))
	}

	if o.keep {
		cmd.PrintErrf("The cluster is kept: look at %s, and remove it with \"basaltctl cluster destroy --name %s\".\n",
			o.folder().Path("nodes", "*", "console.log"), o.name)

		return cause
	}

	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()

	if err := host.Destroy(ctx, o.folder(), all{}, o.name); err != nil {
		return errors.Join(cause, fmt.Errorf("cleaning up: %w", err))
	}

	cmd.PrintErrln("Everything that was made is removed again; --keep-failed keeps it to be looked at.")

	return cause
}

// resume makes a cluster that exists already run.
func (o *createOptions) resume(ctx context.Context, cmd *cobra.Command, printer *steps.Printer, spec *provision.Spec) error {
	cmd.Printf("Cluster %q exists already, with %d control planes and %d workers.\n",
		spec.Name, len(spec.ByRole(provision.ControlPlane)), len(spec.ByRole(provision.Worker)))

	if err := printer.Do("start nodes", func(*steps.Step) error { return host.Start(ctx, o.folder()) }); err != nil {
		return err
	}

	if o.wait {
		if err := o.await(ctx, printer, spec); err != nil {
			return err
		}
	}

	o.explain(cmd)

	return nil
}

// spec turns the flags into a description of the cluster.
func (o *createOptions) spec() (*provision.Spec, provision.Patches, error) {
	var errs []error

	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	network, err := netip.ParsePrefix(o.cidr)
	if err != nil {
		return nil, provision.Patches{}, fmt.Errorf("--cidr %q: give an address range such as 10.5.0.0/24", o.cidr)
	}

	layout := provision.Layout{ControlPlanes: o.controlPlanes, Workers: o.workers}

	share := provision.Share{}

	share.CPUs, err = quantity("--cpus", o.cpus)
	note(err)

	memory, err := quantity("--memory", strings.TrimSuffix(o.memory, "B"))
	note(err)

	share.Memory = uint64(memory)
	layout.ControlPlane, layout.Worker = share, share

	nodes, err := layout.Nodes(o.name, network)
	note(err)

	var changes provision.Patches

	for _, p := range []struct {
		flag  string
		texts []string
		into  *[]machineconfig.Patch
	}{
		{"--config-patch", o.patches, &changes.All},
		{"--config-patch-control-plane", o.controlPlanePatches, &changes.ControlPlanes},
		{"--config-patch-worker", o.workerPatches, &changes.Workers},
	} {
		*p.into, err = patches.Load(p.flag, p.texts)
		note(err)
	}

	root, err := filepath.Abs(o.root)
	note(err)

	images, err := filepath.Abs(o.images)
	note(err)

	return &provision.Spec{
		Name:              o.name,
		Provisioner:       "container",
		Network:           network.Masked(),
		Nodes:             nodes,
		Resolvers:         resolvers(),
		KubernetesVersion: o.kubernetesVersion,
		Root:              root,
		Images:            images,
		Created:           time.Now().UTC(),
	}, changes, errors.Join(errs...)
}

// quantity parses an amount as Kubernetes writes it; empty is zero.
func quantity(flag, text string) (float64, error) {
	if text == "" {
		return 0, nil
	}

	parsed, err := resource.ParseQuantity(text)

	value := parsed.AsApproximateFloat64()
	if err != nil || value <= 0 || value > math.MaxInt64 {
		return 0, fmt.Errorf("%s %q: give a positive amount such as 1.5 or 2Gi", flag, text)
	}

	return value, nil
}

// preflight looks for what keeps the cluster from being created.
func (o *createOptions) preflight(ctx context.Context, spec *provision.Spec) error {
	others, err := provision.List(o.state)
	if err != nil {
		return err
	}

	return container.Preflight(ctx, spec, o.folder(), others)
}

func (o *createOptions) create(ctx context.Context, printer *steps.Printer, spec *provision.Spec, changes provision.Patches) error {
	folder := o.folder()

	err := printer.Do("generate configurations", func(*steps.Step) error {
		configs, clientConfig, err := provision.Configure(spec, changes)
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

	if err := printer.Do("start nodes", func(*steps.Step) error { return host.Start(ctx, folder) }); err != nil {
		return err
	}

	if !o.wait {
		return nil
	}

	return o.await(ctx, printer, spec)
}

// await waits until the cluster is healthy and writes the client files.
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

	if err := o.awaitHealth(ctx, printer, c, spec); err != nil {
		return err
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
	first := spec.ByRole(provision.ControlPlane)[0].Address.String()

	kubeconfig, err := c.Kubeconfig(client.WithNode(ctx, first))
	if err != nil {
		return err
	}

	if err := renameio.WriteFile(o.folder().Kubeconfig(), kubeconfig, 0o600); err != nil {
		return err
	}

	path, err := clientconfig.Locate()
	if err != nil {
		return err
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

// explain says what to type next.
func (o *createOptions) explain(cmd *cobra.Command) {
	program := "basaltctl"
	kubectl := "kubectl"

	if self, err := os.Executable(); err == nil {
		program = relative(self)
		kubectl = relative(filepath.Join(filepath.Dir(self), "kubectl"))
	}

	cmd.Printf(`
Look at the nodes:       %[1]s health
                         %[1]s get members
                         %[1]s dashboard
Look at Kubernetes:      %[2]s --kubeconfig %[3]s get nodes -o wide
Remove the cluster:      %[1]s cluster destroy --name %[4]s
`, program, kubectl, o.folder().Kubeconfig(), o.name)
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

// resolvers lists this machine's name servers that nodes can reach too.
func resolvers() []netip.Addr {
	config, err := dns.ClientConfigFromFile("/etc/resolv.conf")
	if err != nil {
		return nil
	}

	var addresses []netip.Addr

	for _, server := range config.Servers {
		if address, err := netip.ParseAddr(server); err == nil && !address.IsLoopback() {
			addresses = append(addresses, address)
		}
	}

	return addresses
}
