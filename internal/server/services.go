package server

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/service"
)

// Services is the supervisor of the node's services.
type Services interface {
	// Services returns all services, sorted by id.
	Services() []service.Status
	// Operate starts, stops or restarts a service as far as the service lets
	// API callers do so.
	Operate(ctx context.Context, id string, operation service.Operations) error
	// Stop stops services whether or not API callers may.
	Stop(ctx context.Context, ids ...string) error
}

// ServiceList lists the services.
func (s machineService) ServiceList(context.Context, *emptypb.Empty) (*machine.ServiceListResponse, error) {
	list := &machine.ServiceList{}
	for _, status := range s.Services.Services() {
		list.Services = append(list.Services, serviceInfo(status))
	}
	return &machine.ServiceListResponse{Messages: []*machine.ServiceList{list}}, nil
}

func serviceInfo(status service.Status) *machine.ServiceInfo {
	info := &machine.ServiceInfo{
		Id:     status.ID,
		State:  status.State.String(),
		Events: &machine.ServiceEvents{},
		Health: &machine.ServiceHealth{
			Unknown:     status.Health.Unknown,
			Healthy:     status.Health.Healthy,
			LastMessage: status.Health.LastMessage,
			LastChange:  timestamp(status.Health.LastChange),
		},
	}
	for _, event := range status.Events {
		info.Events.Events = append(info.Events.Events, &machine.ServiceEvent{
			Msg:   event.Message,
			State: event.State.String(),
			Ts:    timestamp(event.Time),
		})
	}
	return info
}

// ServiceStart starts a service.
func (s machineService) ServiceStart(ctx context.Context, request *machine.ServiceStartRequest) (*machine.ServiceStartResponse, error) {
	if err := s.Services.Operate(ctx, request.GetId(), service.CanStart); err != nil {
		return nil, fmt.Errorf("starting service %q: %w", request.GetId(), err)
	}
	return &machine.ServiceStartResponse{Messages: []*machine.ServiceStart{{
		Resp: fmt.Sprintf("Service %q started", request.GetId()),
	}}}, nil
}

// ServiceStop stops a service.
func (s machineService) ServiceStop(ctx context.Context, request *machine.ServiceStopRequest) (*machine.ServiceStopResponse, error) {
	if err := s.Services.Operate(ctx, request.GetId(), service.CanStop); err != nil {
		return nil, fmt.Errorf("stopping service %q: %w", request.GetId(), err)
	}
	return &machine.ServiceStopResponse{Messages: []*machine.ServiceStop{{
		Resp: fmt.Sprintf("Service %q stopped", request.GetId()),
	}}}, nil
}

// ServiceRestart restarts a service.
func (s machineService) ServiceRestart(ctx context.Context, request *machine.ServiceRestartRequest) (*machine.ServiceRestartResponse, error) {
	if err := s.Services.Operate(ctx, request.GetId(), service.CanRestart); err != nil {
		return nil, fmt.Errorf("restarting service %q: %w", request.GetId(), err)
	}
	return &machine.ServiceRestartResponse{Messages: []*machine.ServiceRestart{{
		Resp: fmt.Sprintf("Service %q restarted", request.GetId()),
	}}}, nil
}

// timestamp is nil for the zero time: on the wire an absent time means never.
func timestamp(at time.Time) *timestamppb.Timestamp {
	if at.IsZero() {
		return nil
	}
	return timestamppb.New(at)
}
