package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/beevik/ntp"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	timeapi "github.com/basalt-os/basalt/api/time"
)

// ntpTimeout bounds the wait for the answer of a time server.
const ntpTimeout = 5 * time.Second

// Clock knows the node's time servers.
type Clock interface {
	// Servers returns the time servers of the node, best first.
	Servers(ctx context.Context) ([]string, error)
}

// Time compares the node's clock with the first of its own time servers that
// answers.
func (s timeService) Time(ctx context.Context, _ *emptypb.Empty) (*timeapi.TimeResponse, error) {
	servers, err := s.Clock.Servers(ctx)
	if err != nil {
		return nil, fmt.Errorf("finding time servers: %w", err)
	}
	if len(servers) == 0 {
		return nil, fmt.Errorf("finding time servers: the node has none: %w", ErrPrecondition)
	}
	var failures []error
	for _, server := range servers {
		reply, err := askTime(ctx, server)
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
	return askTime(ctx, request.GetServer())
}

// askTime asks a time server; the address may have a port.
func askTime(ctx context.Context, server string) (*timeapi.TimeResponse, error) {
	timeout := ntpTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	dialer := net.Dialer{}
	answer, err := ntp.QueryWithOptions(server, ntp.QueryOptions{
		Timeout: timeout,
		Dialer: func(_, remote string) (net.Conn, error) {
			return dialer.DialContext(ctx, "udp", remote)
		},
	})
	if err != nil {
		return nil, fmt.Errorf("asking time server %s: %w: %w", server, ErrNotReady, err)
	}
	if err := answer.Validate(); err != nil {
		return nil, fmt.Errorf("asking time server %s: %w: %w", server, ErrNotReady, err)
	}
	local := time.Now()
	return &timeapi.TimeResponse{Messages: []*timeapi.Time{{
		Server:     server,
		Localtime:  timestamppb.New(local),
		Remotetime: timestamppb.New(local.Add(answer.ClockOffset)),
	}}}, nil
}
