package kubeupgrade

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/internal/controllers/k8s/apply"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/pkg/client"
)

// tokenManifest has the token with which nodes join, without its secret half: it
// is never applied from outside.
const tokenManifest = "00-kubelet-bootstrapping-token"

// syncManifests brings the objects that the system has in the cluster up to
// date, and waits until they are in effect.
func (u *upgrade) syncManifests(ctx context.Context) error {
	var manifests []map[string]any

	err := u.show.Do("read the system's objects", func(*steps.Step) error {
		// The node renders them again once it has its new configuration.
		return await(ctx, u.options.manifestsTimeout, func(ctx context.Context) (err error) {
			if manifests, err = u.manifests(ctx); err != nil {
				return err
			}

			return u.mentionsProxy(manifests)
		})
	})
	if err != nil {
		return err
	}

	err = u.show.Do("bring the system's objects up to date", func(step *steps.Step) error {
		return u.applier.Sync(ctx, manifests, apply.SyncOptions{
			Policy: apply.Policy(u.options.manifestPolicy), Force: u.options.manifestForce, Keep: u.options.manifestNoPrune,
			Say: func(format string, args ...any) { step.Detail(fmt.Sprintf(format, args...)) },
		})
	})
	if err != nil {
		return err
	}

	return u.show.Do("wait until they are in effect", func(step *steps.Step) error {
		for _, m := range manifests {
			object := &unstructured.Unstructured{Object: m}

			resource, ok := workloads()[object.GetKind()]
			if !ok {
				continue
			}

			step.Detail(object.GetName())

			err := await(ctx, u.options.manifestsTimeout, func(ctx context.Context) error {
				found, err := u.client.Resource(resource).Namespace(object.GetNamespace()).Get(ctx, object.GetName(), metav1.GetOptions{})
				if err != nil {
					return fmt.Errorf("reading %s %s: %w", object.GetKind(), object.GetName(), err)
				}

				return inEffect(found)
			})
			if err != nil {
				return err
			}
		}

		return nil
	})
}

// workloads are the kinds of objects that take a while to be in effect.
func workloads() map[string]schema.GroupVersionResource {
	group := schema.GroupVersion{Group: "apps", Version: "v1"}

	return map[string]schema.GroupVersionResource{
		"DaemonSet": group.WithResource("daemonsets"), "Deployment": group.WithResource("deployments"),
	}
}

// manifests are the objects that the first control plane node has for the
// cluster, without the ones that only nodes may write.
func (u *upgrade) manifests(ctx context.Context) ([]map[string]any, error) {
	i := slices.IndexFunc(u.nodes, func(n node) bool { return n.controlPlane })
	ctx, cancel := context.WithCancel(client.WithNode(ctx, u.nodes[i].address))

	defer cancel()

	definition := k8s.Manifest{}.Definition()

	stream, err := u.api.State.List(ctx, &cosiresource.ListRequest{Namespace: definition.Namespace, Type: definition.Type})
	if err != nil {
		return nil, fmt.Errorf("reading manifests: %w", err)
	}

	groups := map[string][]map[string]any{}

	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}

		if err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}

		object, err := objects.New(reply.GetResource())
		if err != nil {
			return nil, fmt.Errorf("reading manifests: %w", err)
		}

		var list []map[string]any
		if err := object.Decode(&list); err != nil {
			return nil, fmt.Errorf("reading manifest %s: %w", object.Meta.GetId(), err)
		}

		groups[object.Meta.GetId()] = list
	}

	delete(groups, tokenManifest)

	ids := make([]string, 0, len(groups))
	for id := range groups {
		ids = append(ids, id)
	}

	slices.Sort(ids)

	var all []map[string]any

	for _, id := range ids {
		for _, object := range groups[id] {
			all = append(all, numbers(object).(map[string]any))
		}
	}

	return all, nil
}

// numbers makes whole numbers what the Kubernetes libraries have for them.
func numbers(value any) any {
	switch value := value.(type) {
	case int:
		return int64(value)
	case uint64:
		return int64(value)
	case map[string]any:
		for key, inner := range value {
			value[key] = numbers(inner)
		}
	case []any:
		for i, inner := range value {
			value[i] = numbers(inner)
		}
	}

	return value
}

// mentionsProxy says whether the node has rendered its objects for the new
// version; without kube-proxy there is none that depends on it.
func (u *upgrade) mentionsProxy(manifests []map[string]any) error {
	for _, m := range manifests {
		object := &unstructured.Unstructured{Object: m}
		if object.GetKind() != "DaemonSet" || object.GetName() != "kube-proxy" {
			continue
		}

		containers, _, err := unstructured.NestedSlice(m, "spec", "template", "spec", "containers")
		if err != nil {
			return fmt.Errorf("reading the manifest of kube-proxy: %w", err)
		}

		if !strings.Contains(fmt.Sprint(containers), u.components[proxy].at(u.options.to)) {
			return errors.New("the node has kube-proxy still in its old version")
		}
	}

	return nil
}

// inEffect says what is missing until a workload runs as it is written.
func inEffect(object *unstructured.Unstructured) error {
	number := func(fields ...string) int64 {
		n, _, _ := unstructured.NestedInt64(object.Object, fields...) // what is missing is zero

		return n
	}

	name := object.GetKind() + " " + object.GetName()

	if number("status", "observedGeneration") < object.GetGeneration() {
		return fmt.Errorf("%s has not been looked at yet", name)
	}

	wanted, updated, available := number("spec", "replicas"), number("status", "updatedReplicas"), number("status", "availableReplicas")
	if object.GetKind() == "DaemonSet" {
		wanted = number("status", "desiredNumberScheduled")
		updated, available = number("status", "updatedNumberScheduled"), number("status", "numberAvailable")
	}

	if updated < wanted || available < wanted {
		return fmt.Errorf("%s: of %d pods, %d have the new version and %d are available", name, wanted, updated, available)
	}

	return nil
}
