package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	timeapi "github.com/basalt-os/basalt/api/time"
	"github.com/basalt-os/basalt/internal/timesync"
)

// Clock knows the node's time servers.
type Clock interface {
	// Servers returns the time servers of the node, best first, and whether
	// they are to be asked with network time security.
	Servers(ctx context.Context) (servers []string, secure bool, err error)
	// Ask asks a time server, which is an address or a clock device.
	Ask(ctx context.Context, server string, secure bool) (timesync.Sample, error)
}

// Time compares the node's clock with the first of its own time servers that
// answers.
func (s timeService) Time(ctx context.Context, _ *emptypb.Empty) (*timeapi.TimeResponse, error) {
	servers, secure, err := s.Clock.Servers(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding time servers: %w", err)
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("finding time servers: the node has none: %w", ErrPrecondition)
	}
	var failures []error
	for _, server := range servers {
		reply, err := s.askTime(ctx, server, secure)
		if err == nil {
			return reply, nil
		}
		failures = append(failures, err)
	}
	return nil, errors.Join(failures...)
}

// TimeCheck compares the node's clock with the given time server.
func (s timeService) TimeCheck(ctx context.Context, request *timeapi.TimeRequest) (*timeapi.TimeResponse, error) {
	if request.GetServer() == "" {
		return nil, fmt.Errorf("asking for the time: no server is given: %w", ErrInvalid)
	}
	return s.askTime(ctx, request.GetServer(), false)
}

// askTime asks a time server; the address may have a port.
func (s timeService) askTime(ctx context.Context, server string, secure bool) (*timeapi.TimeResponse, error) {
	sample, err := s.Clock.Ask(ctx, server, secure)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotReady, err)
	}
	local := time.Now()
	return &timeapi.TimeResponse{Messages: []*timeapi.Time{{
		Server:     server,
		Localtime:  timestamppb.New(local),
		Remotetime: timestamppb.New(local.Add(sample.Offset)),
	}}}, nil
}
