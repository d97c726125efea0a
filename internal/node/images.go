package node

import (
	"context"
	"fmt"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"

	"github.com/basalt-os/basalt/internal/controllers/cri"
)

// ownImages are the images of the node's own containers, etcd and kubelet.
type ownImages struct{ client *containerd.Client }

// Images implements [cri.ImageStore].
func (o ownImages) Images(ctx context.Context) ([]cri.StoredImage, error) {
	list, err := o.client.ImageService().List(namespaces.WithNamespace(ctx, systemSpace))
	if err != nil {
		return nil, fmt.Errorf("listing images: %w", err)
	}

	var all []cri.StoredImage
	for _, image := range list {
		all = append(all, cri.StoredImage{Name: image.Name, Digest: image.Target.Digest.String()})
	}

	return all, nil
}

// RemoveImage implements [cri.ImageStore].
func (o ownImages) RemoveImage(ctx context.Context, name string) error {
	return o.client.ImageService().Delete(namespaces.WithNamespace(ctx, systemSpace), name, images.SynchronousDelete())
}
