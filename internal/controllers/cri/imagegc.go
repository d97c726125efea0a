package cri

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/distribution/reference"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/etcd"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
)

const (
	// imageInterval is how often the images are looked at.
	imageInterval = 15 * time.Minute
	// imageGrace is how long an image stays that nothing needs: it may have been
	// pulled for an upgrade that is about to come.
	imageGrace = 4 * time.Hour
)

// StoredImage is an image that the node has for itself.
type StoredImage struct {
	Name   string // reference or digest
	Digest string
}

// ImageStore is where the node's own images are; those of pods are the kubelet's
// to look after.
type ImageStore interface {
	Images(ctx context.Context) ([]StoredImage, error)
	RemoveImage(ctx context.Context, name string) error
}

// ImageGC removes images of etcd and the kubelet that an upgrade has left
// behind.
func ImageGC(store ImageStore, now func() time.Time) reconcile.Controller {
	unused := map[string]time.Time{}

	return derive.Act("cri.ImageGCController",
		[]reconcile.Input{derive.In[etcd.Spec](etcd.SpecID), derive.In[k8s.KubeletSpec](k8s.KubeletID)}, nil,
		func(ctx context.Context, rt *reconcile.Runtime) error {
			kubelet, err := derive.Find[k8s.KubeletSpec](ctx, rt, k8s.KubeletID)
			if err != nil || kubelet == nil {
				return err // while it is not known what is needed, everything is
			}

			member, err := derive.Find[etcd.Spec](ctx, rt, etcd.SpecID)
			if err != nil {
				return err
			}

			needed := []string{kubelet.Spec.Image}
			if member != nil {
				needed = append(needed, member.Spec.Image)
			}

			rt.RequeueAfter(imageInterval)

			images, err := store.Images(ctx)
			if err != nil {
				// The container runtime may be on its way.
				return reconcile.WaitingFor(resource.PointerOf[v1alpha1.Service]("containerd"), err.Error())
			}

			remove, err := collectable(images, needed, unused, now())
			if err != nil {
				return err
			}

			var errs []error

			for _, name := range remove {
				if err := store.RemoveImage(ctx, name); err != nil {
					errs = append(errs, fmt.Errorf("removing image %s: %w", name, err))

					continue
				}

				delete(unused, name)
				rt.Logger().Info("removed image that nothing needs", "image", name)
			}

			return errors.Join(errs...)
		})
}

// collectable are the names of images that nothing has needed for long enough.
// Unused remembers since when each of them is not needed. An image has several
// names, and is needed under all of them when it is under one.
func collectable(images []StoredImage, needed []string, unused map[string]time.Time, now time.Time) ([]string, error) {
	digests := map[string]bool{}

	for _, text := range needed {
		named, err := reference.ParseDockerRef(text)
		if err != nil {
			return nil, fmt.Errorf("parsing image reference %q: %w", text, err)
		}

		for _, image := range images {
			if image.Name == named.String() || image.Name == text {
				digests[image.Digest] = true
			}
		}
	}

	seen := map[string]bool{}

	var remove []string

	for _, image := range images {
		if digests[image.Digest] {
			continue
		}

		seen[image.Name] = true

		if _, ok := unused[image.Name]; !ok {
			unused[image.Name] = now
		}

		if now.Sub(unused[image.Name]) >= imageGrace {
			remove = append(remove, image.Name)
		}
	}

	// What is needed again, or gone, begins anew.
	for name := range unused {
		if !seen[name] {
			delete(unused, name)
		}
	}

	slices.Sort(remove)

	return remove, nil
}
