package e2e

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cgroup"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

const (
	// recoveryLimit is how long a killed service may be away. It is seconds on
	// an idle machine; the tests' machine is busy.
	recoveryLimit = 45 * time.Second
	// bootLimit is how long a node may take to boot and be ready.
	bootLimit = 3 * time.Minute
)

// killedServicesComeBack kills one service after the other, as the kernel does
// when memory is short, and looks at whether the node heals itself and pods
// live on.
func killedServicesComeBack(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	p := pod("witness", server())
	p.Spec.NodeName = c.controlPlane().Name
	witness := c.runPod(t, ns, p)

	for _, test := range []struct {
		service string
		group   string // where its process is, below the node's group
		program string
		works   func(context.Context) error
	}{
		{"apid", "system/apid", "apid", func(ctx context.Context) error { return version(on(ctx, c.worker()))(c.api) }},
		{"kubelet", "podruntime/kubelet", "kubelet", func(ctx context.Context) error {
			out, err := c.kubectl(ctx, "exec", "-n", ns, witness.Name, "--", "/agnhost", "--version")
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}

			return err
		}},
		{"containerd", "podruntime/runtime", "containerd", func(ctx context.Context) error {
			out, err := c.kubectl(ctx, "exec", "-n", ns, witness.Name, "--", "/agnhost", "--version")
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}

			return err
		}},
		{"etcd", "podruntime/etcd", "etcd", func(ctx context.Context) error {
			_, err := c.kube.CoreV1().Namespaces().Get(ctx, ns, metav1.GetOptions{})

			return err
		}},
	} {
		t.Run(test.service, func(t *testing.T) {
			node := c.controlPlane()
			before := c.process(t, node, test.group, test.program)

			if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}

			took := eventually(t, recoveryLimit, "service to come back", func(ctx context.Context) error {
				after := c.find(node, test.group, test.program)
				if after == 0 || after == before {
					return errors.New("there is no new process")
				}

				attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
				defer cancel()

				return errors.Join(c.running(attempt, node, test.service), test.works(attempt))
			})
			t.Logf("%s works again after %s", test.service, took)
		})
	}

	after := c.awaitPod(t, ns, witness.Name, "ready", podReady)
	if got := after.Status.ContainerStatuses[0]; got.RestartCount != 0 || got.ContainerID != witness.Status.ContainerStatuses[0].ContainerID {
		t.Errorf("the pod did not live on: %d restarts", got.RestartCount)
	}
}

// process returns a program's process on a node, as this machine sees it.
func (c *cluster) process(t *testing.T, node provision.Node, group, program string) int {
	t.Helper()

	pid := c.find(node, group, program)
	if pid == 0 {
		t.Fatalf("no process %s in control group %s of node %s", program, group, node.Name)
	}

	return pid
}

// find returns 0 when there is no such process.
func (c *cluster) find(node provision.Node, group, program string) int {
	tree, err := cgroup.Open(cgroup.Mountpoint)
	if err != nil {
		return 0
	}

	pids, err := tree.ProcessesBelow(filepath.Join(c.group(), node.Name, group))
	if err != nil {
		return 0
	}

	for _, pid := range pids {
		name, _, _ := strings.Cut(string(contents("/proc", fmt.Sprint(pid), "cmdline")), "\x00")
		if filepath.Base(name) == program {
			return pid
		}
	}

	return 0
}

// running says whether a service of a node runs and is well.
func (c *cluster) running(ctx context.Context, node provision.Node, service string) error {
	info, err := c.service(ctx, node, service)
	if err != nil {
		return err
	}

	if health := info.GetHealth(); info.GetState() != "Running" || !health.GetUnknown() && !health.GetHealthy() {
		return fmt.Errorf("service %s is %s: %s", service, info.GetState(), health.GetLastMessage())
	}

	return nil
}

// service asks a node for one of its services.
func (c *cluster) service(ctx context.Context, node provision.Node, service string) (*machine.ServiceInfo, error) {
	response, err := client.Check(c.api.Machine.ServiceList(on(ctx, node), &emptypb.Empty{}))
	if err != nil {
		return nil, err
	}

	list := response.GetMessages()[0].GetServices()

	i := slices.IndexFunc(list, func(info *machine.ServiceInfo) bool { return info.GetId() == service })
	if i < 0 {
		return nil, fmt.Errorf("there is no service %s", service)
	}

	return list[i], nil
}

