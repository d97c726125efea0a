package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/basalt-os/basalt/internal/cli/patches"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/container"
	"github.com/basalt-os/basalt/pkg/provision/host"
	"github.com/basalt-os/basalt/pkg/provision/qemu"
)

// cleanupTimeout bounds the cleaning up after a create that was interrupted.
const cleanupTimeout = 30 * time.Second

// createOptions are the flags of "cluster create".
type createOptions struct {
	*target

	provisioner            string
	controlPlanes, workers int
	cidr                   string
	kubernetesVersion      string
	cpus, memory           string
	root, images           string
	wait                   bool
	waitTimeout            time.Duration
	keep, skipKubeconfig   bool
	clientFile             string // empty: the user's own

	cpusWorkers, memoryWorkers string // empty: as cpus and memory

	patches, controlPlanePatches, workerPatches []string

	settings settingOptions
	machines machineOptions
}

// Names of the provisioners.
const (
	containers = "container"
	machines   = "qemu"
)

func newCreate(t *target) *cobra.Command {
	o := createOptions{target: t}

	command := o.command()
	command.AddCommand(newCreateMachines(t), newCreateDocker())

	return command
}

// command is "cluster create" itself.
func (o *createOptions) command() *cobra.Command {
	command := &cobra.Command{
		Use:   "create",
		Short: "Create a cluster on this machine",
		Long: `Create a cluster whose nodes are made of Linux namespaces on this machine, or
are virtual machines with --provisioner qemu.

A container node runs Basalt's own init over the root tree that "make build"
makes. A virtual machine boots an image of "make image"; it runs under KVM where
a kernel really boots under it, and in emulation elsewhere. Images come from the
local image layout, so no internet is needed. When the cluster exists already,
nothing is changed; stopped nodes are started again.

With --wait=false the command ends once the cluster has begun and its client
configurations are written. Flags that say nothing about nodes of the chosen kind
are refused.`,
		Example: `  basaltctl cluster create
  basaltctl cluster create --name big --controlplanes 3 --workers 2 --cidr 10.6.0.0/24
  basaltctl cluster create --config-patch @patch.yaml --memory 2GiB --cpus 1.5
  basaltctl cluster create --provisioner qemu --workers 0 --memory 4GiB`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), cmd) },
	}

	flags := command.Flags()
	flags.StringVar(&o.provisioner, "provisioner", containers, "what the nodes are: "+containers+" or "+machines)
	flags.IntVar(&o.controlPlanes, "controlplanes", 1, "number of control plane nodes")
	flags.IntVar(&o.workers, "workers", 1, "number of worker nodes")
	flags.StringVar(&o.cpus, "cpus", "", "processors of each node, such as 1.5 (default: no limit; 2 for machines)")
	flags.StringVar(&o.memory, "memory", "", "memory of each node, such as 2GiB (default: no limit; 2GiB for machines)")
	flags.StringVar(&o.cpusWorkers, "cpus-workers", "", "processors of each worker (default: as --cpus)")
	flags.StringVar(&o.memoryWorkers, "memory-workers", "", "memory of each worker (default: as --memory)")
	flags.BoolVar(&o.skipKubeconfig, "skip-kubeconfig", false, "do not write client configurations")
	flags.StringVar(&o.root, "root-tree", besideProgram("root"), "folder with the root tree of container nodes")
	flags.StringArrayVar(&o.patches, "config-patch", nil, "patch for all machine configurations, or @file (repeatable)")
	flags.StringArrayVar(&o.controlPlanePatches, "config-patch-control-plane", nil, "patch for control planes, or @file (repeatable)")
	flags.StringArrayVar(&o.workerPatches, "config-patch-worker", nil, "patch for workers, or @file (repeatable)")
	o.commonFlags(flags)
	o.settings.flags(flags)
	o.machines.flags(flags)

	return command
}

// commonFlags are the flags of all ways to create a cluster.
func (o *createOptions) commonFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.cidr, "cidr", "10.5.0.0/24", "address range of the nodes")
	flags.StringVar(&o.kubernetesVersion, "kubernetes-version", machineconfig.DefaultKubernetesVersion, "version of Kubernetes")
	flags.StringVar(&o.images, "images", besideProgram("oci"), "folder with the OCI image layout")
	flags.BoolVar(&o.wait, "wait", true, "wait until the cluster is healthy, not only until it has begun")
	flags.DurationVar(&o.waitTimeout, "wait-timeout", 0, "how long to wait at most (default 10m, and 30m for machines)")
	flags.BoolVar(&o.keep, "keep-failed", false, "keep what there is when something fails, to look at it")
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
		o.limitWait(existing.Provisioner)

		return o.resume(ctx, cmd, printer, existing)
	case !errors.Is(err, provision.ErrNoCluster):
		return err
	}

	spec, settings, err := o.spec(cmd.Flags())
	if err != nil {
		return err
	}

	o.limitWait(spec.Provisioner)

	begin := time.Now()

	if spec.Machines != nil {
		if err := o.chooseAccelerator(ctx, cmd, printer, spec.Machines); err != nil {
			return err
		}
	}

	if err := printer.Do("check this machine", func(*steps.Step) error { return o.preflight(ctx, spec) }); err != nil {
		return err
	}

	if err := o.create(ctx, printer, spec, settings); err != nil {
		return o.fail(ctx, cmd, err)
	}

	cmd.Printf("\nCluster %q is %s after %s.\n", spec.Name, map[bool]string{true: "ready", false: "started"}[o.wait && configured(spec)],
		time.Since(begin).Round(100*time.Millisecond))
	o.explain(cmd, spec)

	return nil
}

