package e2e

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
)

// errorBudget is how many of the probes may fail while a control plane stops
// and starts: a request that is under way on a connection to the API server
// that stops is cut off, and its client learns of it only then. A new attempt
// must succeed.
const errorBudget = 3

// TestHighAvailability tells the stories of three control planes.
func TestHighAvailability(t *testing.T) {
	c := create(t, layout{name: "e2e-ha", cidr: "10.72.0.0/24", controlPlanes: 3, workers: 1})

	sideBySide(t, c, "Healthy", []story{
		{"EtcdHasThreeVotingMembers", etcdHasThreeVotingMembers},
		{"CallsFanOut", callsFanOut},
		{"DaemonSetRunsOnEveryNode", daemonSetRunsOnEveryNode},
	})
	alone(t, c, "Disruption", []story{
		{"StoppedControlPlaneIsNotMissed", stoppedControlPlaneIsNotMissed},
		{"RemovedMemberJoinsAgain", removedMemberJoinsAgain},
	})
}

// etcdHasThreeVotingMembers looks at the members as each of them sees them.
func etcdHasThreeVotingMembers(t *testing.T, c *cluster) {
	for _, node := range c.nodes(provision.ControlPlane) {
		c.awaitMembers(t, node, c.controlPlanes)
	}
}

// stoppedControlPlaneIsNotMissed stops and starts a control plane, the leader
// of etcd, while somebody reads and writes all the time.
func stoppedControlPlaneIsNotMissed(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	node := c.leader(t)

	// Connections of its own, so that the load balancer chooses each time.
	fresh := rest.CopyConfig(c.rest)
	fresh.Timeout = 10 * time.Second

	ask := func(ctx context.Context) error {
		kube, err := kubernetes.NewForConfig(fresh)
		if err != nil {
			return err
		}

		_, err = kube.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})

		return err
	}
	stop := probe(t, ask)

	c.program(t, "cluster", "node", "stop", node.Name, "--name", c.name)
	c.assertOneFails(t, node.Address.String())

	for range 10 {
		if err := ask(t.Context()); err != nil {
			t.Errorf("with a control plane stopped: %v", err)
		}
	}

	begin := time.Now()

	c.program(t, "cluster", "node", "start", node.Name, "--name", c.name)
	eventually(t, bootLimit, "etcd on the node", func(ctx context.Context) error { return c.running(ctx, node, "etcd") })
	c.awaitReadySince(t, bootLimit, node.Name, begin)
	etcdHasThreeVotingMembers(t, c)

	answers, failures := stop()
	t.Logf("%d answers, %d failures", answers, len(failures))

	if answers == 0 || len(failures) > errorBudget {
		t.Errorf("%d answers and these failures, more than %d: %v", answers, errorBudget, errors.Join(failures...))
	}
}

// leader returns the control plane whose etcd leads.
func (c *cluster) leader(t *testing.T) provision.Node {
	t.Helper()

	for _, node := range c.nodes(provision.ControlPlane) {
		response, err := client.Check(c.api.Machine.EtcdStatus(on(t.Context(), node), &emptypb.Empty{}))
		if err != nil {
			t.Fatal(err)
		}

		if member := response.GetMessages()[0].GetMemberStatus(); member.GetMemberId() == member.GetLeader() {
			return node
		}
	}

	t.Fatal("no etcd leads")

	return provision.Node{}
}
