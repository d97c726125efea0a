package e2e

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/basalt-os/basalt/pkg/provision"
)

// tell runs a command about a node and returns what it printed.
func (c *cluster) tell(t *testing.T, node provision.Node, args ...string) string {
	t.Helper()

	return c.program(t, append(args, "--nodes", node.Address.String())...)
}

// resetWorkerReturnsAsNew erases all that the worker has. It takes its
// configuration from its platform again, gets new certificates and joins.
func resetWorkerReturnsAsNew(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	node := c.worker()
	before := c.pid(t, node)

	// Something with a trace on the node's disk.
	p := pod("traced", server())
	p.Spec.NodeName = node.Name
	c.runPod(t, ns, p)

	begin := time.Now()

	out := c.tell(t, node, "reset", "--reboot")
	if !strings.Contains(out, "drain") {
		t.Errorf("the progress does not show that pods are moved:\n%s", out)
	}

	eventually(t, bootLimit, "node to be another", func(context.Context) error {
		if after := c.pid(t, node); after == 0 || after == before {
			return errors.New("it has not restarted")
		}

		return nil
	})
	eventually(t, bootLimit, "API of the node", func(ctx context.Context) error { return c.running(ctx, node, "kubelet") })
	c.awaitReadySince(t, bootLimit, node.Name, begin)
	c.awaitSchedulable(t, node)

	// A bare pod is not moved but removed.
	eventually(t, podLimit, "pod to be gone", func(ctx context.Context) error {
		list, err := c.kube.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		if err == nil && len(list.Items) > 0 {
			err = errors.New(describe(&list.Items[0]))
		}

		return err
	})

	p = pod("fresh", server())
	p.Spec.NodeName = node.Name
	c.runPod(t, ns, p)
}

// awaitSchedulable waits until the cordon of a drain is taken back.
func (c *cluster) awaitSchedulable(t *testing.T, node provision.Node) {
	t.Helper()

	eventually(t, bootLimit, "node to take pods", func(ctx context.Context) error {
		found, err := c.kube.CoreV1().Nodes().Get(ctx, node.Name, metav1.GetOptions{})
		if err == nil && found.Spec.Unschedulable {
			err = errors.New("it is cordoned")
		}

		return err
	})
}

// resetWorkerStaysAway erases the worker and powers it off: the command that a
// node is taken out of service with. Its pods run elsewhere before it ends.
func resetWorkerStaysAway(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	node := c.worker()

	c.deployMovable(t, ns, node)
	c.tell(t, node, "reset")

	if out := c.program(t, "cluster", "show", "--name", c.name); !strings.Contains(out, "stopped") {
		t.Errorf("the node is not shown as stopped:\n%s", out)
	}

	c.awaitMoved(t, ns)
	begin := time.Now()

	c.program(t, "cluster", "node", "start", node.Name, "--name", c.name)
	eventually(t, bootLimit, "API of the node", func(ctx context.Context) error { return c.running(ctx, node, "kubelet") })
	c.awaitReadySince(t, bootLimit, node.Name, begin)
	c.awaitSchedulable(t, node)
}

// rebootMovesPodsBefore restarts the worker as an operator with a care does:
// its pods run elsewhere before it goes down, and it takes pods again when it is
// back.
func rebootMovesPodsBefore(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	node := c.worker()
	before := c.pid(t, node)

	c.deployMovable(t, ns, node)

	begin := time.Now()

	out := c.tell(t, node, "reboot", "--drain")
	if !strings.Contains(out, "move its pods") {
		t.Errorf("the progress does not show that pods are moved:\n%s", out)
	}

	c.awaitMoved(t, ns)

	if after := c.pid(t, node); after == before {
		t.Error("the node has not restarted")
	}

	found, err := c.kube.CoreV1().Nodes().Get(t.Context(), node.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}

	if found.Spec.Unschedulable {
		t.Error("the node is still cordoned")
	}

	c.awaitReadySince(t, bootLimit, node.Name, begin)
}

// deployMovable runs a pod that prefers a node, but may run elsewhere.
func (c *cluster) deployMovable(t *testing.T, namespace string, node provision.Node) {
	t.Helper()

	d := deployment("movable", 1, podSpec(server()))
	d.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 100, Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{
				Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node.Name},
			}}},
		}},
	}}
	c.deploy(t, namespace, d)
}

// awaitMoved waits until that pod runs on the control plane.
func (c *cluster) awaitMoved(t *testing.T, namespace string) {
	t.Helper()

	eventually(t, podLimit, "deployment to run on the other node", func(ctx context.Context) error {
		list, err := c.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}

		for i := range list.Items {
			if p := &list.Items[i]; podReady(p) && p.Spec.NodeName == c.controlPlane().Name {
				return nil
			}
		}

		return errors.New("no pod of it is ready there")
	})
}
