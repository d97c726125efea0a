package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

const (
	agnhost = "registry.k8s.io/e2e-test-images/agnhost:2.63.0"
	// podLimit is how long a pod may take to run or to go on a busy machine.
	podLimit = 90 * time.Second
	// netexecPort is where agnhost's test server listens.
	netexecPort = 8080
)

// namespace makes a namespace for one story. It returns when pods can be made
// in it.
func (c *cluster) namespace(t *testing.T) string {
	t.Helper()

	made, err := c.kube.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "story-"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), podLimit)
		defer cancel()

		// Pods that nobody needs any more are not worth waiting for.
		if err := c.kube.CoreV1().Namespaces().Delete(ctx, made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})

	eventually(t, podLimit, "default service account", func(ctx context.Context) error {
		_, err := c.kube.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})

		return err
	})

	return made.Name
}

// container runs agnhost with these arguments.
func container(args ...string) corev1.Container {
	return corev1.Container{Name: "main", Image: agnhost, Args: args}
}

// server runs agnhost's test server; the pod is ready when it answers and no
// longer when it is told to end.
func server(args ...string) corev1.Container {
	c := container(append([]string{"netexec"}, args...)...)
	c.ReadinessProbe = &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/readyz", Port: intstr.FromInt32(netexecPort)}},
		PeriodSeconds: 1,
	}

	return c
}

// pod is a pod of these containers that goes quickly and may run anywhere.
func pod(name string, containers ...corev1.Container) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}},
		Spec:       podSpec(containers...),
	}
}

func podSpec(containers ...corev1.Container) corev1.PodSpec {
	grace := int64(1)

	return corev1.PodSpec{
		Containers:                    containers,
		TerminationGracePeriodSeconds: &grace,
		Tolerations:                   []corev1.Toleration{{Key: "node-role.kubernetes.io/control-plane", Operator: corev1.TolerationOpExists}},
	}
}

// runPod makes a pod and waits until it is ready.
func (c *cluster) runPod(t *testing.T, namespace string, pod *corev1.Pod) *corev1.Pod {
	t.Helper()

	if _, err := c.kube.CoreV1().Pods(namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	return c.awaitPod(t, namespace, pod.Name, "ready", podReady)
}

// awaitPod waits until a pod is as it should be.
func (c *cluster) awaitPod(t *testing.T, namespace, name, what string, is func(*corev1.Pod) bool) (found *corev1.Pod) {
	t.Helper()

	eventually(t, podLimit, fmt.Sprintf("pod %s/%s to be %s", namespace, name, what), func(ctx context.Context) (err error) {
		found, err = c.kube.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if err == nil && !is(found) {
			err = errors.New(describe(found))
		}

		return err
	})

	return found
}

// describe says in one line what a pod is doing.
func describe(pod *corev1.Pod) string {
	parts := []string{string(pod.Status.Phase)}

	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		switch {
		case status.State.Waiting != nil:
			parts = append(parts, status.Name+": "+status.State.Waiting.Reason+" "+status.State.Waiting.Message)
		case status.State.Terminated != nil:
			parts = append(parts, status.Name+": "+status.State.Terminated.Reason)
		}
	}

	return strings.Join(parts, "; ")
}

func podReady(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(condition corev1.PodCondition) bool {
		return condition.Type == corev1.PodReady && condition.Status == corev1.ConditionTrue
	})
}

// get asks a pod's server through the API server.
func (c *cluster) get(ctx context.Context, pod *corev1.Pod, port int, path string, params map[string]string) (string, error) {
	data, err := c.kube.CoreV1().Pods(pod.Namespace).ProxyGet("http", pod.Name, fmt.Sprint(port), path, params).DoRaw(ctx)

	return string(data), err
}

// dial lets a pod's test server ask another server, and returns its answer.
func (c *cluster) dial(ctx context.Context, from *corev1.Pod, protocol, host string, port int, request string) (string, error) {
	data, err := c.get(ctx, from, netexecPort, "dial", map[string]string{
		"host": host, "port": fmt.Sprint(port), "protocol": protocol, "request": request, "tries": "1",
	})
	if err != nil {
		return "", fmt.Errorf("asking pod %s: %w", from.Name, err)
	}

	var answer struct{ Responses, Errors []string }
	if err := json.Unmarshal([]byte(data), &answer); err != nil {
		return "", fmt.Errorf("pod %s said %q: %w", from.Name, data, err)
	}

	if len(answer.Responses) != 1 {
		return "", fmt.Errorf("pod %s on %s asking %s %s:%d for %s: %q", from.Name, from.Spec.NodeName, protocol, host, port, request, answer.Errors)
	}

	return answer.Responses[0], nil
}

// awaitReady waits until a Kubernetes node is ready.
func (c *cluster) awaitReady(t *testing.T, limit time.Duration, name string) time.Duration {
	t.Helper()

	return c.awaitReadySince(t, limit, name, time.Time{})
}

// awaitReadySince is awaitReady for a node that went down at a time: that it was
// ready before does not count.
func (c *cluster) awaitReadySince(t *testing.T, limit time.Duration, name string, since time.Time) time.Duration {
	t.Helper()

	return eventually(t, limit, "node "+name+" to be ready", func(ctx context.Context) error {
		node, err := c.kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}

		for _, condition := range node.Status.Conditions {
			// Times have seconds. A kubelet that starts says anew how it is.
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue &&
				!condition.LastHeartbeatTime.Time.Before(since.Truncate(time.Second)) {
				return nil
			}
		}

		return errors.New("it is not ready")
	})
}
