package drain_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/kubernetes/scheme"
	clienttesting "k8s.io/client-go/testing"

	"github.com/basalt-os/basalt/internal/drain"
)

var (
	nodes = corev1.SchemeGroupVersion.WithResource("nodes")
	pods  = corev1.SchemeGroupVersion.WithResource("pods")
)

func cordoned(t *testing.T, client *fake.FakeDynamicClient) (bool, map[string]string) {
	t.Helper()

	object, err := client.Resource(nodes).Get(t.Context(), "worker-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	var node corev1.Node
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &node); err != nil {
		t.Fatal(err)
	}

	return node.Spec.Unschedulable, node.Annotations
}

func TestCordon(t *testing.T) {
	t.Parallel()

	client := fake.NewSimpleDynamicClient(scheme.Scheme, &corev1.Node{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}, ObjectMeta: metav1.ObjectMeta{Name: "worker-1"},
	})

	for _, first := range []bool{true, false} {
		did, err := drain.Cordon(t.Context(), client, "worker-1", map[string]string{"why": "a test"})
		if err != nil || did != first {
			t.Errorf("got %v, %v, want %v", did, err, first)
		}
	}

	if is, annotations := cordoned(t, client); !is || annotations["why"] != "a test" {
		t.Errorf("got %v, %v", is, annotations)
	}

	if err := drain.Uncordon(t.Context(), client, "worker-1"); err != nil {
		t.Fatal(err)
	}

	if is, _ := cordoned(t, client); is {
		t.Error("it is still cordoned")
	}

	if did, err := drain.Cordon(t.Context(), client, "nobody", nil); did || err != nil {
		t.Errorf("a node that is not registered: %v, %v", did, err)
	}
}

func pod(name string, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
	}
	if change != nil {
		change(p)
	}

	return p
}

// A pod with a budget goes at the second attempt; pods of the node stay.
// ownedBy gives a pod a controller.
func ownedBy(kind string) func(*corev1.Pod) {
	yes := true

	return func(p *corev1.Pod) {
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: "owner", Controller: &yes}}
	}
}

func TestPods(t *testing.T) {
	t.Parallel()

	evicted := []string{"evicted pod default/budget", "evicted pod default/plain", "pod default/budget must stay for now: budget"}

	if diff := cmp.Diff(evicted, evictions(t, true)); diff != "" {
		t.Errorf("a node that comes back (-want +got):\n%s", diff)
	}

	if diff := cmp.Diff(append([]string{"evicted pod default/bare"}, evicted...), evictions(t, false)); diff != "" {
		t.Errorf("a node that does not come back (-want +got):\n%s", diff)
	}
}

// evictions is what draining a node says, in the order of the alphabet.
func evictions(t *testing.T, comesBack bool) []string {
	t.Helper()

	client := fake.NewSimpleDynamicClient(scheme.Scheme,
		pod("plain", ownedBy("ReplicaSet")), pod("budget", ownedBy("StatefulSet")), pod("bare", nil),
		pod("static", func(p *corev1.Pod) { p.Annotations = map[string]string{corev1.MirrorPodAnnotationKey: "x"} }),
		pod("done", func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
		pod("daemon", ownedBy("DaemonSet")))
	kept := false

	client.PrependReactor("create", "pods", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create, ok := action.(clienttesting.CreateActionImpl)
		if !ok || create.GetSubresource() != "eviction" {
			return false, nil, nil
		}

		if create.Name == "" {
			create.Name = create.GetObject().(metav1.Object).GetName()
		}

		if create.Name == "budget" && !kept {
			kept = true

			return true, nil, apierrors.NewTooManyRequests("budget", 1)
		}

		return true, nil, client.Tracker().Delete(pods, create.GetNamespace(), create.Name)
	})

	var said []string

	err := drain.Pods(t.Context(), client, "worker-1", comesBack, func(format string, args ...any) {
		said = append(said, fmt.Sprintf(format, args...))
	})
	if err != nil {
		t.Fatal(err)
	}

	slices.Sort(said)

	return said
}

func TestPodsThatStay(t *testing.T) {
	t.Parallel()

	now := metav1.Now()
	client := fake.NewSimpleDynamicClient(scheme.Scheme, pod("slow", func(p *corev1.Pod) {
		ownedBy("ReplicaSet")(p)
		p.DeletionTimestamp, p.Finalizers = &now, []string{"test/wait"}
	}))

	cause := errors.New("no time left")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)

	if err := drain.Pods(ctx, client, "worker-1", true, nil); !errors.Is(err, cause) {
		t.Errorf("got %v, want %v", err, cause)
	}
}
