package server_test

import (
	"bufio"
	"context"
	"fmt"
	"syscall"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/basalt-os/basalt/api/common"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/server"
)

// Debug reads a line, answers it, and ends with what it is told by a signal
// and a terminal size.
func (f *fakeContainers) Debug(_ context.Context, spec server.DebugSpec, session server.DebugSession) (int32, error) {
	if f.err != nil {
		return 0, f.err
	}
	line, err := bufio.NewReader(session.Stdin).ReadString('\n')
	if err != nil {
		return 0, err
	}
	fmt.Fprintf(session.Stdout, "%s %s got %s", spec.Namespace, spec.Image, line)
	size := <-session.Sizes
	if signal := <-session.Signals; signal != syscall.SIGINT {
		return 0, fmt.Errorf("got signal %v", signal)
	}
	return int32(size.Width), nil
}

func debugRequest(image string, profile machine.DebugContainerRunRequestSpec_Profile) *machine.DebugContainerRunRequest {
	return &machine.DebugContainerRunRequest{Request: &machine.DebugContainerRunRequest_Spec{Spec: &machine.DebugContainerRunRequestSpec{
		Containerd: &common.ContainerdInstance{Namespace: common.ContainerdNamespace_NS_SYSTEM},
		ImageName:  image,
		Profile:    profile,
	}}}
}

func TestDebugContainer(t *testing.T) {
	n := newNode(t)
	stream, err := machine.NewDebugServiceClient(n.conn).ContainerRun(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []*machine.DebugContainerRunRequest{
		debugRequest("tools", machine.DebugContainerRunRequestSpec_PROFILE_PRIVILEGED),
		{Request: &machine.DebugContainerRunRequest_StdinData{StdinData: []byte("hel")}},
		{Request: &machine.DebugContainerRunRequest_StdinData{StdinData: []byte("lo\n")}},
		{Request: &machine.DebugContainerRunRequest_TermResize{TermResize: &machine.DebugContainerTerminalResize{Width: 80, Height: 25}}},
		{Request: &machine.DebugContainerRunRequest_Signal{Signal: int32(syscall.SIGINT)}},
	} {
		if err := stream.Send(request); err != nil {
			t.Fatal(err)
		}
	}
	reply, err := stream.Recv()
	if err != nil || string(reply.GetStdoutData()) != "system tools got hello\n" {
		t.Fatalf("got %v, %v", reply, err)
	}
	reply, err = stream.Recv()
	if err != nil || reply.GetExitCode() != 80 {
		t.Fatalf("got %v, %v", reply, err)
	}
}

func TestDebugContainerErrors(t *testing.T) {
	for name, test := range map[string]struct {
		request *machine.DebugContainerRunRequest
		err     error
		want    codes.Code
	}{
		"no spec":         {&machine.DebugContainerRunRequest{}, nil, codes.InvalidArgument},
		"no image":        {debugRequest("", 0), nil, codes.InvalidArgument},
		"unknown profile": {debugRequest("tools", 9), nil, codes.InvalidArgument},
		"image not there": {debugRequest("tools", 0), server.ErrUnknown, codes.NotFound},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t)
			n.containers.err = test.err
			stream, err := machine.NewDebugServiceClient(n.conn).ContainerRun(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := stream.Send(test.request); err != nil {
				t.Fatal(err)
			}
			_, err = stream.Recv()
			wantCode(t, err, test.want)
		})
	}
}
