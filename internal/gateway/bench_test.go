package gateway_test

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/rbac"
)

// direct is a client of machined's own socket.
func direct(b *testing.B) machine.MachineServiceClient {
	b.Helper()

	f := &fleet{t: b, ca: newCA(b)}
	socket := filepath.Join(b.TempDir(), "machine.sock")
	f.startMachined(socket, &machined{name: "node0", ended: make(chan error, 1)})

	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		b.Fatal(err)
	}

	b.Cleanup(func() { _ = conn.Close() })

	return machine.NewMachineServiceClient(conn)
}

// BenchmarkCall measures a unary call on its ways: straight to machined, through
// the node's gateway, through two gateways, and fanned out to three nodes. It
// reports the median and the 99th percentile beside the mean.
func BenchmarkCall(b *testing.B) {
	for _, way := range []struct {
		name   string
		direct bool
		nodes  int
		pairs  []string
	}{
		{name: "direct", direct: true},
		{name: "gateway", nodes: 1},
		{name: "one-node", nodes: 2, pairs: []string{"node", nodeAddress(1)}},
		{name: "three-nodes", nodes: 3, pairs: []string{"nodes", nodeAddress(0), "nodes", nodeAddress(1), "nodes", nodeAddress(2)}},
	} {
		b.Run(way.name, func(b *testing.B) {
			var client machine.MachineServiceClient

			pairs := way.pairs

			if way.direct {
				client, pairs = direct(b), []string{"talos-role", "os:reader"}
			} else {
				client = newFleet(b, way.nodes).admin(0)
			}

			ctx := metadata.AppendToOutgoingContext(context.Background(), pairs...)
			call := func() {
				if _, err := client.Version(ctx, &emptypb.Empty{}); err != nil {
					b.Fatal(err)
				}
			}

			call()

			latencies := make([]time.Duration, 0, 1<<16)

			for b.Loop() {
				start := time.Now()

				call()

				latencies = append(latencies, time.Since(start))
			}

			slices.Sort(latencies)
			b.ReportMetric(float64(latencies[len(latencies)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(latencies[len(latencies)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
		})
	}
}

// BenchmarkParallelCalls measures how many calls a second many callers get
// through the gateway, over one connection.
func BenchmarkParallelCalls(b *testing.B) {
	client := newFleet(b, 1).admin(0)

	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := client.Version(context.Background(), &emptypb.Empty{}); err != nil {
				b.Error(err)

				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// BenchmarkStream measures bytes of a stream, straight and through the gateway.
func BenchmarkStream(b *testing.B) {
	const messages, size = 100, 64 << 10

	for _, way := range []string{"direct", "gateway"} {
		b.Run(way, func(b *testing.B) {
			var (
				client machine.MachineServiceClient
				pairs  []string
			)

			if way == "direct" {
				client, pairs = direct(b), []string{"talos-role", "os:reader"}
			} else {
				client = newFleet(b, 1).admin(0)
			}

			ctx := metadata.AppendToOutgoingContext(context.Background(), pairs...)

			b.SetBytes(messages * size)

			for b.Loop() {
				stream, err := client.Logs(ctx, &machine.LogsRequest{Id: "large", TailLines: messages})
				if err != nil {
					b.Fatal(err)
				}

				for err == nil {
					_, err = stream.Recv()
				}

				if !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHandshake measures a first call: TLS with certificates of both sides.
func BenchmarkHandshake(b *testing.B) {
	f := newFleet(b, 1)
	cert := f.clientCert(rbac.Admin)

	for b.Loop() {
		conn := f.dial(0, cert)
		if _, err := machine.NewMachineServiceClient(conn).Version(context.Background(), &emptypb.Empty{}); err != nil {
			b.Fatal(err)
		}

		if err := conn.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
