package node

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/basalt-os/basalt/api/common"
	machineapi "github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/machine"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources/runtime"
	"github.com/basalt-os/basalt/internal/resources/v1alpha1"
	"github.com/basalt-os/basalt/internal/service"
)

// supervisorOwner owns the resources that describe services.
const supervisorOwner = "service.Supervisor"

// ServiceChanged implements [service.Observer]: a change becomes an event and
// a resource.
func (n *Node) ServiceChanged(status service.Status) {
	last := status.Events[len(status.Events)-1]

	event := &machineapi.ServiceStateEvent{
		Service: status.ID,
		Action:  machineapi.ServiceStateEvent_Action(status.State), // the numbers are the same
		Message: last.Message,
	}
	if status.State == service.Running {
		event.Health = &machineapi.ServiceHealth{
			Unknown:     status.Health.Unknown,
			Healthy:     status.Health.Healthy,
			LastMessage: status.Health.LastMessage,
			LastChange:  timestamppb.New(status.Health.LastChange),
		}
	}

	ctx := context.Background()
	n.events.Publish(ctx, event)

	running := status.State == service.Running

	err := resource.Put(ctx, n.store, supervisorOwner, status.ID, v1alpha1.Service{
		Running: running, Healthy: running && status.Health.Healthy, Unknown: running && status.Health.Unknown,
	})
	if err != nil {
		n.logger.Error("recording service", "service", status.ID, "error", err)
	}

	if err := n.recordPID(ctx, status); err != nil {
		n.logger.Error("recording process of service", "service", status.ID, "error", err)
	}
}

func (n *Node) recordPID(ctx context.Context, status service.Status) error {
	if status.PID == 0 {
		return resource.Drop[runtime.ServicePID](ctx, n.store, supervisorOwner, status.ID)
	}

	return resource.Put(ctx, n.store, supervisorOwner, status.ID, runtime.ServicePID{PID: int32(status.PID)})
}

// SequenceChanged implements [machine.SequenceObserver].
func (n *Node) SequenceChanged(ctx context.Context, kind machine.Kind, action machine.Action, err error) {
	event := &machineapi.SequenceEvent{Sequence: kind.String(), Action: machineapi.SequenceEvent_START}
	if action == machine.Ended {
		event.Action = machineapi.SequenceEvent_STOP
	}

	if err != nil {
		event.Error = &common.Error{Code: common.Code_FATAL, Message: err.Error()}
	}

	n.events.Publish(ctx, event)

	if stage, ok := stages[kind]; ok && action == machine.Started {
		n.stage.set(stage)
	}
}

// PhaseChanged implements [machine.SequenceObserver].
func (n *Node) PhaseChanged(ctx context.Context, phase string, action machine.Action) {
	event := &machineapi.PhaseEvent{Phase: phase, Action: machineapi.PhaseEvent_START}
	if action == machine.Ended {
		event.Action = machineapi.PhaseEvent_STOP
	}

	n.events.Publish(ctx, event)
}

// TaskChanged implements [machine.SequenceObserver].
func (n *Node) TaskChanged(ctx context.Context, task string, action machine.Action) {
	event := &machineapi.TaskEvent{Task: task, Action: machineapi.TaskEvent_START}
	if action == machine.Ended {
		event.Action = machineapi.TaskEvent_STOP
	}

	n.events.Publish(ctx, event)
}

// stages are the sequences that the machine's stage tells about.
var stages = map[machine.Kind]runtime.MachineStage{
	machine.Initialize: runtime.MachineStageBooting,
	machine.Boot:       runtime.MachineStageBooting,
	machine.Install:    runtime.MachineStageInstalling,
	machine.Reboot:     runtime.MachineStageRebooting,
	machine.Shutdown:   runtime.MachineStageShuttingDown,
	machine.Reset:      runtime.MachineStageResetting,
	machine.Upgrade:    runtime.MachineStageUpgrading,
}
