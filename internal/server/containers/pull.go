package containers

import (
	"context"
	"sync"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/remotes"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/basalt-os/basalt/internal/server"
)

// progressPeriod is the time between two looks at a pull.
const progressPeriod = 200 * time.Millisecond

// criManaged marks images that the container runtime interface shows to the
// kubelet.
const criManaged = "io.cri-containerd.image"

// Pull implements server.Images.
func (i *Images) Pull(ctx context.Context, namespace, ref string, progress func(server.LayerProgress)) (string, error) {
	name, err := normalized(ref)
	if err != nil {
		return "", err
	}
	ctx = namespaces.WithNamespace(ctx, namespace)
	ctx, done, err := i.client.WithLease(ctx)
	if err != nil {
		return "", err
	}
	defer done(context.WithoutCancel(ctx)) //nolint:errcheck // the lease ends by itself

	layers := &layers{store: i.client.ContentStore(), started: time.Now()}
	options := []containerd.RemoteOpt{
		containerd.WithPullUnpack,
		containerd.WithPullSnapshotter(snapshotter),
		containerd.WithResolver(i.puller.Resolver(ctx)),
		containerd.WithImageHandler(layers.handler()),
	}
	if namespace == podNamespace {
		options = append(options, containerd.WithPullLabel(criManaged, "managed"))
	}
	var watch sync.WaitGroup
	watching, stop := context.WithCancel(ctx)
	if progress != nil {
		watch.Go(func() { layers.watch(watching, progress) })
	}
	image, err := i.client.Pull(ctx, name, options...)
	stop()
	watch.Wait()
	if err != nil {
		return "", err
	}
	if progress != nil {
		layers.finish(progress)
	}
	return image.Name() + "@" + image.Target().Digest.String(), nil
}

// layers follows the layers of one pull.
type layers struct {
	store   content.Store
	started time.Time

	mu    sync.Mutex
	known []*layer
}

type layer struct {
	descriptor ocispec.Descriptor
	existed    bool
	done       bool
	said       server.LayerProgress // what was told last, without the time
}

// handler learns of the layers as the pull finds them.
func (l *layers) handler() images.Handler {
	return images.HandlerFunc(func(ctx context.Context, descriptor ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		if images.IsLayerType(descriptor.MediaType) {
			_, err := l.store.Info(ctx, descriptor.Digest)
			l.mu.Lock()
			defer l.mu.Unlock()
			l.known = append(l.known, &layer{descriptor: descriptor, existed: err == nil})
		}
		return nil, nil
	})
}

// watch tells what is new until the context ends.
func (l *layers) watch(ctx context.Context, progress func(server.LayerProgress)) {
	ticker := time.NewTicker(progressPeriod)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		statuses, err := l.store.ListStatuses(ctx)
		if err != nil {
			continue // the next look may find more
		}
		offsets := map[string]int64{}
		for _, status := range statuses {
			offsets[status.Ref] = status.Offset
		}
		l.look(ctx, offsets, progress)
	}
}

// look compares the layers with how far the downloads are.
func (l *layers) look(ctx context.Context, offsets map[string]int64, progress func(server.LayerProgress)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, layer := range l.known {
		now := server.LayerProgress{Layer: layer.descriptor.Digest.String(), Total: layer.descriptor.Size}
		offset, loading := offsets[remotes.MakeRefKey(ctx, layer.descriptor)]
		switch {
		case layer.existed:
			now.Status, now.Offset = server.LayerExists, now.Total
		case loading:
			now.Status, now.Offset = server.LayerDownloading, offset
		case l.stored(ctx, layer.descriptor.Digest):
			// What has been told as loaded is being unpacked by now.
			now.Status, now.Offset = server.LayerDownloaded, now.Total
			if layer.done {
				now.Status = server.LayerExtracting
			}
			layer.done = true
		default:
			continue
		}
		l.tell(layer, now, progress)
	}
}

func (l *layers) stored(ctx context.Context, digest digest.Digest) bool {
	_, err := l.store.Info(ctx, digest)
	return err == nil
}

func (l *layers) tell(layer *layer, now server.LayerProgress, progress func(server.LayerProgress)) {
	if now == layer.said {
		return
	}
	layer.said = now
	now.Elapsed = time.Since(l.started)
	progress(now)
}

// finish tells the end of every layer.
func (l *layers) finish(progress func(server.LayerProgress)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, layer := range l.known {
		status := server.LayerExtracted
		if layer.existed {
			status = server.LayerExists
		}
		total := layer.descriptor.Size
		l.tell(layer, server.LayerProgress{Layer: layer.descriptor.Digest.String(), Status: status, Offset: total, Total: total}, progress)
	}
}
