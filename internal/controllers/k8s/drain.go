package k8s

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// drainOwner owns the resource that cordons the node.
const drainOwner = "k8s.Drain"

// drainPause is how long to wait before pods are looked at again.
const drainPause = time.Second

// Drain cordons the node, has the pods on it moved away and waits until they
// have gone, as their disruption budgets allow. Pods that belong to the node
// stay: those of DaemonSets and static ones. It returns an error when ctx ends
// first; a node that is not registered has nothing to drain.
func Drain(ctx context.Context, store *resource.Store, files KubeletFiles, logger *slog.Logger) error {
	name, err := derive.Find[k8s.Nodename](ctx, store, k8s.NodenameID)
	if err != nil || name == nil || name.Spec.SkipNodeRegistration {
		return err
	}

	cfg, err := nodeConfig(ctx, store, files)
	if err != nil {
		return fmt.Errorf("draining the node: %w", err)
	}

	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return fmt.Errorf("draining the node: connecting to Kubernetes: %w", err)
	}

	// So that the node stays cordoned as long as this process runs.
	err = store.Create(ctx, resource.New(k8s.NodeCordonedID, k8s.NodeCordonedSpec{}), drainOwner)
	if err != nil && !errors.Is(err, resource.ErrExists) {
		return fmt.Errorf("cordoning node %s: %w", name.Spec.Nodename, err)
	}

	// The kubelet and NodeApply write the same object.
	err = retry.RetryOnConflict(retry.DefaultBackoff, func() error { return cordon(ctx, client, name.Spec.Nodename) })
	if err != nil {
		return fmt.Errorf("cordoning node %s: %w", name.Spec.Nodename, err)
	}

	if err := evictAll(ctx, client, name.Spec.Nodename, logger); err != nil {
		return fmt.Errorf("draining node %s: %w", name.Spec.Nodename, err)
	}

	return nil
}

// cordon makes the node unschedulable until it runs again: NodeApply takes it
// back on a node that nothing asks to be cordoned.
func cordon(ctx context.Context, client kubernetes.Interface, name string) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}

	if err != nil {
		return err
	}

	if node.Spec.Unschedulable {
		return nil
	}

	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}

	node.Annotations[annotationCordoned] = "true"
	node.Spec.Unschedulable = true

	_, err = client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{FieldManager: "talos"})

	return err
}

func evictAll(ctx context.Context, client kubernetes.Interface, node string, logger *slog.Logger) error {
	for {
		pods, err := client.CoreV1().Pods(metav1.NamespaceAll).List(ctx, metav1.ListOptions{
			FieldSelector: fields.OneTermEqualSelector("spec.nodeName", node).String(),
		})
		if err != nil {
			return fmt.Errorf("listing its pods: %w", err)
		}

		left := slices.DeleteFunc(pods.Items, staysOnNode)
		if len(left) == 0 {
			return nil
		}

		for _, pod := range left {
			if err := evict(ctx, client, pod, logger); err != nil {
				return err
			}
		}

		timer := time.NewTimer(drainPause)

		select {
		case <-ctx.Done():
			timer.Stop()

			return fmt.Errorf("waiting for %d pods to go: %w", len(left), ctx.Err())
		case <-timer.C:
		}
	}
}

// staysOnNode reports whether a pod cannot or need not go elsewhere.
func staysOnNode(pod corev1.Pod) bool {
	if pod.Annotations[corev1.MirrorPodAnnotationKey] != "" ||
		pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return true
	}

	owner := metav1.GetControllerOf(&pod)

	return owner != nil && owner.Kind == "DaemonSet"
}

// evict asks for a pod to go. One that a disruption budget keeps is asked for
// again later.
func evict(ctx context.Context, client kubernetes.Interface, pod corev1.Pod, logger *slog.Logger) error {
	if pod.DeletionTimestamp != nil {
		return nil
	}

	err := client.CoreV1().Pods(pod.Namespace).EvictV1(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
	})

	switch {
	case err == nil:
		logger.Info("evicted pod", "namespace", pod.Namespace, "pod", pod.Name)
	case apierrors.IsNotFound(err):
	case apierrors.IsTooManyRequests(err):
		logger.Info("pod must stay for now", "namespace", pod.Namespace, "pod", pod.Name, "reason", err)
	default:
		return fmt.Errorf("evicting pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}

	return nil
}
