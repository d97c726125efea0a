package sink_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	eventsapi "github.com/basalt-os/basalt/api/events"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/events"
	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/sink"
)

var quiet = slog.New(slog.DiscardHandler)

// background runs f until the test ends, and waits for it then.
func background(t *testing.T, f func(ctx context.Context)) {
	t.Helper()

	ctx, cancel := context.WithCancel(context.Background())

	var wg sync.WaitGroup

	wg.Go(func() { f(ctx) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// collector is a sink that refuses the first attempt.
type collector struct {
	eventsapi.UnimplementedEventSinkServiceServer

	refuse   sync.Once
	received chan *eventsapi.EventRequest
}

func (c *collector) Publish(_ context.Context, request *eventsapi.EventRequest) (*eventsapi.EventResponse, error) {
	var err error

	c.refuse.Do(func() { err = status.Error(codes.Unavailable, "not yet") })

	if err == nil {
		c.received <- request
	}

	return &eventsapi.EventResponse{}, err
}

func TestEvents(t *testing.T) {
	t.Parallel()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	c := &collector{received: make(chan *eventsapi.EventRequest)}
	server := grpc.NewServer()
	eventsapi.RegisterEventSinkServiceServer(server, c)

	background(t, func(context.Context) { _ = server.Serve(listener) })
	t.Cleanup(server.Stop)

	ring := events.NewRing(10, nil)
	ring.Publish(events.WithActor(t.Context(), "somebody"), &machine.SequenceEvent{Sequence: "boot"})

	background(t, func(ctx context.Context) {
		if err := sink.Events(ctx, listener.Addr().String(), ring, quiet); err != nil {
			t.Error(err)
		}
	})

	first := <-c.received

	var payload machine.SequenceEvent
	if err := first.GetData().UnmarshalTo(&payload); err != nil {
		t.Fatal(err)
	}

	if payload.GetSequence() != "boot" || first.GetActorId() != "somebody" || first.GetId() == "" {
		t.Errorf("got %v", first)
	}

	ring.Publish(t.Context(), &machine.RestartEvent{Cmd: 7})

	if second := <-c.received; second.GetId() <= first.GetId() || !second.GetData().MessageIs(&machine.RestartEvent{}) {
		t.Errorf("got %v", second)
	}
}

func address(t *testing.T, text string) *url.URL {
	t.Helper()

	parsed, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}

	return parsed
}

// decoded is a record without its time, which must be one.
func decoded(t *testing.T, line []byte) map[string]any {
	t.Helper()

	var record map[string]any
	if err := json.Unmarshal(line, &record); err != nil {
		t.Fatalf("%q: %v", line, err)
	}

	at, ok := record["talos-time"].(string)
	if _, err := time.Parse(time.RFC3339Nano, at); !ok || err != nil {
		t.Errorf("time %q: %v", at, err)
	}

	delete(record, "talos-time")

	return record
}

// A server that goes away gets the lines when it is back, and those of
// services that are new.
func TestServicesOverTCP(t *testing.T) {
	t.Parallel()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()

	book := logs.NewBook(1<<10, nil)
	_, _ = book.Open("etcd").Write([]byte("begins\n"))

	background(t, func(ctx context.Context) {
		sink.Services(ctx, address(t, "tcp://"+listener.Addr().String()), map[string]string{"rack": "7"}, book, quiet)
	})

	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}

	line, err := bufio.NewReader(conn).ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]any{"msg": "begins", "rack": "7", "talos-level": "info", "talos-service": "etcd"}
	if diff := cmp.Diff(want, decoded(t, line)); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}

	// The connection is reset: a write fails sooner or later.
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}

	conn.Close()

	stop := make(chan struct{})
	written := make(chan struct{})

	go func() {
		defer close(written)

		for {
			select {
			case <-stop:
				return
			default:
				_, _ = book.Open("kubelet").Write([]byte("level=ERROR is away\n"))
			}
		}
	}()

	conn, err = listener.Accept()

	close(stop)
	<-written

	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	if line, err = bufio.NewReader(conn).ReadBytes('\n'); err != nil {
		t.Fatal(err)
	}

	// It may be that the log was faster than its reader, which is told as well.
	if record := decoded(t, line); record["talos-service"] != "kubelet" || record["talos-level"] == "info" {
		t.Errorf("got %v", record)
	}
}

