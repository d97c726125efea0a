package server_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/basalt-os/basalt/api/cluster"
	"github.com/basalt-os/basalt/internal/server"
)

func k8sNode(name, address string, ready corev1.ConditionStatus) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}},
		},
	}
}

func staticPod(component string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: component + "-cp", Labels: map[string]string{"k8s-app": component}},
		Status:     corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}
}

// healthy is a cluster of one control plane node and one worker.
func healthy() []runtime.Object {
	return []runtime.Object{
		k8sNode("cp", "10.0.0.1", corev1.ConditionTrue),
		k8sNode("worker", "10.0.0.2", corev1.ConditionTrue),
		staticPod("kube-apiserver"), staticPod("kube-controller-manager"), staticPod("kube-scheduler"),
		&appsv1.DaemonSet{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-proxy"},
			Status:     appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, NumberReady: 2},
		},
		&appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns"},
			Status:     appsv1.DeploymentStatus{ReadyReplicas: 2},
		},
	}
}

func (n *node) health(t *testing.T, request *cluster.HealthCheckRequest) (string, error) {
	t.Helper()
	stream, err := cluster.NewClusterServiceClient(n.conn).HealthCheck(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := collect(stream)
	var text strings.Builder
	for _, message := range messages {
		text.WriteString(message.GetMessage() + "\n")
	}
	return text.String(), err
}

func TestHealthCheck(t *testing.T) {
	n := newNode(t)
	n.members(1, 1)
	n.cluster.members = []server.Member{
		{Hostname: "cp", Addresses: []string{"10.0.0.1"}, ControlPlane: true},
		{Hostname: "worker", Addresses: []string{"10.0.0.2"}},
	}
	n.cluster.client = fake.NewClientset(healthy()...)
	told, err := n.health(t, &cluster.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err, told)
	}
	for _, want := range []string{
		`discovered nodes: control plane ["10.0.0.1"], worker ["10.0.0.2"]`,
		"waiting for etcd to be healthy: ...",
		"waiting for etcd to be healthy: OK",
		"waiting for all k8s nodes to report ready: OK",
		"waiting for all k8s nodes to report schedulable: OK",
	} {
		if !strings.Contains(told, want+"\n") {
			t.Errorf("%q was not told:\n%s", want, told)
		}
	}
}

func TestHealthCheckTellsWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*node)
		want   string
	}{
		{"no leader", func(n *node) { n.etcd.client.status.Leader = 0 }, "etcd has no leader"},
		{"missing member", func(n *node) {
			n.cluster.members = append(n.cluster.members, server.Member{Addresses: []string{"10.0.0.3"}, ControlPlane: true})
		}, "there are 1 etcd members and 2 control plane nodes"},
		{"learner", func(n *node) { n.etcd.client.members.Members[0].IsLearner = true }, "still a learner"},
		{"node not there", func(n *node) { n.cluster.client = fake.NewClientset(healthy()[:1]...) }, `no k8s node has the addresses ["10.0.0.2"]`},
		{"node not ready", func(n *node) {
			objects := healthy()
			objects[1] = k8sNode("worker", "10.0.0.2", corev1.ConditionFalse)
			n.cluster.client = fake.NewClientset(objects...)
		}, `nodes ["worker"] are not ready`},
		{"static pod missing", func(n *node) { n.cluster.client = fake.NewClientset(healthy()[:4]...) }, "kube-scheduler has 0 pods"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			n.members(1, 1)
			n.cluster.members = []server.Member{
				{Hostname: "cp", Addresses: []string{"10.0.0.1"}, ControlPlane: true},
				{Hostname: "worker", Addresses: []string{"10.0.0.2"}},
			}
			n.cluster.client = fake.NewClientset(healthy()...)
			test.change(n)
			told, err := n.health(t, &cluster.HealthCheckRequest{WaitTimeout: durationpb.New(200 * time.Millisecond)})
			wantCode(t, err, codes.DeadlineExceeded)
			if !strings.Contains(told, test.want) {
				t.Errorf("%q was not told:\n%s", test.want, told)
			}
		})
	}
}

func TestHealthCheckOnAWorkerEndsAtOnce(t *testing.T) {
	n := newNode(t)
	n.etcd.err = server.ErrPrecondition
	_, err := n.health(t, &cluster.HealthCheckRequest{ClusterInfo: &cluster.ClusterInfo{ControlPlaneNodes: []string{"10.0.0.1"}}})
	wantCode(t, err, codes.FailedPrecondition)
}
