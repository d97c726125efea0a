package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/service"
)

const (
	startTimeout = 70 * time.Minute // of all services at boot
	podsTimeout  = 45 * time.Second // to stop all pods
	podGrace     = 10 * time.Second // that one pod's processes have after SIGTERM
	stopTimeout  = 60 * time.Second // to stop all services
)

func task(name string, timeout time.Duration, run func(ctx context.Context) error) machine.Task {
	return machine.Task{Name: name, Timeout: timeout, Run: run}
}

// initializeSequence starts what the node needs to be told what to do.
func (n *Node) initializeSequence() machine.Sequence {
	phases := []machine.Phase{{Name: "earlyServices", Tasks: []machine.Task{
		task("startMachined", 0, n.startService("machined")),
		task("startContainerd", 0, n.startService("containerd")),
		task("startApid", 0, n.startService("apid")),
	}}}

	if !n.platform.isContainer() {
		phases = append(phases, machine.Phase{Name: "meta", Tasks: []machine.Task{
			task("loadMeta", 0, n.loadMeta),
		}}, machine.Phase{Name: "noteBoot", Tolerant: true, Tasks: []machine.Task{
			task("noteBoot", 0, n.noteBoot),
		}})
	}

	if n.terminal != "" {
		phases = append(phases, machine.Phase{Name: "dashboard", Tasks: []machine.Task{
			task("startDashboard", 0, n.startService(dashboardID)),
		}})
	}

	phases = append(phases, machine.Phase{Name: "config", Tasks: []machine.Task{task("loadConfig", 0, n.loadConfig)}})

	return machine.Sequence{Kind: machine.Initialize, Phases: phases}
}

// bootSequence brings up everything that the configuration asks for.
func (n *Node) bootSequence() machine.Sequence {
	var phases []machine.Phase

	if !n.platform.isContainer() {
		phases = append(phases, machine.Phase{Name: "ephemeral", Tasks: []machine.Task{
			task("mountEphemeralPartition", 0, n.mountEphemeral),
		}})
	}

	return machine.Sequence{Kind: machine.Boot, Phases: append(phases, machine.Phase{Name: "startEverything", Tasks: []machine.Task{
		task("startAllServices", startTimeout, n.startAllServices),
	}})}
}

// stopPhases end everything that runs. They go on over failures: a node that
// is asked to end must end.
func (n *Node) stopPhases() []machine.Phase {
	return []machine.Phase{
		{Name: "cleanup", Tolerant: true, Tasks: []machine.Task{
			task("stopKubelet", stopTimeout, n.stopServices("kubelet")),
		}},
		{Name: "stopPods", Tolerant: true, Tasks: []machine.Task{task("stopAllPods", podsTimeout, n.stopAllPods)}},
		{Name: "stopEverything", Tolerant: true, Tasks: []machine.Task{
			task("stopAllServices", stopTimeout, func(ctx context.Context) error {
				return n.supervisor.Close(ctx, "machined")
			}),
		}},
		{Name: "unmountSystem", Tolerant: true, Tasks: []machine.Task{task("teardownVolumes", closeVolumes, n.unmountVolumes)}},
	}
}

// startService returns a task that starts one service, without waiting.
func (n *Node) startService(id string) func(context.Context) error {
	return func(context.Context) error { return n.supervisor.Start(id) }
}

// stopServices returns a task that stops services that are known.
func (n *Node) stopServices(ids ...string) func(context.Context) error {
	return func(ctx context.Context) error {
		err := n.supervisor.Stop(ctx, ids...)
		if errors.Is(err, service.ErrUnknown) {
			return nil
		}

		return err
	}
}

// startAllServices starts what a node of this type runs, and waits until all
// of it is up.
func (n *Node) startAllServices(ctx context.Context) error {
	cfg, err := n.activeConfig(ctx)
	if err != nil {
		return err
	}

	definitions := []service.Definition{n.kubeletService()}
	if cfg.Machine().IsControlPlane() {
		definitions = append(definitions, n.etcdService(), n.trustService())
	}

	if err := n.supervisor.Add(definitions...); err != nil {
		return err
	}

	var ids []string

	for _, status := range n.supervisor.Services() {
		if status.ID != dashboardID {
			ids = append(ids, status.ID)
		}
	}

	if err := n.supervisor.Start(ids...); err != nil {
		return err
	}

	return n.supervisor.WaitUp(ctx, ids...)
}

