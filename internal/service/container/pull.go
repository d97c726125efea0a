package container

import (
	"context"
	"fmt"
	"net/http"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/containerd/containerd/v2/core/remotes/docker/config"
	"github.com/containerd/errdefs"
)

// Credentials returns the user name and password for a registry host; both
// are empty when there are none.
type Credentials func(host string) (user, password string, err error)

// Puller fetches images as the node's registry configuration says.
type Puller struct {
	// HostsDir has a folder per registry with the mirrors to ask first, in the
	// form that containerd's CRI reads too.
	HostsDir    string
	Credentials Credentials // may be nil
	// Adapt gives each HTTP client what it needs to reach servers elsewhere; may
	// be nil.
	Adapt func(*http.Client) error
}

// Ensure returns an image and pulls it when it is not there. The containerd
// namespace is that of ctx.
func (p Puller) Ensure(ctx context.Context, client *containerd.Client, reference string) (containerd.Image, error) {
	image, err := client.GetImage(ctx, reference)

	switch {
	case errdefs.IsNotFound(err):
		return p.Pull(ctx, client, reference)
	case err != nil:
		return nil, fmt.Errorf("looking up image %s: %w", reference, err)
	}

	unpacked, err := image.IsUnpacked(ctx, snapshotter)
	if err != nil {
		// Content is missing, for example after an interrupted pull.
		return p.Pull(ctx, client, reference)
	}

	if !unpacked {
		if err := image.Unpack(ctx, snapshotter); err != nil {
			return nil, fmt.Errorf("unpacking image %s: %w", reference, err)
		}
	}

	return image, nil
}

// Pull fetches and unpacks an image, whether it is there or not.
func (p Puller) Pull(ctx context.Context, client *containerd.Client, reference string) (containerd.Image, error) {
	image, err := client.Pull(ctx, reference,
		containerd.WithPullUnpack,
		containerd.WithPullSnapshotter(snapshotter),
		containerd.WithResolver(p.Resolver(ctx)),
	)
	if err != nil {
		return nil, fmt.Errorf("pulling image %s: %w", reference, err)
	}

	return image, nil
}

// Resolver returns the registry client for this configuration.
func (p Puller) Resolver(ctx context.Context) remotes.Resolver {
	return docker.NewResolver(docker.ResolverOptions{
		Hosts: config.ConfigureHosts(ctx, config.HostOptions{
			HostDir:      config.HostDirFromRoot(p.HostsDir),
			Credentials:  p.Credentials,
			UpdateClient: p.Adapt,
		}),
	})
}
