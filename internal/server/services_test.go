package server_test

import (
	"context"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api/inspect"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/service"
)

// idle is a service that runs until it is stopped.
func idle(id string, allow service.Operations) service.Definition {
	run := service.Function(func(ctx context.Context, _ io.Writer) error {
		<-ctx.Done()
		return nil
	})
	return service.Definition{
		ID:      id,
		Allow:   allow,
		Prepare: func(context.Context) (service.Runner, error) { return run, nil },
	}
}

func TestServices(t *testing.T) {
	n := newNode(t)
	if err := n.supervisor.Add(idle("kubelet", service.CanStart|service.CanStop|service.CanRestart), idle("machined", 0)); err != nil {
		t.Fatal(err)
	}
	client := machine.NewMachineServiceClient(n.conn)
	started, err := client.ServiceStart(t.Context(), &machine.ServiceStartRequest{Id: "kubelet"})
	if err != nil || started.GetMessages()[0].GetResp() == "" {
		t.Fatalf("got %v, %v", started, err)
	}
	if err := n.supervisor.WaitUp(t.Context(), "kubelet"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ServiceRestart(t.Context(), &machine.ServiceRestartRequest{Id: "kubelet"}); err != nil {
		t.Fatal(err)
	}
	if err := n.supervisor.WaitUp(t.Context(), "kubelet"); err != nil {
		t.Fatal(err)
	}
	if _, err := client.ServiceStop(t.Context(), &machine.ServiceStopRequest{Id: "kubelet"}); err != nil {
		t.Fatal(err)
	}
	list, err := client.ServiceList(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, info := range list.GetMessages()[0].GetServices() {
		states[info.GetId()] = info.GetState()
		if events := info.GetEvents().GetEvents(); info.GetId() == "kubelet" && (len(events) < 3 || events[0].GetTs() == nil) {
			t.Errorf("got events %v", events)
		}
	}
	want := map[string]string{"kubelet": service.Finished.String(), "machined": service.Initialized.String()}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("states (-want +got):\n%s", diff)
	}
}

func TestServiceErrors(t *testing.T) {
	n := newNode(t)
	if err := n.supervisor.Add(idle("machined", 0)); err != nil {
		t.Fatal(err)
	}
	client := machine.NewMachineServiceClient(n.conn)
	_, err := client.ServiceStart(t.Context(), &machine.ServiceStartRequest{Id: "nobody"})
	wantCode(t, err, codes.NotFound)
	_, err = client.ServiceStop(t.Context(), &machine.ServiceStopRequest{Id: "machined"})
	wantCode(t, err, codes.FailedPrecondition)
	_, err = client.ServiceRestart(t.Context(), &machine.ServiceRestartRequest{Id: "machined"})
	wantCode(t, err, codes.FailedPrecondition)
}

func TestControllerDependencies(t *testing.T) {
	n := newNode(t)
	n.controllers.graph = reconcile.Graph{{
		Controller: "k8s.EndpointController",
		Inputs: []reconcile.Input{
			{Namespace: "config", Type: "A", ID: "one"},
			{Namespace: "k8s", Type: "B", Mode: reconcile.Strong},
			{Namespace: "k8s", Type: "C", Mode: reconcile.DestroyReady},
		},
		Outputs: []reconcile.Output{{Type: "D"}, {Type: "E", Shared: true}},
	}}
	reply, err := inspect.NewInspectServiceClient(n.conn).ControllerRuntimeDependencies(t.Context(), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, edge := range reply.GetMessages()[0].GetEdges() {
		got = append(got, edge.GetEdgeType().String()+" "+edge.GetResourceNamespace()+"/"+edge.GetResourceType()+"/"+edge.GetResourceId())
	}
	want := []string{
		"OUTPUT_EXCLUSIVE /D/", "OUTPUT_SHARED /E/",
		"INPUT_WEAK config/A/one", "INPUT_STRONG k8s/B/", "INPUT_DESTROY_READY k8s/C/",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("edges (-want +got):\n%s", diff)
	}
}
