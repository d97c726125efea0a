package cluster

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/provision"
)

// text is a flag's value that is read as text but has another name for its
// type.
type text struct {
	value *string
	kind  string
}

func (t text) String() string         { return *t.value }
func (t text) Type() string           { return t.kind }
func (t text) Set(value string) error { *t.value = value; return nil }

func textVar(flags *pflag.FlagSet, into *string, name, value, kind, usage string) {
	*into = value
	flags.Var(text{into, kind}, name, usage)
}

const (
	disksKind  = "disks"
	memoryKind = "string(mb,gb)"
)

// Presets say how a machine begins.
const (
	presetISO         = "iso"         // from a CD
	presetPXE         = "pxe"         // kernel and initramfs, without a boot loader
	presetDiskImage   = "disk-image"  // installed already
	presetMaintenance = "maintenance" // and then without a configuration
)

// machinesOptions are the flags of "cluster create qemu".
type machinesOptions struct {
	createOptions

	presets                        []string
	talosconfig                    string
	factory, auth, schematic, omni string
	version                        string
}

func newCreateMachines(t *target) *cobra.Command {
	o := machinesOptions{createOptions: createOptions{target: t, provisioner: machines}}

	// What this command has no flags for is as usual.
	usual := pflag.NewFlagSet("", pflag.ContinueOnError)
	o.settings.flags(usual)
	o.machines.flags(usual)

	command := &cobra.Command{
		Use:   "qemu",
		Short: "Create a cluster of virtual machines on this machine",
		Long: `Create a cluster whose nodes are virtual machines.

A preset says how the machines begin: "iso" from a CD, "pxe" with kernel and
initramfs as from the network, "disk-image" from a disk that is installed
already. "maintenance" leaves them without a configuration. "cluster create
--provisioner qemu" has more to choose from.`,
		Example: `  basaltctl cluster create qemu
  basaltctl cluster create qemu --presets disk-image --workers 0 --disks virtio:10GiB
  basaltctl cluster create qemu --presets iso,maintenance`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.translate(cmd.Flags()); err != nil {
				return err
			}

			return o.run(cmd.Context(), cmd)
		},
	}

	flags := command.Flags()
	flags.IntVar(&o.controlPlanes, "controlplanes", 1, "number of control plane nodes")
	flags.IntVar(&o.workers, "workers", 1, "number of worker nodes")
	flags.StringVar(&o.cpus, "cpus-controlplanes", "2.0", "processors of each control plane")
	flags.StringVar(&o.cpusWorkers, "cpus-workers", "2.0", "processors of each worker")
	textVar(flags, &o.memory, "memory-controlplanes", "2.0GiB", memoryKind, "memory of each control plane")
	textVar(flags, &o.memoryWorkers, "memory-workers", "2.0GiB", memoryKind, "memory of each worker")
	textVar(flags, &o.machines.disks, "disks", "virtio:10GiB,virtio:6GiB", disksKind, "disks of each machine, as <driver>:<size>[:serial=<serial>]")
	flags.StringSliceVar(&o.presets, "presets", []string{presetISO},
		"how the machines begin: "+strings.Join([]string{presetISO, presetPXE, presetDiskImage, presetMaintenance}, ", "))
	flags.StringArrayVar(&o.patches, "config-patch", nil, "patch for all machine configurations, or @file (repeatable)")
	flags.StringArrayVar(&o.controlPlanePatches, "config-patch-controlplanes", nil, "patch for control planes, or @file (repeatable)")
	flags.StringArrayVar(&o.workerPatches, "config-patch-workers", nil, "patch for workers, or @file (repeatable)")
	flags.StringVar(&o.talosconfig, "talosconfig-destination", "", "file for the client configuration (default: the user's own)")
	flags.IntVar(&o.machines.mtu, "mtu", 1500, "MTU of the machines' network")
	flags.StringSliceVar(&o.settings.mirrors, "registry-mirror", nil, "mirrors of registries, as <registry host>=<mirror URL>")

	// Images are those of the build; there is no service that makes them.
	flags.StringVar(&o.factory, "image-factory-url", "", "not supported: images are those of \"make image\"")
	flags.StringVar(&o.auth, "image-factory-auth", "", "not supported: images are those of \"make image\"")
	flags.StringVar(&o.schematic, "schematic-id", "", "not supported: images are those of \"make image\"")
	flags.StringVar(&o.version, "talos-version", "", "version of the wire that the configurations are for (default: the newest)")
	flags.StringVar(&o.omni, "omni-api-endpoint", "", "not supported: the machines join no fleet manager")

	o.commonFlags(flags)

	return command
}

