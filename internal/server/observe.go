package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
)

// kernelLog is the id under which the kernel log is among the logs.
const kernelLog = "kernel"

// Logs streams the log of a service, of the kernel, or of a pod's container.
func (s machineService) Logs(request *machine.LogsRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	ctx, output := stream.Context(), chunkWriter{stream: stream}
	// The wire has no "absent" here: clients that want all lines send -1, and
	// a client that asks for none and does not follow wants nothing.
	tail := int(request.GetTailLines())
	switch {
	case request.GetDriver() == common.ContainerDriver_CRI:
		path, err := s.Options.Containers.LogPath(ctx, request.GetId())
		if err != nil {
			return fmt.Errorf("finding log of container %q: %w", request.GetId(), err)
		}
		if err := streamFile(ctx, output, s.path(path), tail, request.GetFollow()); err != nil {
			return fmt.Errorf("streaming log of container %q: %w", request.GetId(), err)
		}
		return nil
	case request.GetId() == kernelLog:
		return s.kernelLog(ctx, output, request.GetFollow(), false)
	}
	buffer := s.Options.Logs.Lookup(request.GetId())
	if buffer == nil {
		return fmt.Errorf("finding log of %q: %w", request.GetId(), ErrUnknown)
	}
	if err := buffer.Stream(ctx, output, tail, request.GetFollow()); err != nil {
		return fmt.Errorf("streaming log of %q: %w", request.GetId(), err)
	}
	return nil
}

// LogsContainers lists the ids of the logs of services.
func (s machineService) LogsContainers(context.Context, *emptypb.Empty) (*machine.LogsContainersResponse, error) {
	ids := append(s.Options.Logs.IDs(), kernelLog)
	slices.Sort(ids)
	return &machine.LogsContainersResponse{Messages: []*machine.LogsContainer{{Ids: slices.Compact(ids)}}}, nil
}

// Dmesg streams the kernel log.
func (s machineService) Dmesg(request *machine.DmesgRequest, stream grpc.ServerStreamingServer[common.Data]) error {
	return s.kernelLog(stream.Context(), chunkWriter{stream: stream}, request.GetFollow(), request.GetTail())
}

func (s machineService) kernelLog(ctx context.Context, output io.Writer, follow, tail bool) error {
	boot, err := s.bootTime()
	if err != nil {
		return err
	}
	device := filepath.Join(s.Root, "dev/kmsg")
	err = logs.Kmsg(ctx, device, follow, tail, func(message logs.Message) error {
		_, err := io.WriteString(output, message.Format(boot)+"\n")
		return err
	})
	if err != nil {
		return fmt.Errorf("streaming kernel log: %w", err)
	}
	return nil
}

func (s machineService) bootTime() (time.Time, error) {
	stat, err := os.ReadFile(filepath.Join(s.Proc, "stat"))
	if err != nil {
		return time.Time{}, fmt.Errorf("reading boot time: %w", err)
	}
	boot, err := logs.BootTime(bytes.NewReader(stat))
	if err != nil {
		return time.Time{}, fmt.Errorf("reading boot time: %w", err)
	}
	return boot, nil
}

// Events streams past events as far as the request asks for them, and then new
// ones until the caller goes away.
func (s machineService) Events(request *machine.EventsRequest, stream grpc.ServerStreamingServer[machine.Event]) error {
	ctx := stream.Context()
	reader := s.Options.Events.Follow(events.Start{
		AfterID: request.GetTailId(),
		Count:   int(request.GetTailEvents()),
		Age:     time.Duration(request.GetTailSeconds()) * time.Second,
	}, request.GetWithActorId())
	// From here on the caller misses nothing; the headers tell it so.
	if err := stream.SendHeader(nil); err != nil {
		return fmt.Errorf("sending headers: %w", err)
	}
	for {
		event, err := reader.Next(ctx)
		var gap *events.GapError
		switch {
		case errors.As(err, &gap):
			s.Logger.WarnContext(ctx, "a reader of events was too slow", "missed", gap.Missed)
			continue
		case err != nil:
			return err
		}
		message, err := eventMessage(event)
		if err != nil {
			return err
		}
		if err := stream.Send(message); err != nil {
			return fmt.Errorf("sending event: %w", err)
		}
	}
}

// eventTypePrefix precedes the message name in the type URL of event payloads.
// Clients compare the whole URL.
const eventTypePrefix = "talos/runtime/"

// eventMessage gives an event its form on the wire.
func eventMessage(event events.Event) (*machine.Event, error) {
	payload, err := anypb.New(event.Payload)
	if err != nil {
		return nil, fmt.Errorf("encoding event %s: %w", event.ID, err)
	}
	payload.TypeUrl = eventTypePrefix + strings.TrimPrefix(payload.GetTypeUrl(), "type.googleapis.com/")
	return &machine.Event{Data: payload, Id: event.ID, ActorId: event.ActorID}, nil
}