// bootNode runs the sequences that bring a node up.
func (n *Node) bootNode(ctx context.Context) error {
	if err := n.sequencer.Run(ctx, n.initializeSequence()); err != nil {
		return err
	}

	if !n.platform.isContainer() {
		again, err := n.beforeBoot(ctx)
		if err != nil || again {
			return err
		}
	}

	if err := n.sequencer.Run(ctx, n.bootSequence()); err != nil {
		return err
	}

	if current, _ := n.stage.get(); current == runtime.MachineStageBooting {
		n.stage.set(runtime.MachineStageRunning)
	}

	return nil
}

// endNode runs a sequence that ends the machine, in the background. It fails
// with [machine.ErrLocked] at once when the running sequence must not be
// interrupted.
func (n *Node) endNode(ctx context.Context, kind machine.Kind, power machine.Power, phases ...machine.Phase) error {
	run, err := n.sequencer.Reserve(ctx, kind)
	if err != nil {
		return err
	}

	before, _ := n.stage.get()

	n.wg.Go(func() {
		err := run(machine.Sequence{Kind: kind, Phases: phases})
		if err != nil {
			n.logger.Error("sequence ended early", "sequence", kind, "error", err)
		}

		switch outcomeOf(kind, err) {
		case staysUp:
			n.stage.set(before)
		case endsMachine:
			n.finish(power)
		case leavesToOther:
		}
	})

	return nil
}

// outcome is what becomes of the machine after a sequence that was to end it.
type outcome uint8

const (
	endsMachine   outcome = iota
	staysUp               // as if the sequence had not begun
	leavesToOther         // to the sequence that took over
)

// outcomeOf says what becomes of the machine after a sequence that ended with
// err.
func outcomeOf(kind machine.Kind, err error) outcome {
	switch {
	case errors.Is(err, machine.ErrTakenOver):
		return leavesToOther
	case err != nil && kind == machine.Upgrade:
		// It fails before anything is stopped: see stopPhases.
		return staysUp
	default:
		// A node whose services have been stopped ends even when the rest of
		// the sequence failed: nobody could reach it any more.
		return endsMachine
	}
}

// finish ends the machine. The first call decides how.
func (n *Node) finish(power machine.Power) {
	select {
	case n.end <- power:
	default:
	}
}

// stopAllPods ends the tasks of all pods: application containers before the
// pause containers that hold their namespaces.
func (n *Node) stopAllPods(ctx context.Context) error {
	ctx = namespaces.WithNamespace(ctx, podSpace)

	for _, kind := range []string{"container", "sandbox"} {
		list, err := n.containerd.Containers(ctx, fmt.Sprintf("labels.%q==%s", "io.cri-containerd.kind", kind))
		if err != nil {
			return fmt.Errorf("listing containers of pods: %w", err)
		}

		var stopping errgroup.Group

		for _, c := range list {
			stopping.Go(func() error { return stopTask(ctx, c) })
		}

		if err := stopping.Wait(); err != nil {
			return err
		}
	}

	return nil
}

// stopTask ends the task of a container by SIGTERM, and by SIGKILL when it
// takes too long.
func stopTask(ctx context.Context, c containerd.Container) error {
	t, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}

	if err != nil {
		return fmt.Errorf("stopping container %q: %w", c.ID(), err)
	}

	exit, err := t.Wait(ctx)
	if err != nil {
		return fmt.Errorf("stopping container %q: %w", c.ID(), err)
	}

	for _, signal := range []unix.Signal{unix.SIGTERM, unix.SIGKILL} {
		if err := t.Kill(ctx, signal); err != nil && !errdefs.IsNotFound(err) {
			return fmt.Errorf("stopping container %q: %w", c.ID(), err)
		}

		select {
		case <-exit:
			return nil
		case <-time.After(podGrace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}

	return nil
}
