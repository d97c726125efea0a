package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
)

// snapshotBringsTheClusterBack loses the data of the only control plane, and
// begins the cluster again with a snapshot: what was there before is there, what
// came after is not, and the worker that lived on belongs to the cluster.
func snapshotBringsTheClusterBack(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	node := c.controlPlane()
	file := filepath.Join(t.TempDir(), "etcd.snapshot")

	c.makeConfigMap(t, ns, "before")
	c.tell(t, node, "etcd", "snapshot", file)
	c.makeConfigMap(t, ns, "after")

	c.tell(t, node, "reset", "--graceful=false", "--reboot", "--system-labels-to-wipe", "EPHEMERAL")
	eventually(t, bootLimit, "etcd to wait for its beginning", func(ctx context.Context) error {
		info, err := c.service(ctx, node, "etcd")
		if err == nil && info.GetState() != "Preparing" {
			err = fmt.Errorf("it is %s", info.GetState())
		}

		return err
	})

	c.tell(t, node, "bootstrap", "--recover-from", file)

	took := eventually(t, bootLimit, "what was in the snapshot", func(ctx context.Context) error {
		_, err := c.kube.CoreV1().ConfigMaps(ns).Get(ctx, "before", metav1.GetOptions{})

		return err
	})
	t.Logf("the API server answers %s after the bootstrap", took)

	if _, err := c.kube.CoreV1().ConfigMaps(ns).Get(t.Context(), "after", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("what came after the snapshot: got %v, want that it is not found", err)
	}

	for _, node := range c.spec.Nodes {
		c.awaitReady(t, bootLimit, node.Name)
	}

	// The worker's kubelet knew objects of a later time; it must take new ones.
	p := pod("later", server())
	p.Spec.NodeName = c.worker().Name
	c.runPod(t, ns, p)
}

func (c *cluster) makeConfigMap(t *testing.T, namespace, name string) {
	t.Helper()

	_, err := c.kube.CoreV1().ConfigMaps(namespace).Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// removedMemberJoinsAgain loses a control plane node: its member is taken out of
// etcd by another, and the node, erased, joins again.
func removedMemberJoinsAgain(t *testing.T, c *cluster) {
	planes := c.nodes(provision.ControlPlane)
	lost, other := planes[2], planes[0]
	id := c.memberID(t, lost)

	c.program(t, "cluster", "node", "stop", lost.Name, "--name", c.name)
	c.tell(t, other, "etcd", "remove-member", id)

	for _, node := range planes[:2] {
		c.awaitMembers(t, node, 2)
	}

	// The node still has the data of the member that it was. Erased, it is new.
	c.program(t, "cluster", "node", "start", lost.Name, "--name", c.name)
	eventually(t, bootLimit, "API of the node", func(ctx context.Context) error { return version(on(ctx, lost))(c.api) })
	begin := time.Now()

	c.tell(t, lost, "reset", "--graceful=false", "--reboot", "--system-labels-to-wipe", "EPHEMERAL")

	eventually(t, bootLimit, "etcd on the node", func(ctx context.Context) error { return c.running(ctx, lost, "etcd") })
	c.awaitReadySince(t, bootLimit, lost.Name, begin)

	for _, node := range planes {
		c.awaitMembers(t, node, 3)
	}

	if now := c.memberID(t, lost); now == id {
		t.Error("the node came back as the member that was removed")
	}
}

// memberID is what etcd calls the member on a node, as its commands take it.
func (c *cluster) memberID(t *testing.T, node provision.Node) string {
	t.Helper()

	response, err := client.Check(c.api.Machine.EtcdStatus(on(t.Context(), node), &emptypb.Empty{}))
	if err != nil {
		t.Fatal(err)
	}

	return strconv.FormatUint(response.GetMessages()[0].GetMemberStatus().GetMemberId(), 16)
}

// awaitMembers waits until a node sees this many members, all of them voters.
func (c *cluster) awaitMembers(t *testing.T, node provision.Node, want int) {
	t.Helper()

	eventually(t, bootLimit, fmt.Sprintf("%d voting members as %s sees them", want, node.Name), func(ctx context.Context) error {
		response, err := client.Check(c.api.Machine.EtcdMemberList(on(ctx, node), &machine.EtcdMemberListRequest{QueryLocal: true}))
		if err != nil {
			return err
		}

		members := response.GetMessages()[0].GetMembers()
		for _, member := range members {
			if member.GetIsLearner() {
				err = errors.Join(err, fmt.Errorf("%s is a learner", member.GetHostname()))
			}
		}

		if len(members) != want {
			err = errors.Join(err, fmt.Errorf("there are %d", len(members)))
		}

		return err
	})
}
