package generate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/internal/cli/filing"
	"github.com/basalt-os/basalt/internal/cli/patches"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// The files that "gen config" makes.
const (
	controlPlaneOutput = "controlplane"
	workerOutput       = "worker"
	clientOutput       = "talosconfig"
)

// configOptions are the flags of "gen config".
type configOptions struct {
	force *bool

	sans, mirrors, types                                    []string
	allPatches, controlPlanePatches, workerPatches          []string
	dnsDomain, installDisk, installImage, kubernetesVersion string
	output, folder, contract, form, secretsFile             string
	discovery, kubeSpan, docs, examples                     bool
}

func newConfig(force *bool) *cobra.Command {
	o := configOptions{force: force}
	cmd := &cobra.Command{
		Use:   "config <cluster name> <cluster endpoint>",
		Short: "Make the machine configurations and the client configuration of a cluster",
		Long: `Make the machine configurations and the client configuration of a cluster.

The endpoint is the address of the Kubernetes API for everybody, for example of
a load balancer. Keep the secrets ("gen secrets"): with them the same
configurations can be made again.`,
		Example: `  basaltctl gen config prod https://10.0.0.10:6443
  basaltctl gen config prod https://10.0.0.10:6443 --with-secrets secrets.yaml -o prod
  basaltctl gen config prod https://10.0.0.10:6443 -t worker -o - --config-patch @patch.yaml`,
		Args: cobra.ExactArgs(2),
		RunE: o.run,
	}
	o.add(cmd)

	return cmd
}

func (o *configOptions) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&o.sans, "additional-sans", nil, "more names and addresses for the certificates of the APIs")
	flags.StringArrayVar(&o.allPatches, "config-patch", nil, "patch for all machine configurations, or @file (repeatable)")
	flags.StringArrayVar(&o.controlPlanePatches, "config-patch-control-plane", nil, "patch for control planes, or @file (repeatable)")
	flags.StringArrayVar(&o.workerPatches, "config-patch-worker", nil, "patch for workers, or @file (repeatable)")
	flags.StringVar(&o.dnsDomain, "dns-domain", machineconfig.DefaultDNSDomain, "DNS domain of the cluster")
	flags.StringVar(&o.installDisk, "install-disk", "/dev/sda", "disk to install to")
	flags.StringVar(&o.installImage, "install-image", "", "installer image (default: the machine's own version)")
	flags.StringVar(&o.kubernetesVersion, "kubernetes-version", machineconfig.DefaultKubernetesVersion, "version of Kubernetes")
	flags.StringVarP(&o.output, "output", "o", "", "folder for the files; for a single one its path, or - for the standard output")
	flags.StringVar(&o.folder, "output-dir", "", "folder for the files")
	flags.StringSliceVarP(&o.types, "output-types", "t", []string{controlPlaneOutput, workerOutput, clientOutput}, "what to make")
	flags.StringSliceVar(&o.mirrors, "registry-mirror", nil, "mirror of a registry, as registry=URL (repeatable)")
	flags.StringVar(&o.contract, "talos-version", "", "version of the wire that the machines speak, such as v1.13 (default: the newest)")
	flags.StringVar(&o.form, "version", "v1alpha1", "version of machine configurations; there is one")
	flags.BoolVar(&o.discovery, "with-cluster-discovery", true, "let machines find each other through the public discovery service")
	flags.BoolVar(&o.docs, "with-docs", true, "accepted for scripts; configurations are made without comments")
	flags.BoolVar(&o.examples, "with-examples", true, "accepted for scripts; configurations are made without comments")
	flags.BoolVar(&o.kubeSpan, "with-kubespan", false, "mesh the machines over WireGuard")
	flags.StringVar(&o.secretsFile, "with-secrets", "", "file with the cluster's secrets (default: new ones)")

	_ = flags.MarkHidden("output-dir") // the flag exists
}

