package server_test

import (
	"errors"
	"flag"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/basalt-os/basalt/api"
	"github.com/basalt-os/basalt/api/machine"
	securityapi "github.com/basalt-os/basalt/api/security"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/server"
	"github.com/basalt-os/basalt/internal/trust"
)

var update = flag.Bool("update", false, "write the list of methods that are not served; it may only shrink")

// Another process of the node serves what workers need to join.
var _ securityapi.SecurityServiceServer = (*trust.Server)(nil)

const unservedList = "testdata/unserved.txt"

// TestUnservedMethods calls every method that the contract declares and
// compares those that nobody serves, or that only refuse, with a list. What is
// on the list is yet to do; nothing may be added to it.
func TestUnservedMethods(t *testing.T) {
	n := newNode(t)
	got := []string{}
	for _, method := range declared(t) {
		if !n.serves(t, method) {
			got = append(got, fullMethod(method))
		}
	}
	slices.Sort(got)
	t.Logf("declared and not served yet:\n%s", strings.Join(got, "\n"))
	want := readUnserved(t)
	if *update {
		for _, method := range got {
			if !slices.Contains(want, method) {
				t.Fatalf("%s was served before", method)
			}
		}
		if err := os.WriteFile(unservedList, []byte(strings.Join(got, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("methods that are not served (-list +now), shrink the list with -update:\n%s", diff)
	}
}

func readUnserved(t *testing.T) []string {
	t.Helper()
	content, err := os.ReadFile(unservedList)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(content))
}

// declared are the methods of the node's services in the contract. The files
// of other systems are those of the ecosystem's protocols.
func declared(t *testing.T) []protoreflect.MethodDescriptor {
	t.Helper()
	files, err := api.Compile(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var methods []protoreflect.MethodDescriptor
	for _, file := range files {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			if foreign(file.Path()) {
				continue
			}
			for j := range service.Methods().Len() {
				methods = append(methods, service.Methods().Get(j))
			}
		}
	}
	return methods
}

// foreign says whether a file is a protocol that machined is no server of:
// those of the systems around the node, and that of trustd.
func foreign(path string) bool {
	for _, prefix := range []string{"v1alpha1/server/", "events/", "siderolink/", "kms/", "signer/", "security/"} {
		if strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

func fullMethod(method protoreflect.MethodDescriptor) string {
	return "/" + string(method.Parent().FullName()) + "/" + string(method.Name())
}

// serves calls a method with an empty request, or one that ends by itself, and
// says whether it does more than to refuse.
func (n *node) serves(t *testing.T, method protoreflect.MethodDescriptor) bool {
	t.Helper()
	var request proto.Message = &emptypb.Empty{}
	if method.FullName() == "machine.MachineService.Events" {
		n.events.Publish(t.Context(), &machine.TaskEvent{})
		request = &machine.EventsRequest{TailEvents: -1}
	}
	stream, err := n.conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, fullMethod(method))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	err = stream.RecvMsg(&emptypb.Empty{})
	refused := status.Code(err) == codes.FailedPrecondition && strings.Contains(err.Error(), server.ErrUnsupported.Error())
	return !refused && status.Code(err) != codes.Unimplemented
}

func TestRefusalsSayWhy(t *testing.T) {
	const ofHost = "disks belong to the host of a container node"
	for _, test := range []struct {
		platform    server.Platform
		array, disk string
	}{
		{server.Platform{Name: "container", Mode: "container"}, ofHost, ofHost},
		{server.Platform{Name: "metal", Mode: "metal"}, "does not manage software RAID arrays", "does not manage LVM volumes"},
		{server.Platform{Name: "hcloud", Mode: "cloud"}, "does not manage software RAID arrays", "does not manage LVM volumes"},
	} {
		n := newNode(t, func(o *server.Options) { o.Platform = test.platform })
		_, array := machine.NewMDServiceClient(n.conn).Destroy(t.Context(), &machine.MDDestroyRequest{})
		_, disk := machine.NewLVMServiceClient(n.conn).VolumeGroupRemove(t.Context(), &machine.LVMServiceVolumeGroupRemoveRequest{})
		for want, err := range map[string]error{test.array: array, test.disk: disk} {
			wantCode(t, err, codes.FailedPrecondition)
			if !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "platform "+test.platform.Name) {
				t.Errorf("%s: %v lacks %q", test.platform.Name, err, want)
			}
		}
	}
}

func TestEveryMethodHasARule(t *testing.T) {
	n := newNode(t)
	if err := rbac.Verify(n.services); err != nil {
		t.Error(err)
	}
	if len(n.services) != 12 {
		t.Errorf("got %d services, want 12", len(n.services))
	}
}