// limitWait sets how long nodes may take where nobody has said it.
func (o *createOptions) limitWait(provisioner string) {
	if o.waitTimeout == 0 {
		o.waitTimeout = map[string]time.Duration{containers: 10 * time.Minute, machines: 30 * time.Minute}[provisioner]
	}
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

	if ignored := o.ignored(cmd, spec); len(ignored) > 0 {
		cmd.Printf("It stays as it was created: %s has no effect. To change that, destroy the cluster first.\n", strings.Join(ignored, ", "))
	}

	if err := printer.Do("start nodes", func(*steps.Step) error { return host.Start(ctx, o.folder()) }); err != nil {
		return err
	}

	if configured(spec) {
		if err := o.await(ctx, printer, spec); err != nil {
			return err
		}
	}

	o.explain(cmd, spec)

	return nil
}

// ignored are the flags that ask for something that a cluster which exists is
// not.
func (o *createOptions) ignored(cmd *cobra.Command, spec *provision.Spec) []string {
	has := map[string]string{
		"provisioner":        spec.Provisioner,
		"controlplanes":      strconv.Itoa(len(spec.ByRole(provision.ControlPlane))),
		"workers":            strconv.Itoa(len(spec.ByRole(provision.Worker))),
		"cidr":               spec.Network.String(),
		"kubernetes-version": spec.KubernetesVersion,
		"root-tree":          spec.Root,
		"images":             spec.Images,
	}

	// These act on a cluster that exists too.
	acting := []string{"name", "state", "wait", "wait-timeout", "keep-failed", "skip-kubeconfig", "talosconfig-destination"}

	var ignored []string

	cmd.Flags().Visit(func(flag *pflag.Flag) {
		if !slices.Contains(acting, flag.Name) && flag.Value.String() != has[flag.Name] {
			ignored = append(ignored, "--"+flag.Name)
		}
	})

	return ignored
}

// misplaced refuses the flags that were given and say nothing about nodes of the
// chosen kind.
func (o *createOptions) misplaced(given *pflag.FlagSet) error {
	if o.provisioner == machines {
		if given.Changed("root-tree") {
			return errors.New("--root-tree is for container nodes: machines have their root tree in what they boot")
		}

		return nil
	}

	var (
		names []string
		only  = pflag.NewFlagSet("", pflag.ContinueOnError)
	)

	new(machineOptions).flags(only)
	only.VisitAll(func(flag *pflag.Flag) {
		if given.Changed(flag.Name) {
			names = append(names, "--"+flag.Name)
		}
	})

	if len(names) == 0 {
		return nil
	}

	return fmt.Errorf("%s: for machines alone, and container nodes are none: add --provisioner %s, or leave it out", strings.Join(names, ", "), machines)
}

// spec turns the flags into a description of the cluster.
func (o *createOptions) spec(given *pflag.FlagSet) (*provision.Spec, provision.Settings, error) {
	var (
		errs     []error
		settings provision.Settings
	)

	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	network, err := netip.ParsePrefix(o.cidr)
	if err != nil {
		return nil, settings, fmt.Errorf("--cidr %q: give an address range such as 10.5.0.0/24", o.cidr)
	}

	spec := &provision.Spec{
		Name:              o.name,
		Provisioner:       o.provisioner,
		Network:           network.Masked(),
		Resolvers:         resolvers(),
		KubernetesVersion: o.kubernetesVersion,
		Created:           time.Now().UTC(),
	}

	layout, err := o.layout()
	note(err)

	for _, p := range []struct {
		flag  string
		texts []string
		into  *[]machineconfig.Patch
	}{
		{"--config-patch", o.patches, &settings.Patches.All},
		{"--config-patch-control-plane", o.controlPlanePatches, &settings.Patches.ControlPlanes},
		{"--config-patch-worker", o.workerPatches, &settings.Patches.Workers},
	} {
		*p.into, err = patches.Load(p.flag, p.texts)
		note(err)
	}

	spec.Images, err = filepath.Abs(o.images)
	note(err)
	note(o.settings.configure(spec, &settings))

	switch o.provisioner {
	case containers:
		note(o.misplaced(given))

		spec.Root, err = filepath.Abs(o.root)
		note(err)
	case machines:
		note(o.misplaced(given))
		note(o.machines.describe(spec, &layout, &settings))
	default:
		note(fmt.Errorf("--provisioner %q: there are %s and %s", o.provisioner, containers, machines))
	}

	spec.Nodes, err = layout.Nodes(o.name, network)
	note(err)

	return spec, settings, errors.Join(errs...)
}

// layout is how many nodes there are to be, and what each has.
func (o *createOptions) layout() (provision.Layout, error) {
	var (
		errs   []error
		layout = provision.Layout{ControlPlanes: o.controlPlanes, Workers: o.workers}
	)

	for _, role := range []struct {
		suffix       string
		cpus, memory string
		into         *provision.Share
	}{
		{"", o.cpus, o.memory, &layout.ControlPlane},
		{"-workers", cmp.Or(o.cpusWorkers, o.cpus), cmp.Or(o.memoryWorkers, o.memory), &layout.Worker},
	} {
		var err error

		role.into.CPUs, err = quantity("--cpus"+role.suffix, role.cpus)
		errs = append(errs, err)

		memory, err := quantity("--memory"+role.suffix, strings.TrimSuffix(role.memory, "B"))
		errs = append(errs, err)

		role.into.Memory = uint64(memory)
	}

	return layout, errors.Join(errs...)
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

	if spec.Machines != nil {
		return qemu.Preflight(spec, o.folder(), others)
	}

	return container.Preflight(ctx, spec, o.folder(), others)
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
