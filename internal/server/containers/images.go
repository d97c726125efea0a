package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/service/container"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/machineconfig/document"
)

// snapshotter is where images are unpacked.
const snapshotter = "overlayfs"

// Images implements server.Images. It is safe for concurrent use.
type Images struct {
	client *containerd.Client
	puller container.Puller
	reader resource.Reader
}

var _ server.Images = (*Images)(nil)

// NewImages returns the images of a containerd. Pulls go where the puller
// says; the rules for verification are read from the store.
func NewImages(client *containerd.Client, puller container.Puller, reader resource.Reader) *Images {
	return &Images{client: client, puller: puller, reader: reader}
}

// normalized gives a reference its full form: "alpine" means an image of the
// default registry.
func normalized(text string) (string, error) {
	named, err := reference.ParseDockerRef(text)
	if err != nil {
		return "", fmt.Errorf("parsing image reference %q: %w: %w", text, server.ErrInvalid, err)
	}
	return named.String(), nil
}

// List implements server.Images.
func (i *Images) List(ctx context.Context, namespace string) ([]server.Image, error) {
	ctx = namespaces.WithNamespace(ctx, namespace)
	list, err := i.client.ImageService().List(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing images of namespace %s: %w", namespace, err)
	}
	var all []server.Image
	for _, image := range list {
		size, err := containerd.NewImage(i.client, image).Size(ctx)
		if err != nil && !errdefs.IsNotFound(err) {
			return nil, fmt.Errorf("measuring image %s: %w", image.Name, err)
		}
		all = append(all, server.Image{
			Name:    image.Name,
			Digest:  image.Target.Digest.String(),
			Size:    size,
			Created: image.CreatedAt,
			Labels:  image.Labels,
		})
	}
	slices.SortFunc(all, func(a, b server.Image) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Import implements server.Images.
func (i *Images) Import(ctx context.Context, namespace string, archive io.Reader) (string, error) {
	ctx = namespaces.WithNamespace(ctx, namespace)
	imported, err := i.client.Import(ctx, archive)
	if err != nil {
		return "", err
	}
	if len(imported) == 0 {
		return "", fmt.Errorf("the archive has no image: %w", server.ErrInvalid)
	}
	for _, image := range imported {
		if err := containerd.NewImage(i.client, image).Unpack(ctx, snapshotter); err != nil {
			return "", fmt.Errorf("unpacking image %s: %w", image.Name, err)
		}
	}
	return imported[0].Name, nil
}

// Remove implements server.Images.
func (i *Images) Remove(ctx context.Context, namespace, ref string) error {
	name, err := normalized(ref)
	if err != nil {
		return err
	}
	ctx = namespaces.WithNamespace(ctx, namespace)
	return i.client.ImageService().Delete(ctx, name, images.SynchronousDelete())
}

// Verify implements server.Images. Without rules every image passes; rules
// cannot be applied yet.
func (i *Images) Verify(ctx context.Context, ref string, _ *server.ImageCredentials) (server.Verification, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return server.Verification{}, fmt.Errorf("parsing image reference %q: %w: %w", ref, server.ErrInvalid, err)
	}
	if err := i.withoutRules(ctx); err != nil {
		return server.Verification{}, err
	}
	return server.Verification{Verified: true, Message: "there are no rules for images", Reference: named.String()}, nil
}

// withoutRules fails when the configuration has rules for images: to say of one
// that it passes would be a lie.
func (i *Images) withoutRules(ctx context.Context) error {
	active, err := resource.Get[config.MachineConfig](ctx, i.reader, config.ActiveID)
	if errors.Is(err, resource.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the rules for images: %w", err)
	}
	cfg, err := machineconfig.Load([]byte(active.Spec.Text), machineconfig.Options{})
	if err != nil {
		return fmt.Errorf("reading the rules for images: %w", err)
	}
	if doc := machineconfig.Find[document.ImageVerificationConfig](cfg); doc != nil && len(doc.Rules) > 0 {
		return fmt.Errorf("the configuration has rules for images (ImageVerificationConfig), which this version cannot apply: nothing is verified: %w",
			errors.ErrUnsupported)
	}
	return nil
}
