package kubeupgrade

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/basalt-os/basalt/api/common"
	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/cli/objects"
	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/internal/controllers/k8s/apply"
	"github.com/basalt-os/basalt/internal/resources/config"
	"github.com/basalt-os/basalt/pkg/client"
)

// componentTimeout bounds how long a component may take to run in its new
// version on one node.
const componentTimeout = 10 * time.Minute

// pollPeriod is the pause between two looks, and pollTimeout bounds one.
const (
	pollPeriod  = time.Second
	pollTimeout = 10 * time.Second
)

var (
	nodeResource = corev1.SchemeGroupVersion.WithResource("nodes")
	podResource  = corev1.SchemeGroupVersion.WithResource("pods")
)

// node is a node of the cluster.
type node struct {
	name, address string
	controlPlane  bool
	kubelet       string // its version
}

// upgrade is one that is under way.
type upgrade struct {
	options    *options
	client     dynamic.Interface
	api        *client.Client
	components [componentCount]component
	nodes      []node
	applier    *apply.Applier
	show       *steps.Printer
}

// findNodes lists the nodes, control planes first.
func (u *upgrade) findNodes(ctx context.Context) ([]node, error) {
	list, err := u.client.Resource(nodeResource).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing the nodes of Kubernetes: %w", err)
	}

	var nodes []node

	for i := range list.Items {
		var object corev1.Node
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.Items[i].Object, &object); err != nil {
			return nil, fmt.Errorf("reading node %s: %w", list.Items[i].GetName(), err)
		}

		n := node{name: object.Name, kubelet: object.Status.NodeInfo.KubeletVersion}
		_, n.controlPlane = object.Labels["node-role.kubernetes.io/control-plane"]

		for _, address := range object.Status.Addresses {
			if address.Type == corev1.NodeInternalIP && n.address == "" {
				n.address = address.Address
			}
		}

		if n.address == "" {
			return nil, fmt.Errorf("node %s has no address", n.name)
		}

		nodes = append(nodes, n)
	}

	slices.SortStableFunc(nodes, func(a, b node) int {
		switch {
		case a.controlPlane == b.controlPlane:
			return 0
		case a.controlPlane:
			return -1
		default:
			return 1
		}
	})

	return nodes, nil
}

// version is the lowest that runs anywhere in the cluster.
func (u *upgrade) version(ctx context.Context) (string, error) {
	var versions []string

	for _, n := range u.nodes {
		versions = append(versions, n.kubelet)

		if !n.controlPlane {
			continue
		}

		for _, c := range u.components[:proxy] {
			pod, err := u.pod(ctx, c.name+"-"+n.name)
			if apierrors.IsNotFound(err) {
				continue // it may be switched off
			}

			if err != nil {
				return "", err
			}

			versions = append(versions, tagOf(pod.Spec.Containers[0].Image))
		}
	}

	return lowest(versions)
}

func (u *upgrade) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	object, err := u.client.Resource(podResource).Namespace(metav1.NamespaceSystem).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("reading pod %s: %w", name, err)
	}

	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &pod); err != nil {
		return nil, fmt.Errorf("reading pod %s: %w", name, err)
	}

	if len(pod.Spec.Containers) == 0 {
		return nil, fmt.Errorf("reading pod %s: it has no container", name)
	}

	return &pod, nil
}

// images are those that a node needs for the new version.
func (u *upgrade) images(n node) []string {
	var images []string

	for i, c := range u.components {
		if i == kubelet && !u.options.kubelets || i < proxy && !n.controlPlane {
			continue
		}

		images = append(images, c.at(u.options.to))
	}

	return images
}

// plan says what would be done.
func (u *upgrade) plan(out io.Writer) {
	if u.options.prePull {
		for _, n := range u.nodes {
			for _, image := range u.images(n) {
				fmt.Fprintf(out, "pull %s to %s\n", image, n.name)
			}
		}
	}

	for _, c := range u.components[:proxy] {
		for _, n := range u.nodes {
			if n.controlPlane {
				fmt.Fprintf(out, "run %s on %s\n", c.at(u.options.to), n.name)
			}
		}
	}

	fmt.Fprintf(out, "run %s on all nodes\n", u.components[proxy].at(u.options.to))

	if u.options.kubelets {
		for _, n := range u.nodes {
			fmt.Fprintf(out, "run %s on %s\n", u.components[kubelet].at(u.options.to), n.name)
		}
	}

	fmt.Fprintln(out, "bring the system's objects up to date")
}

func (u *upgrade) run(ctx context.Context) error {
	if u.options.prePull {
		for _, n := range u.nodes {
			if err := u.show.Do("pull images to "+n.name, func(step *steps.Step) error { return u.pull(ctx, step, n) }); err != nil {
				return err
			}
		}
	}

	for i, c := range u.components[:proxy] {
		for _, n := range u.nodes {
			if !n.controlPlane {
				continue
			}

			err := u.show.Do(c.name+" of "+n.name, func(step *steps.Step) error { return u.static(ctx, step, n, i) })
			if err != nil {
				return err
			}
		}
	}

	// Its pods follow with the manifests, which all control planes render.
	for _, n := range u.nodes {
		if n.controlPlane {
			if err := u.configure(ctx, n, proxy); err != nil {
				return err
			}
		}
	}

	if u.options.kubelets {
		for _, n := range u.nodes {
			if err := u.show.Do("kubelet of "+n.name, func(step *steps.Step) error { return u.kubelet(ctx, step, n) }); err != nil {
				return err
			}
		}
	}

	return u.syncManifests(ctx)
}