func TestKernelOverUDP(t *testing.T) {
	t.Parallel()

	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	kmsg := filepath.Join(t.TempDir(), "kmsg")
	if err := unix.Mkfifo(kmsg, 0o600); err != nil {
		t.Fatal(err)
	}

	end, err := os.OpenFile(kmsg, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer end.Close()

	background(t, func(ctx context.Context) {
		if err := sink.Kernel(ctx, address(t, "udp://"+conn.LocalAddr().String()), kmsg, time.Unix(100, 0), quiet); err != nil {
			t.Error(err)
		}
	})

	if _, err := end.WriteString("12,711,6252819,-;link is up\n"); err != nil {
		t.Fatal(err)
	}

	packet := make([]byte, 1<<10)

	n, _, err := conn.ReadFrom(packet)
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]any{
		"clock": 6252819.0, "facility": "user", "priority": "warning", "seq": 711.0,
		"msg": "link is up", "talos-level": "warn",
	}
	if diff := cmp.Diff(want, decoded(t, packet[:n])); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
}

func TestServiceRecord(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name, line string
		want       map[string]any
	}{
		{"text", "hello", map[string]any{"msg": "hello", "talos-level": "info"}},
		{"key and value", `time=x level=WARN msg="a b"`, map[string]any{"msg": `time=x level=WARN msg="a b"`, "talos-level": "warn"}},
		{"JSON of etcd", `{"level":"warn","ts":"x","msg":"slow","took":1.50}`,
			map[string]any{"msg": "slow", "level": "warn", "ts": "x", "took": 1.5, "talos-level": "warn"}},
		{"another word for the message", `{"message":"m","n":2}`, map[string]any{"msg": "m", "n": 2.0, "talos-level": "info"}},
		{"an imitation", `{"talos-service":"other","talos-time":"then","msg":1}`, map[string]any{"msg": 1.0, "talos-level": "info"}},
		{"half of an object", `{"a":`, map[string]any{"msg": `{"a":`, "talos-level": "info"}},
		{"two objects", `{"a":1}{"b":2}`, map[string]any{"msg": `{"a":1}{"b":2}`, "talos-level": "info"}},
		{"no text", "\xff", map[string]any{"msg": "\uFFFD", "talos-level": "info"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()

			test.want["talos-service"] = "etcd"

			got := decoded(t, sink.ServiceRecord("etcd", logs.Line{Time: time.Unix(1, 0), Text: []byte(test.line)}, nil))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("record (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzServiceRecord(f *testing.F) {
	f.Add([]byte(`{"level":"warn","msg":"slow","took":1e999}`))
	f.Add([]byte("level=ERROR x"))
	f.Add([]byte("\xff\x00"))

	f.Fuzz(func(t *testing.T, line []byte) {
		record := sink.ServiceRecord("etcd", logs.Line{Time: time.Unix(1, 0), Text: line}, map[string]string{"tag": "value"})
		if strings.ContainsAny(string(record), "\n\r") || !json.Valid(record) {
			t.Fatalf("%q is not one line of JSON", record)
		}

		var fields map[string]any
		if err := json.Unmarshal(record, &fields); err != nil {
			// A number that this decoder has no room for is written as it came.
			var unmarshal *json.UnmarshalTypeError
			if !errors.As(err, &unmarshal) {
				t.Fatal(err)
			}

			return
		}

		if fields["talos-service"] != "etcd" || fields["tag"] != "value" || fields["msg"] == nil && !json.Valid(line) {
			t.Errorf("%q lacks a field", record)
		}
	})
}
