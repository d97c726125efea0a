package node

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"

	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/internal/service/process"
	"github.com/basalt-os/basalt/internal/trust"
)

// machinedService is the API of the node itself: goroutines of this process.
func (n *Node) machinedService() service.Definition {
	return service.Definition{
		ID: "machined",
		Prepare: func(context.Context) (service.Runner, error) {
			return service.Function(func(ctx context.Context, _ io.Writer) error { return n.serve(ctx) }), nil
		},
		Check: &service.Check{Probe: func(ctx context.Context) error { return dial(ctx, "unix", machineSocket) }},
	}
}

// gatewayService is apid, a process that puts itself into a sandbox.
func (n *Node) gatewayService() service.Definition {
	return service.Definition{
		ID:         "apid",
		DependsOn:  []string{"machined"},
		Conditions: []service.Condition{exists[secrets.API](n.store, secrets.APIID, "API certificate")},
		Prepare:    n.daemon("apid", groupGateway, -998),
		Check: &service.Check{Probe: func(ctx context.Context) error {
			return dial(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(gateway.DefaultPort)))
		}},
	}
}

// trustService is trustd, which signs the certificates of nodes that join.
func (n *Node) trustService() service.Definition {
	return service.Definition{
		ID:         "trustd",
		DependsOn:  []string{"machined"},
		Conditions: []service.Condition{n.timeSync(), n.networkReady(), exists[secrets.Trustd](n.store, secrets.TrustdID, "certificate")},
		Prepare:    n.daemon("trustd", groupTrust, -998),
		Check: &service.Check{Probe: func(ctx context.Context) error {
			return dial(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(trust.DefaultPort)))
		}},
	}
}

// daemon returns the preparation of this very binary under another name.
func (n *Node) daemon(name, group string, oomScore int) func(context.Context) (service.Runner, error) {
	return func(context.Context) (service.Runner, error) {
		return &process.Runner{
			Process: process.Process{
				Path: initBinary, Args: []string{name}, Env: n.environment(),
				Group: group, OOMScoreAdj: oomScore, KillGroup: true,
			},
			Starter: n.reaper,
			Groups:  n.groups,
		}, nil
	}
}

// dial checks that somebody listens.
func dial(ctx context.Context, network, address string) error {
	var dialer net.Dialer

	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}

	return conn.Close()
}
