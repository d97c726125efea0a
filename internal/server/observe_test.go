package server_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/events"
)

func TestLogs(t *testing.T) {
	for _, test := range []struct {
		name    string
		request *machine.LogsRequest
		want    string
		code    codes.Code
	}{
		{name: "all lines", request: &machine.LogsRequest{Id: "kubelet", TailLines: -1}, want: "one\ntwo\nthree\n"},
		{name: "last lines", request: &machine.LogsRequest{Id: "kubelet", TailLines: 2}, want: "two\nthree\n"},
		{name: "unknown service", request: &machine.LogsRequest{Id: "nobody", TailLines: -1}, code: codes.NotFound},
		{name: "pod", request: &machine.LogsRequest{Id: "x", Driver: common.ContainerDriver_CRI, TailLines: -1}, want: "1\n2\n3\n4"},
		{name: "last lines of a pod", request: &machine.LogsRequest{Id: "x", Driver: common.ContainerDriver_CRI, TailLines: 2}, want: "3\n4"},
		{name: "nothing of a pod", request: &machine.LogsRequest{Id: "x", Driver: common.ContainerDriver_CRI}},
		{name: "more lines than a pod has", request: &machine.LogsRequest{Id: "x", Driver: common.ContainerDriver_CRI, TailLines: 9}, want: "1\n2\n3\n4"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			if _, err := n.logs.Open("kubelet").Write([]byte("one\ntwo\nthree\n")); err != nil {
				t.Fatal(err)
			}
			n.plant(t, map[string]string{"var/log/pods/0.log": "1\n2\n3\n4"})
			n.containers.logPath = "/var/log/pods/0.log"
			stream, err := machine.NewMachineServiceClient(n.conn).Logs(t.Context(), test.request)
			if err != nil {
				t.Fatal(err)
			}
			if test.code != codes.OK {
				_, err := stream.Recv()
				wantCode(t, err, test.code)
				return
			}
			if got := string(readAll(t, stream.Recv)); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestFollowServiceLog(t *testing.T) {
	n := newNode(t)
	log := n.logs.Open("etcd")
	write := func(text string) {
		t.Helper()
		if _, err := log.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := machine.NewMachineServiceClient(n.conn).Logs(ctx, &machine.LogsRequest{Id: "etcd", Follow: true, TailLines: -1})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, stream.Recv, "old\n")
	write("new\n")
	expect(t, stream.Recv, "new\n")
	cancel()
	_, err = stream.Recv()
	wantCode(t, err, codes.Canceled)
}

func TestFollowPodLogThroughRotation(t *testing.T) {
	n := newNode(t)
	path := filepath.Join(n.root, "var/log/pods/0.log")
	n.plant(t, map[string]string{"var/log/pods/0.log": "one\n"})
	n.containers.logPath = "/var/log/pods/0.log"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := machine.NewMachineServiceClient(n.conn).Logs(ctx, &machine.LogsRequest{
		Id: "x", Driver: common.ContainerDriver_CRI, Follow: true, TailLines: -1,
	})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, stream.Recv, "one\n")
	file, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("two\n"); err != nil {
		t.Fatal(err)
	}
	expect(t, stream.Recv, "two\n")
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(t, stream.Recv, "three\n")
}

// expect receives as many chunks as the text takes.
func expect(t *testing.T, receive func() (*common.Data, error), want string) {
	t.Helper()
	got := ""
	for len(got) < len(want) {
		chunk, err := receive()
		if err != nil {
			t.Fatalf("got %q and %v, want %q", got, err, want)
		}
		got += string(chunk.GetBytes())
	}
	if got != want {
		t.Fatalf("got %q, want %q", got, want)
	}
}

func TestLogsContainers(t *testing.T) {
	n := newNode(t)
	n.logs.Open("kubelet")
	n.logs.Open("apid")
	reply, err := machine.NewMachineServiceClient(n.conn).LogsContainers(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"apid", "kernel", "kubelet"}
	if diff := cmp.Diff(want, reply.GetMessages()[0].GetIds()); diff != "" {
		t.Errorf("ids (-want +got):\n%s", diff)
	}
}

func TestEvents(t *testing.T) {
	publish := func(n *node, actor, task string) {
		n.events.Publish(events.WithActor(context.Background(), actor), &machine.TaskEvent{Task: task})
	}
	for _, test := range []struct {
		name    string
		request *machine.EventsRequest
		want    []string
	}{
		{"new ones", &machine.EventsRequest{}, []string{"live"}},
		{"all", &machine.EventsRequest{TailEvents: -1}, []string{"one", "two", "three", "live"}},
		{"the last two", &machine.EventsRequest{TailEvents: 2}, []string{"two", "three", "live"}},
		{"of the last minute", &machine.EventsRequest{TailSeconds: 60}, []string{"one", "two", "three", "live"}},
		{"of an actor", &machine.EventsRequest{TailEvents: -1, WithActorId: "b"}, []string{"two", "live"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			n := newNode(t)
			publish(n, "a", "one")
			publish(n, "b", "two")
			publish(n, "a", "three")
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stream, err := machine.NewMachineServiceClient(n.conn).Events(ctx, test.request)
			if err != nil {
				t.Fatal(err)
			}
			// The reader has its place once the headers are there.
			if _, err := stream.Header(); err != nil {
				t.Fatal(err)
			}
			publish(n, "b", "live")
			for _, want := range test.want {
				event, err := stream.Recv()
				if err != nil {
					t.Fatal(err)
				}
				if got := event.GetData().GetTypeUrl(); got != "talos/runtime/machine.TaskEvent" {
					t.Fatalf("got type %q", got)
				}
				var task machine.TaskEvent
				if err := event.GetData().UnmarshalTo(&task); err != nil {
					t.Fatal(err)
				}
				if task.GetTask() != want || event.GetId() == "" || event.GetActorId() == "" {
					t.Fatalf("got %v of %v, want task %q", &task, event, want)
				}
			}
		})
	}
}