// translate turns the flags of this command into those of the general one.
func (o *machinesOptions) translate(flags *pflag.FlagSet) error {
	var errs []error

	for _, name := range []string{"image-factory-url", "image-factory-auth", "schematic-id"} {
		if flags.Changed(name) {
			errs = append(errs, fmt.Errorf("--%s: images are those of \"make image\": change their profile instead", name))
		}
	}

	if flags.Changed("omni-api-endpoint") {
		errs = append(errs, errors.New("--omni-api-endpoint: the machines join no fleet manager"))
	}

	known := []string{presetISO, presetPXE, presetDiskImage, presetMaintenance}

	var begins []string

	for _, preset := range o.presets {
		switch {
		case !slices.Contains(known, preset):
			errs = append(errs, fmt.Errorf("--presets %q: there are %s", preset, strings.Join(known, ", ")))
		case preset == presetMaintenance:
			o.machines.skipConfig = true
		default:
			begins = append(begins, preset)
		}
	}

	if len(begins) > 1 {
		errs = append(errs, fmt.Errorf("--presets: machines begin in one way, not by %s", strings.Join(begins, " and ")))
	}

	if len(begins) == 0 {
		begins = []string{presetISO}
	}

	o.machines.boot = map[string]string{
		presetISO: string(provision.BootISO), presetPXE: string(provision.BootKernel), presetDiskImage: string(provision.BootDisk),
	}[begins[0]]
	o.settings.contract, o.clientFile = o.version, o.talosconfig

	return errors.Join(errs...)
}

func newCreateDocker() *cobra.Command {
	var unused struct {
		text  string
		list  []string
		array []string
		count int
	}

	command := &cobra.Command{
		Use:     "docker",
		Short:   "Not supported: clusters need no container engine",
		Example: "  basaltctl cluster create",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("clusters need no container engine: \"basaltctl cluster create\" makes nodes out of namespaces by itself")
		},
	}

	// The flags are there so that the answer is the sentence above.
	const usage = "not supported"

	flags := command.Flags()
	flags.StringArrayVar(&unused.array, "config-patch", nil, usage)
	flags.StringArrayVar(&unused.array, "config-patch-controlplanes", nil, usage)
	flags.StringArrayVar(&unused.array, "config-patch-workers", nil, usage)
	flags.StringVar(&unused.text, "cpus-controlplanes", "2.0", usage)
	flags.StringVar(&unused.text, "cpus-workers", "2.0", usage)
	flags.StringVarP(&unused.text, "exposed-ports", "p", "", usage)
	flags.StringVar(&unused.text, "host-ip", "0.0.0.0", usage)
	flags.StringVar(&unused.text, "image", "", usage)
	flags.StringVar(&unused.text, "kubernetes-version", machineconfig.DefaultKubernetesVersion, usage)
	textVar(flags, &unused.text, "memory-controlplanes", "2.0GiB", memoryKind, usage)
	textVar(flags, &unused.text, "memory-workers", "2.0GiB", memoryKind, usage)
	textVar(flags, &unused.text, "mount", "", "mount", usage)
	flags.StringVar(&unused.text, "subnet", "10.5.0.0/24", usage)
	flags.StringVar(&unused.text, "talosconfig-destination", "", usage)
	flags.IntVar(&unused.count, "workers", 1, usage)

	return command
}
