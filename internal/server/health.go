package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"google.golang.org/grpc"

	"github.com/basalt-os/basalt/api/cluster"
)

// Cluster knows the other nodes and reaches the Kubernetes API.
type Cluster interface {
	// Members returns the nodes that discovery has found, this one among them.
	Members(ctx context.Context) ([]Member, error)
	// Kubernetes returns a client with the rights of an administrator. An
	// empty endpoint means that of the cluster. It fails with ErrPrecondition
	// on a node that has no authority for it.
	Kubernetes(ctx context.Context, endpoint string) (kubernetes.Interface, error)
}

// Member is a node of the cluster.
type Member struct {
	Hostname     string
	Addresses    []string
	ControlPlane bool
}

// healthPeriod is the time between two looks at what is not healthy yet.
const healthPeriod = time.Second

// HealthCheck goes through the checks in order, waits for each to hold, and
// tells what it waits for.
func (s clusterService) HealthCheck(request *cluster.HealthCheckRequest, stream grpc.ServerStreamingServer[cluster.HealthCheckProgress]) error {
	ctx := stream.Context()
	if request.GetWaitTimeout() != nil {
		limited, cancel := context.WithTimeout(ctx, request.GetWaitTimeout().AsDuration())
		defer cancel()
		ctx = limited
	}
	tell := func(format string, arguments ...any) error {
		return stream.Send(&cluster.HealthCheckProgress{Message: fmt.Sprintf(format, arguments...)})
	}
	nodes, err := s.nodes(ctx, request.GetClusterInfo())
	if err != nil {
		return fmt.Errorf("finding nodes of the cluster: %w", err)
	}
	if err := tell("discovered nodes: control plane %q, worker %q", nodes.controlPlanes, nodes.workers); err != nil {
		return err
	}
	for _, check := range s.healthChecks(nodes, request.GetClusterInfo().GetForceEndpoint()) {
		if err := check.wait(ctx, tell); err != nil {
			return err
		}
	}
	return nil
}

// clusterNodes are the addresses of the nodes that must be there.
type clusterNodes struct {
	controlPlanes, workers []string
}

// nodes takes the nodes that the caller names, and otherwise those that
// discovery has found.
func (s *Server) nodes(ctx context.Context, info *cluster.ClusterInfo) (clusterNodes, error) {
	if len(info.GetControlPlaneNodes())+len(info.GetWorkerNodes()) > 0 {
		return clusterNodes{controlPlanes: info.GetControlPlaneNodes(), workers: info.GetWorkerNodes()}, nil
	}
	members, err := s.Cluster.Members(ctx)
	if err != nil {
		return clusterNodes{}, err
	}
	var nodes clusterNodes
	for _, member := range members {
		if len(member.Addresses) == 0 {
			return clusterNodes{}, fmt.Errorf("node %s has no address: %w", member.Hostname, ErrNotReady)
		}
		if member.ControlPlane {
			nodes.controlPlanes = append(nodes.controlPlanes, member.Addresses[0])
		} else {
			nodes.workers = append(nodes.workers, member.Addresses[0])
		}
	}
	return nodes, nil
}

// healthCheck is one condition of a healthy cluster.
type healthCheck struct {
	name string
	run  func(context.Context) error
}

// wait runs the check until it holds, and tells each new reason why it does
// not.
func (c healthCheck) wait(ctx context.Context, tell func(string, ...any) error) error {
	ticker := time.NewTicker(healthPeriod)
	defer ticker.Stop()
	said := "..."
	if err := tell("waiting for %s: %s", c.name, said); err != nil {
		return err
	}
	for {
		reason := c.run(ctx)
		if reason == nil {
			return tell("waiting for %s: OK", c.name)
		}
		if ctx.Err() == nil && reason.Error() != said {
			said = reason.Error()
			if err := tell("waiting for %s: %s", c.name, said); err != nil {
				return err
			}
		}
		if errors.Is(reason, ErrPrecondition) {
			return fmt.Errorf("checking %s: %w", c.name, reason)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %s: %w", c.name, said, ctx.Err())
		case <-ticker.C:
		}
	}
}

func (s *Server) healthChecks(nodes clusterNodes, endpoint string) []healthCheck {
	withKubernetes := func(f func(context.Context, kubernetes.Interface) error) func(context.Context) error {
		return func(ctx context.Context) error {
			client, err := s.Cluster.Kubernetes(ctx, endpoint)
			if err != nil {
				return err
			}
			return f(ctx, client)
		}
	}
	return []healthCheck{
		{"etcd to be healthy", s.etcdHealthy},
		{"etcd members to be consistent with the control plane nodes", func(ctx context.Context) error {
			return s.etcdConsistent(ctx, len(nodes.controlPlanes))
		}},
		{"all k8s nodes to report", withKubernetes(nodes.allReport)},
		{"all k8s nodes to report ready", withKubernetes(nodesReady)},
		{"all control plane static pods to be running", withKubernetes(nodes.staticPodsRun)},
		{"kube-proxy to report ready", withKubernetes(daemonSetReady("kube-proxy"))},
		{"coredns to report ready", withKubernetes(deploymentReady("coredns"))},
		{"all k8s nodes to report schedulable", withKubernetes(nodesSchedulable)},
	}
}

