// Package image has the commands that look after the images in a node's
// container runtime.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/choice"
	"github.com/basalt-os/basalt/internal/cli/connect"
	"github.com/basalt-os/basalt/internal/cli/table"
	"github.com/basalt-os/basalt/pkg/client"
)

// options are the flags that all subcommands have.
type options struct {
	reach     *connect.Flags
	namespace string
}

// New returns the command "image" with its subcommands.
func New() *cobra.Command {
	cmd := &cobra.Command{Use: "image", Aliases: []string{"images"}, Short: "Look after container images"}
	o := &options{reach: connect.Add(cmd)}

	cmd.PersistentFlags().StringVar(&o.namespace, "namespace", "cri", "whose images: cri (of pods) or system (of the system)")
	_ = cmd.RegisterFlagCompletionFunc("namespace", choice.Words("cri", "system")) // the flag exists

	cmd.AddCommand(o.newList(), o.newPull(), o.newRemove(), newBundle())

	return cmd
}

// instance says which images are meant.
func (o *options) instance() (*common.ContainerdInstance, error) {
	switch o.namespace {
	case "cri":
		return &common.ContainerdInstance{Driver: common.ContainerDriver_CRI, Namespace: common.ContainerdNamespace_NS_CRI}, nil
	case "system":
		return &common.ContainerdInstance{
			Driver: common.ContainerDriver_CONTAINERD, Namespace: common.ContainerdNamespace_NS_SYSTEM,
		}, nil
	default:
		return nil, fmt.Errorf("--namespace %q: give cri or system", o.namespace)
	}
}

// images lists the images of a node.
func (o *options) images(ctx context.Context, n connect.Node) ([]*machine.ImageServiceListResponse, error) {
	instance, err := o.instance()
	if err != nil {
		return nil, err
	}

	stream, err := n.Image.List(ctx, &machine.ImageServiceListRequest{Containerd: instance})

	var list []*machine.ImageServiceListResponse

	for image, err := range client.Messages(stream, err) {
		if err != nil {
			return list, err
		}

		list = append(list, image)
	}

	slices.SortFunc(list, func(a, b *machine.ImageServiceListResponse) int { return strings.Compare(a.GetName(), b.GetName()) })

	return list, nil
}

func (o *options) complete() cobra.CompletionFunc {
	return o.reach.Complete(func(ctx context.Context, n connect.Node) ([]string, error) {
		list, err := o.images(ctx, n)

		names := make([]string, len(list))
		for i, image := range list {
			names[i] = image.GetName()
		}

		return names, err
	})
}

func (o *options) newList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"l", "ls"},
		Short:   "List the images of nodes",
		Example: `  basaltctl image list
  basaltctl image list --namespace system --nodes 10.5.0.2,10.5.0.3`,
		Args: cobra.NoArgs,
		RunE: o.reach.Run(func(cmd *cobra.Command, target *connect.Target, _ []string) error {
			answers, err := connect.Each(cmd.Context(), target, o.images)
			t := table.New(cmd.OutOrStdout(), "NODE", "IMAGE", "DIGEST", "SIZE", "CREATED")

			for _, answer := range answers {
				for _, image := range answer.Value {
					created := "-"
					if image.GetCreatedAt() != nil {
						created = image.GetCreatedAt().AsTime().Format(time.RFC3339)
					}

					t.Row(answer.Node, image.GetName(), image.GetDigest(), humanize.Bytes(uint64(max(image.GetSize(), 0))), created)
				}
			}

			return errors.Join(t.Flush(), err)
		}),
	}
}

func (o *options) newPull() *cobra.Command {
	return &cobra.Command{
		Use:     "pull <image>",
		Aliases: []string{"p"},
		Short:   "Pull an image to nodes",
		Example: `  basaltctl image pull registry.k8s.io/pause:3.10.1
  basaltctl image pull ghcr.io/siderolabs/kubelet:v1.36.3 --namespace system`,
		Args: cobra.ExactArgs(1),
		RunE: o.reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
			instance, err := o.instance()
			if err != nil {
				return err
			}

			show := &layers{out: cmd.ErrOrStderr(), said: map[string]string{}}

			answers, err := connect.Each(cmd.Context(), target, func(ctx context.Context, n connect.Node) (string, error) {
				stream, err := n.Image.Pull(ctx, &machine.ImageServicePullRequest{Containerd: instance, ImageRef: args[0]})
				name := ""

				for message, err := range client.Messages(stream, err) {
					if err != nil {
						return "", err
					}

					if progress := message.GetPullProgress(); progress != nil {
						show.print(n.Name, progress)
					}

					if message.GetName() != "" {
						name = message.GetName()
					}
				}

				return name, nil
			})

			for _, answer := range answers {
				fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", answer.Node, answer.Value)
			}

			return err
		}),
	}
}

// layers prints what becomes of layers, a line for each change.
type layers struct {
	mu   sync.Mutex
	out  io.Writer
	said map[string]string // by node and layer
}

func (l *layers) print(node string, progress *machine.ImageServicePullProgress) {
	l.mu.Lock()
	defer l.mu.Unlock()

	key := node + " " + progress.GetLayerId()
	state := strings.ToLower(strings.ReplaceAll(progress.GetProgress().GetStatus().String(), "_", " "))

	if l.said[key] == state {
		return
	}

	l.said[key] = state

	const shown = 19 // "sha256:" and 12 digits

	layer := progress.GetLayerId()
	if len(layer) > shown {
		layer = layer[:shown]
	}

	fmt.Fprintf(l.out, "%s: %s: %s\n", node, layer, state)
}

func (o *options) newRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove <image>",
		Aliases:           []string{"rm"},
		Short:             "Remove an image from nodes",
		Example:           "  basaltctl image remove docker.io/library/nginx:1.27 --nodes 10.5.0.3",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: o.complete(),
		RunE: o.reach.Run(func(cmd *cobra.Command, target *connect.Target, args []string) error {
			instance, err := o.instance()
			if err != nil {
				return err
			}

			return connect.Do(cmd.Context(), target, func(ctx context.Context, n connect.Node) error {
				_, err := n.Image.Remove(ctx, &machine.ImageServiceRemoveRequest{Containerd: instance, ImageRef: args[0]})

				return err
			})
		}),
	}
}
