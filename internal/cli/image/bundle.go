package image

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/pkg/machineconfig"
)

// version is a flag with a semantic version. It implements pflag.Value.
type version struct {
	text string
}

// String returns the version as it was given.
func (v *version) String() string { return v.text }

// tagged returns the version as image tags have it.
func (v *version) tagged() string { return "v" + strings.TrimPrefix(v.text, "v") }

// Type names the kind of value in the usage.
func (v *version) Type() string { return "semver" }

// Set takes a version such as v1.36.3.
func (v *version) Set(text string) error {
	if !versionForm.MatchString(text) {
		return fmt.Errorf("%q is no version such as v1.36.3", text)
	}

	v.text = text

	return nil
}

var versionForm = regexp.MustCompile(`^v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// tagOf is the version in the tag of an image.
func tagOf(image string) string { return image[strings.LastIndexByte(image, ':')+1:] }

func newBundle() *cobra.Command {
	kubernetes := &version{"v" + machineconfig.DefaultKubernetesVersion}
	etcd := &version{strings.TrimPrefix(tagOf(machineconfig.EtcdImage), "v")}
	coredns := &version{tagOf(machineconfig.CoreDNSImage)}
	flannel := &version{"0.28.4"}
	policies := &version{"v1.0.0"}

	cmd := &cobra.Command{
		Use:     "k8s-bundle",
		Aliases: []string{"default"},
		Short:   "List the images that a cluster needs, for a registry of one's own",
		Example: `  basaltctl image k8s-bundle
  basaltctl image k8s-bundle --k8s-version v1.36.2`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			number := strings.TrimPrefix(kubernetes.text, "v")

			for _, image := range []string{
				"ghcr.io/flannel-io/flannel:" + flannel.tagged(),
				strings.TrimSuffix(machineconfig.CoreDNSImage, tagOf(machineconfig.CoreDNSImage)) + coredns.tagged(),
				strings.TrimSuffix(machineconfig.EtcdImage, tagOf(machineconfig.EtcdImage)) + etcd.tagged(),
				"registry.k8s.io/pause:3.10.1",
				machineconfig.APIServerImage(number),
				machineconfig.ControllerManagerImage(number),
				machineconfig.SchedulerImage(number),
				machineconfig.ProxyImage(number),
				machineconfig.KubeletImage(number),
				"registry.k8s.io/networking/kube-network-policies:" + policies.tagged(),
			} {
				fmt.Fprintln(cmd.OutOrStdout(), image)
			}

			return nil
		},
	}

	flags := cmd.PersistentFlags()
	flags.Var(kubernetes, "k8s-version", "version of Kubernetes")
	flags.Var(etcd, "etcd-version", "version of etcd")
	flags.Var(coredns, "coredns-version", "version of CoreDNS")
	flags.Var(flannel, "flannel-version", "version of flannel")
	flags.Var(policies, "kube-network-policies-version", "version of kube-network-policies")

	return cmd
}
