package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
)

func TestLargeMessages(t *testing.T) {
	f := newFleet(t, 2)

	for _, pairs := range [][]string{nil, {"nodes", nodeAddress(0), "nodes", nodeAddress(1)}} {
		resp, err := f.admin(0).ApplyConfiguration(with(t, pairs...),
			&machine.ApplyConfigurationRequest{Data: bytes.Repeat([]byte("x"), 31<<20)})
		if err != nil {
			t.Fatal(err)
		}

		for _, m := range resp.GetMessages() {
			if m.GetModeDetails() != fmt.Sprint(31<<20) {
				t.Errorf("arrived: %s", m)
			}
		}
	}

	_, err := f.admin(0).ApplyConfiguration(with(t), &machine.ApplyConfigurationRequest{Data: make([]byte, 33<<20)})
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("33 MiB: %v", err)
	}
}

func TestStreams(t *testing.T) {
	f := newFleet(t, 3)

	for _, test := range []struct {
		name   string
		pairs  []string
		id     string
		want   []string
		header string
	}{
		{name: "local", want: []string{" node0 0", " node0 1"}, header: "node0"},
		{name: "one node", pairs: []string{"node", nodeAddress(1)}, want: []string{" node1 0", " node1 1"}, header: "node1"},
		{
			name: "many nodes", pairs: []string{"nodes", nodeAddress(0), "nodes", nodeAddress(2)},
			want: []string{
				nodeAddress(0) + " node0 0", nodeAddress(0) + " node0 1",
				nodeAddress(2) + " node2 0", nodeAddress(2) + " node2 1",
			},
		},
		{
			name: "one of many fails", pairs: []string{"nodes", nodeAddress(0), "nodes", nodeAddress(2)}, id: "fail-node2",
			want: []string{
				nodeAddress(0) + " node0 0", nodeAddress(0) + " node0 1",
				nodeAddress(2) + " NotFound", nodeAddress(2) + " node2 0", nodeAddress(2) + " node2 1",
			},
		},
		{
			name: "one of many is absent", pairs: []string{"nodes", nodeAddress(0), "nodes", "127.0.5.201"},
			want: []string{nodeAddress(0) + " node0 0", nodeAddress(0) + " node0 1", "127.0.5.201 Unavailable"},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream, err := f.admin(0).Logs(with(t, test.pairs...), &machine.LogsRequest{Id: test.id, TailLines: 2})
			if err != nil {
				t.Fatal(err)
			}

			var got []string

			for {
				data, err := stream.Recv()
				if errors.Is(err, io.EOF) {
					break
				}

				if err != nil {
					t.Fatal(err)
				}

				text := string(data.GetBytes())
				if st := data.GetMetadata().GetStatus(); st != nil {
					text = codes.Code(st.GetCode()).String()
				}

				got = append(got, data.GetMetadata().GetHostname()+" "+text)
			}

			slices.Sort(got)

			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}

			header, err := stream.Header()
			if err != nil || strings.Join(header.Get("header-from"), "") != test.header {
				t.Errorf("header %v, %v", header, err)
			}
		})
	}
}

func TestClientStreams(t *testing.T) {
	f := newFleet(t, 2)

	for _, test := range []struct {
		pairs    []string
		hostname string
		code     codes.Code
	}{
		{},
		{pairs: []string{"node", nodeAddress(1)}},
		{pairs: []string{"nodes", nodeAddress(1)}, hostname: nodeAddress(1)},
		{pairs: []string{"nodes", nodeAddress(0), "nodes", nodeAddress(1)}, code: codes.InvalidArgument},
	} {
		stream, err := f.admin(0).EtcdRecover(with(t, test.pairs...))
		if err != nil {
			t.Fatal(err)
		}

		for range 10 {
			if err := stream.Send(&common.Data{Bytes: make([]byte, 1<<20)}); err != nil {
				break // the answer says why.
			}
		}

		resp, err := stream.CloseAndRecv()
		if status.Code(err) != test.code {
			t.Errorf("%v: %v", test.pairs, err)
		} else if err == nil {
			md := resp.GetMessages()[0].GetMetadata()
			if md.GetError() != fmt.Sprint(10<<20) || md.GetHostname() != test.hostname {
				t.Errorf("%v: got %v", test.pairs, md)
			}
		}
	}
}

func TestCancellationReachesAllNodes(t *testing.T) {
	f := newFleet(t, 3)

	for _, pairs := range [][]string{
		nil,
		{"node", nodeAddress(1)},
		{"nodes", nodeAddress(0), "nodes", nodeAddress(1), "nodes", nodeAddress(2)},
	} {
		ctx, cancel := context.WithCancel(with(t, pairs...))

		stream, err := f.admin(0).Logs(ctx, &machine.LogsRequest{TailLines: 1, Follow: true})
		if err != nil {
			t.Fatal(err)
		}

		expected := max(1, len(pairs)/2)
		for range expected {
			if _, err := stream.Recv(); err != nil {
				t.Fatal(err)
			}
		}

		cancel()

		ended := 0
		for ended < expected {
			select {
			case <-f.nodes[0].ended:
			case <-f.nodes[1].ended:
			case <-f.nodes[2].ended:
			case <-time.After(10 * time.Second):
				t.Fatalf("%v: %d of %d streams ended", pairs, ended, expected)
			}

			ended++
		}
	}
}

// TestStreamsEndWithTheGateway checks that somebody who follows a log does not
// keep the gateway from stopping, and is told why the log ends.
func TestStreamsEndWithTheGateway(t *testing.T) {
	f := newFleet(t, 2)

	var streams []grpc.ServerStreamingClient[common.Data]

	for _, pairs := range [][]string{nil, {"node", nodeAddress(1)}, {"nodes", nodeAddress(0), "nodes", nodeAddress(1)}} {
		stream, err := f.admin(0).Logs(with(t, pairs...), &machine.LogsRequest{TailLines: 1, Follow: true})
		if err != nil {
			t.Fatal(err)
		}

		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}

		streams = append(streams, stream)
	}

	begin := time.Now()

	if err := f.nodes[0].Close(); err != nil {
		t.Fatal(err)
	}

	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("the gateway took %s to stop", took)
	}

	for i, stream := range streams {
		var err error
		for err == nil {
			_, err = stream.Recv()
		}

		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "stops") {
			t.Errorf("stream %d ended with %v", i, err)
		}
	}
}

// TestSlowReader checks that a caller who does not read stops the node from
// sending, instead of filling the gateway's memory.
func TestSlowReader(t *testing.T) {
	f := newFleet(t, 2)

	for _, pairs := range [][]string{{"node", nodeAddress(1)}, {"nodes", nodeAddress(1)}} {
		const lines = 400 // of 64 KiB each

		before := f.nodes[1].sentMessages()

		stream, err := f.admin(0).Logs(with(t, pairs...), &machine.LogsRequest{Id: "large", TailLines: lines})
		if err != nil {
			t.Fatal(err)
		}

		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}

		// The buffers on the way fill until nothing moves.
		sent := -1
		for now := f.nodes[1].sentMessages(); now != sent; now = f.nodes[1].sentMessages() {
			sent = now

			<-time.After(100 * time.Millisecond)
		}

		if sent-before > lines/2 {
			t.Errorf("%v: node sent %d messages that nobody read", pairs, sent-before)
		}

		count := 1
		for ; ; count++ {
			if _, err := stream.Recv(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}

		if count != lines {
			t.Errorf("%v: read %d messages of %d", pairs, count, lines)
		}
	}
}