// etcdHealthy asks for a leader and that there are no alarms.
func (s *Server) etcdHealthy(ctx context.Context) error {
	return withEtcd(ctx, s.Etcd.Local, func(client EtcdClient) error {
		status, err := localStatus(ctx, client)
		if err != nil {
			return err
		}
		if status.Leader == 0 {
			return fmt.Errorf("etcd has no leader: %w", ErrNotReady)
		}
		alarms, err := client.AlarmList(ctx)
		if err != nil {
			return fmt.Errorf("listing etcd alarms: %w", err)
		}
		if len(alarms.Alarms) > 0 {
			return fmt.Errorf("etcd has %d alarms: %w", len(alarms.Alarms), ErrNotReady)
		}
		return nil
	})
}

// etcdConsistent compares the members as this node's member sees them with
// those the cluster agrees on, and with the number of control plane nodes.
func (s *Server) etcdConsistent(ctx context.Context, want int) error {
	local, err := s.etcdMembers(ctx, true)
	if err != nil {
		return err
	}
	agreed, err := s.etcdMembers(ctx, false)
	if err != nil {
		return err
	}
	if !slices.Equal(local, agreed) {
		return fmt.Errorf("this node sees the etcd members %q, the cluster %q: %w", local, agreed, ErrNotReady)
	}
	if len(agreed) != want {
		return fmt.Errorf("there are %d etcd members and %d control plane nodes: %w", len(agreed), want, ErrNotReady)
	}
	return nil
}

func (s *Server) etcdMembers(ctx context.Context, local bool) ([]string, error) {
	members, err := s.memberList(ctx, local)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, member := range members {
		if member.GetIsLearner() {
			return nil, fmt.Errorf("etcd member %s is still a learner: %w", member.GetHostname(), ErrNotReady)
		}
		names = append(names, member.GetHostname())
	}
	slices.Sort(names)
	return names, nil
}

// allReport wants a Kubernetes node at every address.
func (n clusterNodes) allReport(ctx context.Context, client kubernetes.Interface) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	known := map[string]bool{}
	for _, node := range list.Items {
		for _, address := range node.Status.Addresses {
			known[address.Address] = true
		}
	}
	var missing []string
	for _, address := range slices.Concat(n.controlPlanes, n.workers) {
		if !known[address] {
			missing = append(missing, address)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("no k8s node has the addresses %q: %w", missing, ErrNotReady)
	}
	return nil
}

// nodesThat fails with the names of the nodes that do not hold a condition.
func nodesThat(ctx context.Context, client kubernetes.Interface, what string, holds func(corev1.Node) bool) error {
	list, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("listing nodes: %w", err)
	}
	var others []string
	for _, node := range list.Items {
		if !holds(node) {
			others = append(others, node.Name)
		}
	}
	if len(others) > 0 {
		return fmt.Errorf("nodes %q are not %s: %w", others, what, ErrNotReady)
	}
	return nil
}

func nodesReady(ctx context.Context, client kubernetes.Interface) error {
	return nodesThat(ctx, client, "ready", func(node corev1.Node) bool {
		return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		})
	})
}

func nodesSchedulable(ctx context.Context, client kubernetes.Interface) error {
	return nodesThat(ctx, client, "schedulable", func(node corev1.Node) bool { return !node.Spec.Unschedulable })
}

// staticPodsRun wants every component of the control plane once per control
// plane node.
func (n clusterNodes) staticPodsRun(ctx context.Context, client kubernetes.Interface) error {
	for _, component := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		pods, err := client.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "k8s-app=" + component})
		if err != nil {
			return fmt.Errorf("listing pods of %s: %w", component, err)
		}
		var waiting []string
		for _, pod := range pods.Items {
			if !podReady(pod) {
				waiting = append(waiting, pod.Name)
			}
		}
		if len(waiting) > 0 {
			return fmt.Errorf("pods %s are not ready: %w", strings.Join(waiting, ", "), ErrNotReady)
		}
		if len(pods.Items) != len(n.controlPlanes) {
			return fmt.Errorf("%s has %d pods for %d control plane nodes: %w", component, len(pods.Items), len(n.controlPlanes), ErrNotReady)
		}
	}
	return nil
}

func podReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// daemonSetReady holds also when there is no such daemon set: the cluster may
// have been configured without it.
func daemonSetReady(name string) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, client kubernetes.Interface) error {
		set, err := client.AppsV1().DaemonSets(metav1.NamespaceSystem).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading daemon set %s: %w", name, err)
		}
		if set.Status.NumberReady < set.Status.DesiredNumberScheduled || set.Status.DesiredNumberScheduled == 0 {
			return fmt.Errorf("%d of %d pods of %s are ready: %w", set.Status.NumberReady, set.Status.DesiredNumberScheduled, name, ErrNotReady)
		}
		return nil
	}
}

// deploymentReady is daemonSetReady for deployments.
func deploymentReady(name string) func(context.Context, kubernetes.Interface) error {
	return func(ctx context.Context, client kubernetes.Interface) error {
		deployment, err := client.AppsV1().Deployments(metav1.NamespaceSystem).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading deployment %s: %w", name, err)
		}
		if !available(deployment) {
			return fmt.Errorf("%d of %d pods of %s are ready: %w", deployment.Status.ReadyReplicas, replicas(deployment), name, ErrNotReady)
		}
		return nil
	}
}

func available(deployment *appsv1.Deployment) bool {
	return deployment.Status.ReadyReplicas >= replicas(deployment)
}

func replicas(deployment *appsv1.Deployment) int32 {
	if deployment.Spec.Replicas == nil {
		return 1
	}
	return *deployment.Spec.Replicas
}
