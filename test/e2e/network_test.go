package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// podsTalkOverTheOverlay lets a pod on each node ask the other.
func podsTalkOverTheOverlay(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	pods := make([]*corev1.Pod, 2)
	for i, node := range []string{c.controlPlane().Name, c.worker().Name} {
		pods[i] = pod(fmt.Sprintf("on-%s", node), server())
		pods[i].Spec.NodeName = node

		if _, err := c.kube.CoreV1().Pods(ns).Create(t.Context(), pods[i], metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}

	for i := range pods {
		pods[i] = c.awaitPod(t, ns, pods[i].Name, "ready", podReady)
	}

	for i, from := range pods {
		to := pods[1-i]

		for protocol, port := range map[string]int{"http": netexecPort, "udp": netexecPort + 1} {
			eventually(t, podLimit, protocol+" over the overlay", func(ctx context.Context) error {
				return wants(to.Name)(c.dial(ctx, from, protocol, to.Status.PodIP, port, "hostname"))
			})
		}

		// Nobody in between hides who asks.
		seen, err := c.dial(t.Context(), from, "http", to.Status.PodIP, netexecPort, "clientip")
		if err := wantsPrefix(from.Status.PodIP+":")(seen, err); err != nil {
			t.Error(err)
		}
	}
}

// serviceAnswers asks a Deployment by each name that its Service has.
func serviceAnswers(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	c.deploy(t, ns, deployment("web", 2, podSpec(server())))

	service, err := c.kube.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: corev1.ServiceSpec{
			Type:     corev1.ServiceTypeNodePort,
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(netexecPort)}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	asker := c.runPod(t, ns, pod("asker", server()))

	for _, host := range []string{
		service.Spec.ClusterIP,
		"web",
		"web." + ns,
		"web." + ns + ".svc.cluster.local",
	} {
		eventually(t, podLimit, "service by "+host, func(ctx context.Context) error {
			return wantsPrefix("web-")(c.dial(ctx, asker, "http", host, 80, "hostname"))
		})
	}

	for _, node := range c.spec.Nodes {
		url := fmt.Sprintf("http://%s:%d/hostname", node.Address, service.Spec.Ports[0].NodePort)

		eventually(t, podLimit, "service by "+url, func(ctx context.Context) error {
			return wantsPrefix("web-")(fetch(ctx, url))
		})
	}
}

// deployment runs pods with the label app=name.
func deployment(name string, replicas int32, spec corev1.PodSpec) *appsv1.Deployment {
	labels := map[string]string{"app": name}

	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: spec},
		},
	}
}

// deploy makes a Deployment and waits until it is complete.
func (c *cluster) deploy(t *testing.T, namespace string, d *appsv1.Deployment) {
	t.Helper()

	if _, err := c.kube.AppsV1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}

	c.awaitDeployment(t, namespace, d.Name)
}

// awaitDeployment waits until all pods are available and of the latest kind.
func (c *cluster) awaitDeployment(t *testing.T, namespace, name string) {
	t.Helper()

	eventually(t, 2*podLimit, "deployment "+name, func(ctx context.Context) error {
		d, err := c.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}

		status := d.Status
		if want := *d.Spec.Replicas; status.ObservedGeneration < d.Generation || status.UpdatedReplicas != want ||
			status.AvailableReplicas != want || status.Replicas != want {
			return fmt.Errorf("%d replicas, %d updated, %d available, want %d", status.Replicas, status.UpdatedReplicas, status.AvailableReplicas, want)
		}

		return nil
	})
}

// fetch gets a page, over a connection of its own.
func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}

	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}

	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()

	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}

	return string(body), err
}
