package containers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"

	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/security"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/service/container"
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

// Verify implements server.Images. The first rule whose pattern matches
// decides; an image that no rule names passes.
func (i *Images) Verify(ctx context.Context, ref string, _ *server.ImageCredentials) (server.Verification, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return server.Verification{}, fmt.Errorf("parsing image reference %q: %w: %w", ref, server.ErrInvalid, err)
	}
	rules, err := resource.List[security.ImageVerificationRule](ctx, i.reader)
	if err != nil {
		return server.Verification{}, fmt.Errorf("listing rules for images: %w", err)
	}
	result := server.Verification{Verified: true, Message: "no rule applies", Reference: named.String()}
	for _, rule := range rules {
		matches, err := path.Match(rule.Spec.ImagePattern, named.Name())
		if err != nil {
			return server.Verification{}, fmt.Errorf("matching pattern of rule %s: %w", rule.Meta.ID, err)
		}
		switch {
		case !matches:
			continue
		case rule.Spec.Deny:
			result.Verified, result.Message = false, fmt.Sprintf("rule %s denies the image", rule.Meta.ID)
		case rule.Spec.Skip:
			result.Message = fmt.Sprintf("rule %s asks for no verification", rule.Meta.ID)
		default:
			return server.Verification{}, fmt.Errorf("rule %s asks for a signature, which this version cannot check: %w", rule.Meta.ID, errors.ErrUnsupported)
		}
		return result, nil
	}
	return result, nil
}
