package node

import (
	"context"
	"fmt"
	"slices"
	"sync"

	machineapi "github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/k8s"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
)

// stage is what the machine is doing, for whom it concerns.
type stage struct {
	mu      sync.Mutex
	current runtime.MachineStage
	changed chan struct{}
}

func newStage() *stage { return &stage{changed: make(chan struct{})} }

func (s *stage) set(next runtime.MachineStage) {
	s.mu.Lock()
	defer s.mu.Unlock()

	s.current = next

	close(s.changed)
	s.changed = make(chan struct{})
}

// get returns the stage, and a channel that closes when it changes.
func (s *stage) get() (runtime.MachineStage, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()

	return s.current, s.changed
}

// machineStatus tells in which stage the machine is, and why it is not ready.
type machineStatus struct {
	stage  *stage
	events *events.Ring
}

func (machineStatus) Name() string { return "runtime.MachineStatusController" }

func (machineStatus) Inputs() []reconcile.Input {
	return []reconcile.Input{
		reconcile.In[v1alpha1.Service](),
		reconcile.In[k8s.StaticPodStatus](),
		reconcile.In[k8s.NodeStatus](),
		reconcile.In[k8s.KubeletSpec](),
	}
}

func (machineStatus) Outputs() []reconcile.Output {
	return []reconcile.Output{reconcile.Out[runtime.MachineStatus]()}
}

// Watch implements [reconcile.Source]: the stage is no resource.
func (c machineStatus) Watch(ctx context.Context, notify func()) error {
	for {
		_, changed := c.stage.get()

		notify()

		select {
		case <-changed:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c machineStatus) Reconcile(ctx context.Context, rt *reconcile.Runtime) error {
	current, _ := c.stage.get()

	services, err := resource.List[v1alpha1.Service](ctx, rt)
	if err != nil {
		return err
	}

	pods, err := resource.List[k8s.StaticPodStatus](ctx, rt)
	if err != nil {
		return err
	}

	nodes, err := resource.List[k8s.NodeStatus](ctx, rt)
	if err != nil {
		return err
	}

	kubelets, err := resource.List[k8s.KubeletSpec](ctx, rt)
	if err != nil {
		return err
	}

	unmet := unmetConditions(current, services, pods, nodes, len(kubelets) > 0)
	spec := runtime.MachineStatus{
		Stage:  current,
		Status: runtime.MachineStatusStatus{Ready: len(unmet) == 0, UnmetConditions: unmet},
	}

	changed := false

	err = reconcile.Modify(ctx, rt, runtime.MachineStatusID, func(r *resource.Resource[runtime.MachineStatus]) error {
		changed = r.Meta.Version == 0 || !resource.Equal(r.Spec, spec)
		r.Spec = spec

		return nil
	})
	if err == nil && changed {
		c.events.Publish(ctx, statusEvent(spec))
	}

	return err
}

// unmetConditions says what keeps a machine from being ready. Only a running
// or booting machine can be.
func unmetConditions(
	current runtime.MachineStage, services []*resource.Resource[v1alpha1.Service],
	pods []*resource.Resource[k8s.StaticPodStatus], nodes []*resource.Resource[k8s.NodeStatus], kubelet bool,
) []runtime.UnmetCondition {
	var unmet []runtime.UnmetCondition

	add := func(name, format string, args ...any) {
		unmet = append(unmet, runtime.UnmetCondition{Name: name, Reason: fmt.Sprintf(format, args...)})
	}

	if current != runtime.MachineStageRunning && current != runtime.MachineStageBooting {
		add("stage", "machine is %s", current)
	}

	for _, s := range services {
		switch {
		case !s.Spec.Running:
			add("services", "service %q is not running", s.Meta.ID)
		case s.Spec.Unknown:
			add("services", "service %q has not been checked yet", s.Meta.ID)
		case !s.Spec.Healthy:
			add("services", "service %q is not healthy", s.Meta.ID)
		}
	}

	if kubelet && !slices.ContainsFunc(nodes, func(r *resource.Resource[k8s.NodeStatus]) bool { return r.Spec.NodeReady }) {
		add("nodeReady", "node is not ready")
	}

	for _, pod := range pods {
		if !podReady(pod.Spec.PodStatus) {
			add("staticPods", "static pod %q is not ready", pod.Meta.ID)
		}
	}

	return unmet
}

// podReady looks for the condition Ready in a pod's status.
func podReady(status map[string]any) bool {
	conditions, _ := status["conditions"].([]any)

	return slices.ContainsFunc(conditions, func(item any) bool {
		condition, _ := item.(map[string]any)

		return condition["type"] == "Ready" && condition["status"] == "True"
	})
}

func statusEvent(spec runtime.MachineStatus) *machineapi.MachineStatusEvent {
	status := &machineapi.MachineStatusEvent_MachineStatus{Ready: spec.Status.Ready}
	for _, c := range spec.Status.UnmetConditions {
		status.UnmetConditions = append(status.UnmetConditions,
			&machineapi.MachineStatusEvent_MachineStatus_UnmetCondition{Name: c.Name, Reason: c.Reason})
	}

	return &machineapi.MachineStatusEvent{
		Stage:  machineapi.MachineStatusEvent_MachineStage(spec.Stage), // the numbers are the same
		Status: status,
	}
}
