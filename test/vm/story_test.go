package vm_test

import (
	"bytes"
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
	"github.com/basalt-os/basalt/internal/trial"
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
timeout: 2m
stableFor: 5s
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

// TestInstall takes a machine from an installation medium to a Ready node: as
// docs/install.md has it.
func TestInstall(t *testing.T) {
	requireFull(t)

	options := vm.Options{Boot: provision.Boot{Source: provision.BootISO}, Memory: 3 << 30, Settings: settings(t)}
	options.Settings.InstallDisk = "/dev/vda"
	options.Settings.InstallImage = payload.Image(version.Version)

	c := start(t, options)
	m, api := c.Machines[0], c.API()

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
	c.Step("install, and boot from the disk", func() {
		m.AwaitBooted(api, installLimit, func(entry string) bool { return strings.Contains(entry, version.Version) })
	})
	c.Step("bootstrap", func() {
		if err := provision.Bootstrap(t.Context(), api, c.Spec); err != nil {
			t.Fatal(err)
		}
	})
	c.Step("Kubernetes is healthy, the node Ready", func() {
		if err := provision.AwaitHealth(t.Context(), api, c.Spec, readyLimit, func(check string) { t.Log(check) }, func(string) {}); err != nil {
			t.Fatal(err)
		}
	})
	c.Step("a pod runs", func() { runPod(t, c, api) })
	c.Step("reboot: STATE is there, the node comes back", func() {
		m.Reboot(api, bootLimit)
		awaitNodeReady(t, c, api)
	})
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

func runPod(t *testing.T, c *vm.Cluster, api *client.Client) {
	t.Helper()

	kube := kubernetesOf(t, c, api)
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
func awaitNodeReady(t *testing.T, c *vm.Cluster, api *client.Client) {
	t.Helper()

	since := time.Now()

	c.Eventually(readyLimit, "the node is Ready", func(ctx context.Context) error {
		nodes, err := kubernetesOf(t, c, api).CoreV1().Nodes().List(ctx, metav1.ListOptions{})
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

// TestUpgrade brings other versions onto a machine: good ones stay, until they
// are rolled back; the machine returns by itself from those that are not. It is
// a control plane that nobody has bootstrapped: Kubernetes is not the point.
func TestUpgrade(t *testing.T) {
	requireFull(t)

	const good, panics, sick = "9.0.0", "9.1.0", "9.2.0"

	c := start(t, vm.Options{
		Images:    vm.Images(t, map[string]vm.Poison{good: vm.Healthy, panics: vm.KernelPanics, sick: vm.KubeletNever}),
		Injection: provision.InjectISO, Settings: settings(t, health),
	})
	m, api := c.Machines[0], c.API()
	runs := func(v string) func(string) bool {
		return func(entry string) bool { return strings.Contains(entry, v) }
	}

	c.Step("boot", func() { m.AwaitBooted(api, bootLimit, runs(version.Version)) })

	config := m.StoredConfig(api)

	c.Step("upgrade, and commit", func() {
		m.Upgrade(api, payload.Image(good))
		m.AwaitUpgrade(api, trial.Committed, payload.Image(good), upgradeLimit)
		m.AwaitBooted(api, bootLimit, runs(good))
	})
	c.Step("roll back", func() {
		if _, err := client.Check(api.Machine.Rollback(m.On(t.Context()), &machine.RollbackRequest{})); err != nil {
			t.Fatal(err)
		}

		m.AwaitBooted(api, bootLimit, runs(version.Version))
	})

	for _, bad := range []struct{ what, version string }{
		{"a kernel that panics", panics}, {"a kubelet that never becomes healthy", sick},
	} {
		c.Step("return from "+bad.what, func() {
			m.Upgrade(api, payload.Image(bad.version))
			status := m.AwaitUpgrade(api, trial.Returned, payload.Image(bad.version), returnLimit)
			m.AwaitBooted(api, bootLimit, runs(version.Version))

			if status.Reason == "" {
				t.Error("the machine does not say why")
			}

			t.Logf("the machine says after %d attempts: %s", status.Attempts, status.Reason)
		})
	}

	for i := range 5 {
		c.Step(fmt.Sprintf("power cut %d", i+1), func() { cutDuringUpgrade(t, c, m, api, good) })
	}

	if after := m.StoredConfig(api); !bytes.Equal(config, after) {
		t.Errorf("the configuration has changed:\n%s", after)
	}
}

// cutDuringUpgrade cuts the power at some moment of an upgrade. The machine has
// to come up by itself, with the old or the new version.
func cutDuringUpgrade(t *testing.T, c *vm.Cluster, m *vm.Machine, api *client.Client, to string) {
	t.Helper()

	m.Upgrade(api, payload.Image(to))

	after := time.Duration(c.Random.Int64N(int64(40 * time.Second)))
	t.Logf("cutting the power after %s", after.Round(time.Millisecond))

	select {
	case <-time.After(after):
	case <-t.Context().Done():
		t.Fatal(t.Context().Err())
	}

	m.PowerCut()
	m.PowerOn()

	m.AwaitBooted(api, bootLimit, func(entry string) bool {
		return strings.Contains(entry, to) || strings.Contains(entry, version.Version)
	})
}
