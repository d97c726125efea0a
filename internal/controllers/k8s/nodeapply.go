package k8s

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	jsonpatch "github.com/evanphx/json-patch/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/basalt-os/basalt/internal/controllers/derive"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
)

// Annotations that remember what of the Node object is the machine's own, so
// that it can be taken away again.
const (
	annotationOwnedLabels      = "talos.dev/owned-labels"
	annotationOwnedAnnotations = "talos.dev/owned-annotations"
	annotationOwnedTaints      = "talos.dev/owned-taints"
	// annotationCordoned marks a node that the machine made unschedulable.
	annotationCordoned = "talos.dev/cordoned"
)

// desiredNode is what the Node object shall have.
type desiredNode struct {
	labels      map[string]string
	annotations map[string]string
	taints      map[string]k8s.NodeTaintSpec
	cordoned    bool
}

// nodeInterval is how often the Node object is put right although nothing here
// has changed.
const nodeInterval = 30 * time.Second

// NodeApply gives the Node object its labels, annotations and taints, and
// cordons it.
func NodeApply(files KubeletFiles) reconcile.Controller {
	inputs := append([]reconcile.Input{
		derive.In[k8s.Nodename](k8s.NodenameID),
		reconcile.In[k8s.NodeStatus](),
		reconcile.In[k8s.NodeLabelSpec](),
		reconcile.In[k8s.NodeAnnotationSpec](),
		reconcile.In[k8s.NodeTaintSpec](),
		reconcile.In[k8s.NodeCordonedSpec](),
	}, credentialInputs()...)

	return derive.Act("k8s.NodeApplyController", inputs, nil, func(ctx context.Context, rt *reconcile.Runtime) error {
		name, err := derive.Need[k8s.Nodename](ctx, rt, k8s.NodenameID)
		if err != nil || name.Spec.SkipNodeRegistration {
			return err
		}

		want, err := readDesired(ctx, rt)
		if err != nil {
			return err
		}

		cfg, err := nodeConfig(ctx, rt, files)
		if err != nil {
			return err
		}

		client, err := kubernetes.NewForConfig(cfg)
		if err != nil {
			return fmt.Errorf("connecting to Kubernetes: %w", err)
		}

		if err := apiReady(ctx, rt, client); err != nil {
			return err
		}

		rt.RequeueAfter(nodeInterval)

		return putNode(ctx, rt, client, name.Spec.Nodename, want)
	})
}

func putNode(ctx context.Context, rt *reconcile.Runtime, client kubernetes.Interface, name string, want desiredNode) error {
	node, err := client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		rt.RequeueAfter(apiPause)

		return reconcile.WaitingFor(resource.PointerOf[k8s.NodeStatus](name), "the node is not registered")
	}

	if err != nil {
		return fmt.Errorf("reading node %s: %w", name, err)
	}

	patch, err := want.patch(node)
	if err != nil || patch == nil {
		return err
	}

	_, err = client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "talos"})
	if apierrors.IsConflict(err) {
		rt.RequeueAfter(apiPause)

		return nil
	}

	if err != nil {
		return fmt.Errorf("updating node %s: %w", name, err)
	}

	return nil
}

func readDesired(ctx context.Context, rt *reconcile.Runtime) (desiredNode, error) {
	want := desiredNode{labels: map[string]string{}, annotations: map[string]string{}, taints: map[string]k8s.NodeTaintSpec{}}

	labels, err := resource.List[k8s.NodeLabelSpec](ctx, rt)
	if err != nil {
		return want, err
	}

	for _, l := range labels {
		want.labels[l.Spec.Key] = l.Spec.Value
	}

	annotations, err := resource.List[k8s.NodeAnnotationSpec](ctx, rt)
	if err != nil {
		return want, err
	}

	for _, a := range annotations {
		want.annotations[a.Spec.Key] = a.Spec.Value
	}

	taints, err := resource.List[k8s.NodeTaintSpec](ctx, rt)
	if err != nil {
		return want, err
	}

	for _, t := range taints {
		want.taints[t.Spec.Key] = t.Spec
	}

	cordons, err := resource.List[k8s.NodeCordonedSpec](ctx, rt)
	want.cordoned = len(cordons) > 0

	return want, err
}

