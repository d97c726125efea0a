// Package drain moves the pods of a Kubernetes node to other nodes, as
// "kubectl drain" does: the node is cordoned, and its pods are evicted when
// their disruption budgets allow it.
package drain

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// pause is how long to wait before pods are looked at again.
const pause = time.Second

// fieldManager is who changes nodes.
const fieldManager = "talos"

var (
	nodes     = corev1.SchemeGroupVersion.WithResource("nodes")
	pods      = corev1.SchemeGroupVersion.WithResource("pods")
	evictions = policyv1.SchemeGroupVersion.WithKind("Eviction")
)

// Cordon keeps new pods from a node, and gives it the annotations. It returns
// false for a node that has been cordoned before, by somebody else, or that
// does not exist; it is left as it is.
func Cordon(ctx context.Context, client dynamic.Interface, name string, annotations map[string]string) (bool, error) {
	node, err := client.Resource(nodes).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}

	if err != nil {
		return false, fmt.Errorf("cordoning node %s: %w", name, err)
	}

	if cordoned, _, _ := unstructured.NestedBool(node.Object, "spec", "unschedulable"); cordoned {
		return false, nil
	}

	patch := map[string]any{
		"metadata": map[string]any{"annotations": annotations}, "spec": map[string]any{"unschedulable": true},
	}
	if err := change(ctx, client, name, patch); err != nil {
		return false, fmt.Errorf("cordoning node %s: %w", name, err)
	}

	return true, nil
}

// Uncordon lets new pods come to a node again.
func Uncordon(ctx context.Context, client dynamic.Interface, name string) error {
	err := change(ctx, client, name, map[string]any{"spec": map[string]any{"unschedulable": nil}})
	if err != nil {
		return fmt.Errorf("taking the cordon of node %s back: %w", name, err)
	}

	return nil
}

// change patches a node: others write the same object all the time.
func change(ctx context.Context, client dynamic.Interface, name string, patch map[string]any) error {
	text, err := json.Marshal(patch)
	if err != nil {
		return fmt.Errorf("encoding patch: %w", err)
	}

	_, err = client.Resource(nodes).Patch(ctx, name, types.MergePatchType, text, metav1.PatchOptions{FieldManager: fieldManager})

	return err
}

// Pods evicts all pods of a node that can go elsewhere, and waits until they
// have gone. Pods that belong to the node stay: those of DaemonSets and static
// ones. So do those without a controller, which nobody would make anew, if the node
// comes back with what they have on it. It returns an error when ctx ends first.
// What happens is told to say, which may be nil.
func Pods(ctx context.Context, client dynamic.Interface, node string, comesBack bool, say func(format string, args ...any)) error {
	if say == nil {
		say = func(string, ...any) {}
	}

	for {
		list, err := client.Resource(pods).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		})
		if err != nil {
			return fmt.Errorf("draining node %s: listing its pods: %w", node, err)
		}

		left := 0

		for i := range list.Items {
			if staysOnNode(&list.Items[i], comesBack) {
				continue
			}

			left++

			if err := evict(ctx, client, &list.Items[i], say); err != nil {
				return fmt.Errorf("draining node %s: %w", node, err)
			}
		}

		if left == 0 {
			return nil
		}

		timer := time.NewTimer(pause)

		select {
		case <-ctx.Done():
			timer.Stop()

			return fmt.Errorf("draining node %s: waiting for %d pods to go: %w", node, left, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// staysOnNode reports whether a pod cannot or need not go elsewhere.
func staysOnNode(pod *unstructured.Unstructured, comesBack bool) bool {
	if pod.GetAnnotations()[corev1.MirrorPodAnnotationKey] != "" {
		return true
	}

	switch phase, _, _ := unstructured.NestedString(pod.Object, "status", "phase"); corev1.PodPhase(phase) {
	case corev1.PodSucceeded, corev1.PodFailed:
		return true
	}

	owner := metav1.GetControllerOf(pod)

	if owner == nil {
		return comesBack
	}

	return owner.Kind == "DaemonSet"
}

// evict asks for a pod to go. One that a disruption budget keeps is asked for
// again later.
func evict(ctx context.Context, client dynamic.Interface, pod *unstructured.Unstructured, say func(string, ...any)) error {
	if pod.GetDeletionTimestamp() != nil {
		return nil
	}

	eviction := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"namespace": pod.GetNamespace(), "name": pod.GetName()},
	}}
	eviction.SetGroupVersionKind(evictions)

	_, err := client.Resource(pods).Namespace(pod.GetNamespace()).Create(ctx, eviction, metav1.CreateOptions{}, "eviction")

	switch {
	case err == nil:
		say("evicted pod %s/%s", pod.GetNamespace(), pod.GetName())
	case apierrors.IsNotFound(err), apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		// It goes with its namespace, or has gone.
	case apierrors.IsTooManyRequests(err):
		say("pod %s/%s must stay for now: %v", pod.GetNamespace(), pod.GetName(), err)
	default:
		return fmt.Errorf("evicting pod %s/%s: %w", pod.GetNamespace(), pod.GetName(), err)
	}

	return nil
}