// rebootedNodeReturns reboots the worker by API.
func rebootedNodeReturns(t *testing.T, c *cluster) {
	ns := c.namespace(t)
	node := c.worker()
	before := c.pid(t, node)

	p := pod("stays", server())
	p.Spec.NodeName = node.Name
	p.Spec.RestartPolicy = corev1.RestartPolicyAlways
	c.runPod(t, ns, p)

	begin := time.Now()

	if err := reboot(on(t.Context(), node))(c.api); err != nil {
		t.Fatal(err)
	}

	took := eventually(t, bootLimit, "node to be another", func(context.Context) error {
		if after := c.pid(t, node); after == 0 || after == before {
			return errors.New("it has not restarted")
		}

		return nil
	})
	took += eventually(t, bootLimit, "API of the node", func(ctx context.Context) error {
		return c.running(ctx, node, "kubelet")
	})
	took += c.awaitReadySince(t, bootLimit, node.Name, begin)
	t.Logf("the node is ready %s after the call", took)

	// The pod's container was ended with the node; the kubelet starts another.
	c.awaitPod(t, ns, "stays", "running in a new container", func(p *corev1.Pod) bool {
		return podReady(p) && p.Status.ContainerStatuses[0].RestartCount > 0
	})
}

// pid returns the process of a node's PID 1, 0 when it does not run.
func (c *cluster) pid(t *testing.T, node provision.Node) int {
	t.Helper()

	statuses, err := host.Nodes(t.Context(), c.folder)
	if err != nil {
		t.Fatal(err)
	}

	for _, status := range statuses {
		if status.Name == node.Name {
			return status.PID
		}
	}

	return 0
}

// stoppedNodeIsReportedAndReturns stops the worker and starts it again.
func stoppedNodeIsReportedAndReturns(t *testing.T, c *cluster) {
	node := c.worker()
	c.program(t, "cluster", "node", "stop", node.Name, "--name", c.name)

	if out := c.program(t, "cluster", "show", "--name", c.name); !strings.Contains(out, "stopped") {
		t.Errorf("the stopped node is not shown:\n%s", out)
	}

	c.assertOneFails(t, node.Address.String())

	begin := time.Now()

	c.program(t, "cluster", "node", "start", node.Name, "--name", c.name)

	eventually(t, bootLimit, "API of the node", func(ctx context.Context) error { return c.running(ctx, node, "kubelet") })
	c.awaitReadySince(t, bootLimit, node.Name, begin)
}

// stoppedClusterKeepsItsState stops everything; "cluster create" then finds the
// cluster there and starts it again.
func stoppedClusterKeepsItsState(t *testing.T, c *cluster) {
	ns := c.namespace(t)

	made, err := c.kube.CoreV1().ConfigMaps(ns).Create(t.Context(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}

	c.program(t, "cluster", "stop", "--name", c.name)

	begin := time.Now()

	if out := c.program(t, "cluster", "create", "--name", c.name); !strings.Contains(out, "exists already") {
		t.Errorf("create does not say that the cluster exists:\n%s", out)
	}

	t.Logf("the cluster is healthy %s after its start", time.Since(begin).Round(time.Second))

	got, err := c.kube.CoreV1().ConfigMaps(ns).Get(t.Context(), "kept", metav1.GetOptions{})
	if err != nil || got.UID != made.UID {
		t.Errorf("what was in the cluster is not there any more: %v", err)
	}
}

// program runs basaltctl and returns what it printed.
func (c *cluster) program(t *testing.T, args ...string) string {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), createLimit)
	defer cancel()

	out, err := c.basaltctl(ctx, args...)
	if err != nil {
		t.Fatalf("basaltctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}

	return out
}

// createFindsTheCluster creates the cluster a second time.
func createFindsTheCluster(t *testing.T, c *cluster) {
	before := c.pid(t, c.controlPlane())

	out := c.program(t, "cluster", "create", "--name", c.name, "--workers", "1", "--memory", "1GiB")
	if !strings.Contains(out, "exists already") || !strings.Contains(out, "created: --memory has no effect") {
		t.Errorf("got:\n%s", out)
	}

	if after := c.pid(t, c.controlPlane()); after != before {
		t.Error("the cluster was started again")
	}
}

// createSaysWhatIsWrongAtOnce asks for clusters that cannot be.
func createSaysWhatIsWrongAtOnce(t *testing.T, c *cluster) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"RangeOfAnotherCluster", []string{"--name", "e2e-other", "--cidr", c.cidr}, "is used by cluster \"" + c.name + "\""},
		{"Name", []string{"--name", "E2E_other", "--cidr", "10.73.0.0/24"}, "cluster name"},
		{"TooSmallRange", []string{"--name", "e2e-other", "--cidr", "10.73.0.0/29", "--workers", "20"}, "no room"},
		{"NoImages", []string{"--name", "e2e-other", "--cidr", "10.73.0.0/24", "--images", "/nonexistent"}, "/nonexistent is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			defer cancel()

			out, err := c.basaltctl(ctx, append([]string{"cluster", "create"}, test.args...)...)
			if err == nil || !strings.Contains(out, test.want) {
				t.Errorf("got %v and\n%s\nwant %q", err, out, test.want)
			}
		})
	}

	if out := c.program(t, "cluster", "list"); strings.Contains(out, "other") {
		t.Errorf("something was made:\n%s", out)
	}
}
