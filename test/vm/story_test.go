package vm_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/payload"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/client"
	"github.com/basalt-os/basalt/pkg/machineconfig"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/test/vm"
)

// Limits of what machines in emulation do.
const (
	bootLimit    = 8 * time.Minute
	installLimit = 10 * time.Minute
	readyLimit   = 20 * time.Minute
	// upgradeLimit is for an upgrade with its boot, returnLimit for one that has
	// to fail as often as it may.
	upgradeLimit = 12 * time.Minute
	returnLimit  = 25 * time.Minute
)

// health makes machines judge a new version sooner than they usually do.
const health = `apiVersion: basalt.dev/v1alpha1
kind: BootHealthConfig
timeout: 90s
stableFor: 5s
`

// etcdVolume gives etcd a partition of its own.
const etcdVolume = `apiVersion: v1alpha1
kind: VolumeConfig
name: ETCD
provisioning: {minSize: 500MiB}
`

func settings(t *testing.T, patches ...string) provision.Settings {
	t.Helper()

	var s provision.Settings

	for _, text := range patches {
		patch, err := machineconfig.LoadPatch([]byte(text), machineconfig.Options{})
		if err != nil {
			t.Fatal(err)
		}

		s.Patches.All = append(s.Patches.All, patch)
	}

	return s
}

// installing are settings of machines that install what the build made.
func installing(s provision.Settings) provision.Settings {
	s.InstallDisk, s.InstallImage = "/dev/vda", payload.Image(version.Version)

	return s
}

// TestInstall takes a machine from an installation medium to a Ready node: as
// docs/install.md has it.
func TestInstall(t *testing.T) {
	options := vm.Options{Boot: provision.Boot{Source: provision.BootISO}, Memory: 3 << 30, Settings: installing(settings(t, etcdVolume))}
	c := start(t, options)
	m, api := c.Machines[0], c.API()

	installByHand(t, c, m, api)
	c.Step("bootstrap", func() {
		if err := provision.Bootstrap(t.Context(), api, c.Spec); err != nil {
			t.Fatal(err)
		}
	})

	kube := kubernetesOf(t, c, api)

	c.Step("the node is Ready", func() { awaitNodeReady(c, kube) })
	c.Step("a pod runs", func() { runPod(c, kube) })
	c.Step("volumes are mounted", func() { checkMounts(t, m, api) })
	c.Step("reboot past the firmware: STATE is there, the node comes back", func() {
		m.Console.Skip()
		m.Reboot(api, bootLimit)

		if !m.Said(`Starting new kernel`) {
			t.Error("the firmware has started the machine, though nothing has changed")
		}

		awaitNodeReady(c, kube)
	})
}

// checkMounts looks for the partitions that the machine has mounted, and for what
// lies over the root.
func checkMounts(t *testing.T, m *vm.Machine, api *client.Client) {
	t.Helper()

	text, err := m.ReadFile(t.Context(), api, "/proc/mounts")
	if err != nil {
		t.Fatal(err)
	}

	found := map[string]string{} // kinds of file systems, by place

	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 2 {
			found[fields[1]] = fields[2]
		}
	}

	for path, kind := range map[string]string{"/system/state": "xfs", "/var": "xfs", "/var/lib/etcd": "xfs", "/opt": "overlay"} {
		if found[path] != kind {
			t.Errorf("at %s there is %q, and not %s:\n%s", path, found[path], kind, text)
		}
	}
}

// installByHand takes a machine from a medium to its disk, by the API.
func installByHand(t *testing.T, c *vm.Cluster, m *vm.Machine, api *client.Client) {
	t.Helper()

	var insecure *client.Client

	c.Step("boot from a medium to maintenance mode", func() { insecure = m.AwaitMaintenance(bootLimit) })
	c.Step("look at disks", func() {
		disks, err := vm.Disks(t.Context(), insecure)
		if err != nil || !strings.Contains(strings.Join(disks, " "), "vda") {
			t.Errorf("disks %q, %v: vda is missing", disks, err)
		}
	})
	c.Step("apply the configuration", func() {
		_, err := client.Check(insecure.Machine.ApplyConfiguration(t.Context(), &machine.ApplyConfigurationRequest{Data: m.Config()}))
		if err != nil {
			t.Fatal(err)
		}
	})
	c.Step("install, and boot from the disk", func() { m.AwaitBooted(api, installLimit, runs(version.Version)) })
}

// kubernetesOf is a client for the cluster's Kubernetes.
func kubernetesOf(t *testing.T, c *vm.Cluster, api *client.Client) kubernetes.Interface {
	t.Helper()

	text, err := api.Kubeconfig(c.Machines[0].On(t.Context()))
	if err != nil {
		t.Fatal(err)
	}

	config, err := clientcmd.RESTConfigFromKubeConfig(text)
	if err != nil {
		t.Fatal(err)
	}

	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}

	return kube
}

func runPod(c *vm.Cluster, kube kubernetes.Interface) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "story", Namespace: metav1.NamespaceDefault},
		Spec: corev1.PodSpec{
			Tolerations: []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
			Containers:  []corev1.Container{{Name: "pause", Image: "registry.k8s.io/pause:3.10.2"}},
		},
	}

	c.Eventually(readyLimit, "the pod is made", func(ctx context.Context) error {
		_, err := kube.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})

		return err
	})
	c.Eventually(readyLimit, "the pod runs", func(ctx context.Context) error {
		found, err := kube.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if err == nil && found.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("it is %s", found.Status.Phase)
		}

		return err
	})
}

// awaitNodeReady waits until the kubelet of the only node has said after now
// that it is Ready.
func awaitNodeReady(c *vm.Cluster, kube kubernetes.Interface) {
	since := time.Now()

	c.Eventually(readyLimit, "the node is Ready", func(ctx context.Context) error {
		nodes, err := kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}

		for _, node := range nodes.Items {
			for _, condition := range node.Status.Conditions {
				if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue && condition.LastHeartbeatTime.After(since) {
					return nil
				}
			}
		}

		return errors.New("it is not")
	})
}