// pull has a node pull the images, where it keeps them.
func (u *upgrade) pull(ctx context.Context, step *steps.Step, n node) error {
	for _, image := range u.images(n) {
		step.Detail(image)

		instance := &common.ContainerdInstance{Driver: common.ContainerDriver_CRI, Namespace: common.ContainerdNamespace_NS_CRI}
		if image == u.components[kubelet].at(u.options.to) {
			instance.Namespace = common.ContainerdNamespace_NS_SYSTEM
		}

		stream, err := u.api.Image.Pull(client.WithNode(ctx, n.address),
			&machine.ImageServicePullRequest{Containerd: instance, ImageRef: image})

		for _, err := range client.Messages(stream, err) {
			if err != nil {
				return fmt.Errorf("pulling %s: %w", image, err)
			}
		}
	}

	return nil
}

// configure gives a component its new image in a node's configuration.
func (u *upgrade) configure(ctx context.Context, n node, i int) error {
	ctx = client.WithNode(ctx, n.address)
	definition := config.MachineConfig{}.Definition()

	reply, err := u.api.State.Get(ctx, &cosiresource.GetRequest{Namespace: definition.Namespace, Type: definition.Type, Id: config.ActiveID})
	if err != nil {
		return fmt.Errorf("reading the configuration of %s: %w", n.name, err)
	}

	object, err := objects.New(reply.GetResource())
	if err != nil {
		return fmt.Errorf("reading the configuration of %s: %w", n.name, err)
	}

	text, ok := object.Spec.(string)
	if !ok {
		return fmt.Errorf("reading the configuration of %s: the node does not give it as text", n.name)
	}

	next, err := setImage([]byte(text), u.components[i], u.components[i].at(u.options.to))
	if err != nil || bytes.Equal(next, []byte(text)) {
		return err
	}

	_, err = client.Check(u.api.Machine.ApplyConfiguration(ctx, &machine.ApplyConfigurationRequest{
		Data: next, Mode: machine.ApplyConfigurationRequest_NO_REBOOT,
	}))
	if err != nil {
		return fmt.Errorf("configuring %s: %w", n.name, err)
	}

	return nil
}

// static upgrades a static pod of a node and waits until it is ready.
func (u *upgrade) static(ctx context.Context, step *steps.Step, n node, i int) error {
	c := u.components[i]
	name := c.name + "-" + n.name

	_, err := u.pod(ctx, name)
	if apierrors.IsNotFound(err) {
		step.Detail("switched off")

		return u.configure(ctx, n, i)
	}

	if err != nil {
		return err
	}

	if err := u.configure(ctx, n, i); err != nil {
		return err
	}

	return await(ctx, componentTimeout, func(ctx context.Context) error {
		pod, err := u.pod(ctx, name)
		if err != nil {
			return err // the API server may be the one that restarts
		}

		step.Detail(string(pod.Status.Phase))

		if image := pod.Spec.Containers[0].Image; image != c.at(u.options.to) {
			return fmt.Errorf("pod %s still has the image %s", name, image)
		}

		if !ready(pod.Status.Conditions) {
			return fmt.Errorf("pod %s is not ready", name)
		}

		return nil
	})
}

func ready(conditions []corev1.PodCondition) bool {
	return slices.ContainsFunc(conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// kubelet upgrades the kubelet of a node and waits until the node is ready with
// it.
func (u *upgrade) kubelet(ctx context.Context, step *steps.Step, n node) error {
	if err := u.configure(ctx, n, kubelet); err != nil {
		return err
	}

	return await(ctx, componentTimeout, func(ctx context.Context) error {
		object, err := u.client.Resource(nodeResource).Get(ctx, n.name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("reading node %s: %w", n.name, err)
		}

		var found corev1.Node
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &found); err != nil {
			return fmt.Errorf("reading node %s: %w", n.name, err)
		}

		step.Detail(found.Status.NodeInfo.KubeletVersion)

		if version := found.Status.NodeInfo.KubeletVersion; version != "v"+u.options.to {
			return fmt.Errorf("its kubelet is still %s", version)
		}

		if !slices.ContainsFunc(found.Status.Conditions, func(c corev1.NodeCondition) bool {
			return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}) {
			return errors.New("the node is not ready")
		}

		return nil
	})
}

// tagOf is the version in the tag of an image.
func tagOf(image string) string {
	for i := len(image) - 1; i >= 0 && image[i] != '/'; i-- {
		if image[i] == ':' {
			return image[i+1:]
		}
	}

	return ""
}

// await calls check until it returns nil. After limit it fails with the last
// error.
func await(ctx context.Context, limit time.Duration, check func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not done within %s", limit))
	defer cancel()

	ticker := time.NewTicker(pollPeriod)
	defer ticker.Stop()

	for {
		attempt, stop := context.WithTimeout(ctx, pollTimeout)
		err := check(attempt)

		stop()

		if err == nil {
			return nil
		}

		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-ticker.C:
		}
	}
}