// patch returns what has to change at the node as a merge patch, nil when it is
// nothing. It names nothing else, so that it cannot undo what somebody else has
// changed since the node was read; only taints are a list, which is replaced as
// a whole, and holds for the version that was read.
func (d desiredNode) patch(node *corev1.Node) ([]byte, error) {
	next := node.DeepCopy()

	changed, err := d.applyTo(next)
	if err != nil || !changed {
		return nil, err
	}

	before := node.DeepCopy()
	if !slices.Equal(before.Spec.Taints, next.Spec.Taints) {
		// A patch that names a version fails when there is a later one.
		before.ResourceVersion = ""
	}

	from, err := json.Marshal(before)
	if err != nil {
		return nil, fmt.Errorf("encoding node: %w", err)
	}

	to, err := json.Marshal(next)
	if err != nil {
		return nil, fmt.Errorf("encoding node: %w", err)
	}

	patch, err := jsonpatch.CreateMergePatch(from, to)
	if err != nil {
		return nil, fmt.Errorf("comparing node: %w", err)
	}

	return patch, nil
}

// applyTo changes the node and reports whether anything changed. What others
// have set is left alone, unless the machine wants the same key.
func (d desiredNode) applyTo(node *corev1.Node) (bool, error) {
	before := node.DeepCopy()

	if node.Labels == nil {
		node.Labels = map[string]string{}
	}

	if node.Annotations == nil {
		node.Annotations = map[string]string{}
	}

	if err := own(node.Annotations, annotationOwnedLabels, node.Labels, d.labels); err != nil {
		return false, err
	}

	if err := own(node.Annotations, annotationOwnedAnnotations, node.Annotations, d.annotations); err != nil {
		return false, err
	}

	if err := d.applyTaints(node); err != nil {
		return false, err
	}

	switch _, ours := node.Annotations[annotationCordoned]; {
	case d.cordoned && !node.Spec.Unschedulable:
		node.Spec.Unschedulable = true
		node.Annotations[annotationCordoned] = "true"
	case !d.cordoned && ours:
		node.Spec.Unschedulable = false
		delete(node.Annotations, annotationCordoned)
	}

	return !maps.Equal(before.Labels, node.Labels) || !maps.Equal(before.Annotations, node.Annotations) ||
		before.Spec.Unschedulable != node.Spec.Unschedulable || !slices.Equal(before.Spec.Taints, node.Spec.Taints), nil
}

// own makes values have what is wanted and removes what it was given earlier.
// The keys are remembered in an annotation.
func own(annotations map[string]string, memory string, values, want map[string]string) error {
	owned, err := remembered(annotations, memory)
	if err != nil {
		return err
	}

	for _, key := range owned {
		if _, ok := want[key]; !ok {
			delete(values, key)
		}
	}

	maps.Copy(values, want)

	return remember(annotations, memory, slices.Sorted(maps.Keys(want)))
}

func (d desiredNode) applyTaints(node *corev1.Node) error {
	owned, err := remembered(node.Annotations, annotationOwnedTaints)
	if err != nil {
		return err
	}

	taints := slices.DeleteFunc(slices.Clone(node.Spec.Taints), func(t corev1.Taint) bool {
		want, ok := d.taints[t.Key]

		return slices.Contains(owned, t.Key) && !ok ||
			ok && (want.Value != t.Value || want.Effect != string(t.Effect))
	})

	for _, key := range slices.Sorted(maps.Keys(d.taints)) {
		if !slices.ContainsFunc(taints, func(t corev1.Taint) bool { return t.Key == key }) {
			want := d.taints[key]
			taints = append(taints, corev1.Taint{Key: key, Value: want.Value, Effect: corev1.TaintEffect(want.Effect)})
		}
	}

	node.Spec.Taints = taints

	return remember(node.Annotations, annotationOwnedTaints, slices.Sorted(maps.Keys(d.taints)))
}

func remembered(annotations map[string]string, memory string) ([]string, error) {
	text, ok := annotations[memory]
	if !ok {
		return nil, nil
	}

	var keys []string
	if err := json.Unmarshal([]byte(text), &keys); err != nil {
		return nil, fmt.Errorf("reading annotation %s of the node: %w", memory, err)
	}

	return keys, nil
}

func remember(annotations map[string]string, memory string, keys []string) error {
	if len(keys) == 0 {
		delete(annotations, memory)

		return nil
	}

	text, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("encoding annotation %s of the node: %w", memory, err)
	}

	annotations[memory] = string(text)

	return nil
}