func (o *configOptions) run(cmd *cobra.Command, args []string) error {
	paths, err := o.paths()
	if err != nil {
		return err
	}

	input, err := o.input(args[0], args[1])
	if err != nil {
		return err
	}

	output, err := machineconfig.Generate(*input)
	if err != nil {
		return err
	}

	client, err := output.Client.Bytes()
	if err != nil {
		return err
	}

	contents := map[string][]byte{
		controlPlaneOutput: output.ControlPlane.Bytes(), workerOutput: output.Worker.Bytes(), clientOutput: client,
	}

	for _, kind := range o.types {
		if err := filing.Write(cmd.OutOrStdout(), paths[kind], contents[kind], true, *o.force); err != nil {
			return err
		}

		if paths[kind] != "-" {
			fmt.Fprintf(cmd.ErrOrStderr(), "Created %s\n", paths[kind])
		}
	}

	return nil
}

// paths says where each file goes. Files that are in the way are found before
// anything is written.
func (o *configOptions) paths() (map[string]string, error) {
	names := map[string]string{
		controlPlaneOutput: "controlplane.yaml", workerOutput: "worker.yaml", clientOutput: "talosconfig",
	}

	if len(o.types) == 0 {
		return nil, errors.New("--output-types: name at least one of controlplane, worker, talosconfig")
	}

	paths := map[string]string{}

	for _, kind := range o.types {
		name, ok := names[kind]
		if !ok {
			return nil, fmt.Errorf("--output-types %q: give controlplane, worker or talosconfig", kind)
		}

		paths[kind] = filepath.Join(o.output, o.folder, name)
	}

	if len(o.types) == 1 && o.output != "" {
		if info, err := os.Stat(o.output); err != nil || !info.IsDir() {
			paths[o.types[0]] = o.output
		}
	} else if o.output == "-" {
		return nil, errors.New("--output -: the standard output takes one file; choose it with --output-types")
	}

	for _, kind := range o.types {
		if err := filing.Free(paths[kind], *o.force); err != nil {
			return nil, err
		}
	}

	return paths, nil
}

// input turns the flags into what the generator wants to know.
func (o *configOptions) input(name, endpoint string) (*machineconfig.Input, error) {
	if o.form != "v1alpha1" {
		return nil, fmt.Errorf("--version %q: the only version is v1alpha1", o.form)
	}

	input := &machineconfig.Input{
		ClusterName: name, Endpoint: endpoint, Contract: o.contract,
		KubernetesVersion: strings.TrimPrefix(o.kubernetesVersion, "v"),
		DNSDomain:         o.dnsDomain, AdditionalSANs: o.sans,
		InstallDisk: o.installDisk, InstallImage: o.installImage,
		NoDiscovery: !o.discovery, KubeSpan: o.kubeSpan,
	}

	bundle, err := o.secrets()
	if err != nil {
		return nil, err
	}

	input.Secrets = bundle

	for _, text := range o.mirrors {
		mirror, err := machineconfig.ParseRegistryMirror(text)
		if err != nil {
			return nil, fmt.Errorf("--registry-mirror: %w", err)
		}

		input.RegistryMirrors = append(input.RegistryMirrors, mirror)
	}

	for _, p := range []struct {
		flag   string
		values []string
		into   *[]machineconfig.Patch
	}{
		{"--config-patch", o.allPatches, &input.Patches},
		{"--config-patch-control-plane", o.controlPlanePatches, &input.ControlPlanePatches},
		{"--config-patch-worker", o.workerPatches, &input.WorkerPatches},
	} {
		if *p.into, err = patches.Load(p.flag, p.values); err != nil {
			return nil, err
		}
	}

	return input, nil
}

func (o *configOptions) secrets() (*secrets.Bundle, error) {
	if o.secretsFile == "" {
		return secrets.NewBundle(secrets.Options{})
	}

	data, err := os.ReadFile(o.secretsFile)
	if err != nil {
		return nil, fmt.Errorf("reading secrets: %w", err)
	}

	bundle, err := secrets.Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", o.secretsFile, err)
	}

	return bundle, nil
}
