// Package kubeupgrade has the command that brings the Kubernetes of a cluster to
// another version: component by component and node by node, through the machine
// configurations, without a reboot.
package kubeupgrade

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/basalt-os/basalt/internal/cli/choice"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/kube"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/internal/controllers/k8s/apply"
	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// options are the flags of the command.
type options struct {
	from, to, endpoint string
	images             [componentCount]string

	dryRun, prePull, kubelets bool

	manifestPolicy   string
	manifestForce    bool
	manifestNoPrune  bool
	manifestsTimeout time.Duration
}

// New returns the command.
func New() *cobra.Command {
	var o options

	cmd := &cobra.Command{
		Use:   "upgrade-k8s",
		Short: "Bring the Kubernetes of a cluster to another version",
		Long: `Bring the Kubernetes of a cluster to another version.

The images are pulled to all nodes first. Then each control plane node gets the new
API server, controller manager and scheduler, one component after the other on one
node after the other; then kube-proxy and the kubelets follow, and the objects that
the system brings to the cluster are brought up to date. Pods are not restarted,
and machines are not rebooted.

Interrupted or failed, it can be started again, and goes on where it was.`,
		Example: `  basaltctl upgrade-k8s --nodes 10.5.0.2 --to 1.36.3
  basaltctl upgrade-k8s -n 10.5.0.2 --to 1.36.3 --dry-run
  basaltctl upgrade-k8s -n 10.5.0.2 --to 1.36.3 --upgrade-kubelet=false`,
		Args: cobra.NoArgs,
	}

	reach := connect.Add(cmd)
	o.add(cmd)

	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		o.to, o.from = strings.TrimPrefix(o.to, "v"), strings.TrimPrefix(o.from, "v")

		if !slices.Contains(apply.Policies(), apply.Policy(o.manifestPolicy)) {
			return fmt.Errorf("--manifests-inventory-policy %q: give one of %q", o.manifestPolicy, apply.Policies())
		}

		return reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error { return o.run(cmd, target) })(cmd, args)
	}

	return cmd
}

func (o *options) add(cmd *cobra.Command) {
	flags := cmd.Flags()

	repository := func(image string) string { return image[:strings.LastIndexByte(image, ':')] }
	version := machineconfig.DefaultKubernetesVersion

	flags.StringVar(&o.from, "from", "", "version that the cluster runs (default: what its nodes say)")
	flags.StringVar(&o.to, "to", version, "version to bring it to")
	flags.StringVar(&o.endpoint, "endpoint", "", "URL of the Kubernetes API (default: that of the cluster)")

	for i, c := range []struct{ flag, image string }{
		{"apiserver-image", machineconfig.APIServerImage(version)},
		{"controller-manager-image", machineconfig.ControllerManagerImage(version)},
		{"scheduler-image", machineconfig.SchedulerImage(version)},
		{"proxy-image", machineconfig.ProxyImage(version)},
		{"kubelet-image", machineconfig.KubeletImage(version)},
	} {
		flags.StringVar(&o.images[i], c.flag, repository(c.image), "image without its tag")
	}

	flags.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and do nothing")
	flags.BoolVar(&o.prePull, "pre-pull-images", true, "pull all images to the nodes before anything changes")
	flags.BoolVar(&o.kubelets, "upgrade-kubelet", true, "upgrade the kubelets too")
	flags.StringVar(&o.manifestPolicy, "manifests-inventory-policy", string(apply.AdoptIfNoInventory),
		"which objects that exist may be taken over: MustMatch, AdoptIfNoInventory or AdoptAll")
	flags.BoolVar(&o.manifestForce, "manifests-force", false, "take fields of objects over that somebody else manages")
	flags.BoolVar(&o.manifestNoPrune, "manifests-no-prune", false, "leave objects that the version before brought and this one does not")
	flags.DurationVar(&o.manifestsTimeout, "manifests-reconcile-timeout", 5*time.Minute, "how long objects may take to be in effect")

	// What a configuration is written with is kept as it is.
	for _, name := range []string{"with-docs", "with-examples"} {
		flags.Bool(name, true, "has no effect: a configuration keeps the comments that it has")
	}

	_ = cmd.RegisterFlagCompletionFunc("manifests-inventory-policy", // the flag exists
		choice.Words(string(apply.MustMatch), string(apply.AdoptIfNoInventory), string(apply.AdoptAll)))
}

// run upgrades the cluster.
func (o *options) run(cmd *cobra.Command, target *connect.Target) error {
	ctx := cmd.Context()

	config, err := kube.Config(ctx, target, o.endpoint)
	if err != nil {
		return err
	}

	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return fmt.Errorf("connecting to Kubernetes: %w", err)
	}

	u := &upgrade{
		options: o, client: client, api: target.Nodes[0].Client, components: components(o.images),
		show:    steps.New(cmd.ErrOrStderr()),
		applier: &apply.Applier{Client: client, Mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))},
	}

	if u.nodes, err = u.findNodes(ctx); err != nil {
		return err
	}

	if o.from == "" {
		if o.from, err = u.version(ctx); err != nil {
			return err
		}
	}

	if err := checkPath(o.from, o.to); err != nil {
		return err
	}

	if !slices.ContainsFunc(u.nodes, func(n node) bool { return n.controlPlane }) {
		return errors.New("the cluster has no control plane node that is known to Kubernetes")
	}

	fmt.Fprintf(cmd.ErrOrStderr(), "Kubernetes %s becomes %s on %d nodes\n", o.from, o.to, len(u.nodes))

	if o.dryRun {
		u.plan(cmd.OutOrStdout())

		return nil
	}

	return u.run(ctx)
}
