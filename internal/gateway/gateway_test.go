package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/api/machine"
	"github.com/basalt-os/basalt/internal/gateway"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/pkg/secrets"
)

func TestLocalCall(t *testing.T) {
	f := newFleet(t, 1)

	var header, trailer metadata.MD

	resp, err := f.admin(0).Version(with(t, "custom", "kept", "talos-role", "os:reader"), &emptypb.Empty{},
		grpc.Header(&header), grpc.Trailer(&trailer), grpc.UseCompressor(gzip.Name))
	if err != nil {
		t.Fatal(err)
	}

	got := resp.GetMessages()[0]
	if got.GetMetadata() != nil || got.GetVersion().GetTag() != "node0" || got.GetPlatform().GetName() != "os:admin" {
		t.Errorf("got %v", got)
	}

	if diff := cmp.Diff([]string{"node0"}, header.Get("header-from")); diff != "" {
		t.Error("header:", diff)
	}

	if diff := cmp.Diff([]string{"node0"}, trailer.Get("trailer-from")); diff != "" {
		t.Error("trailer:", diff)
	}

	if diff := cmp.Diff([]string{"kept"}, f.nodes[0].lastMetadata().Get("custom")); diff != "" {
		t.Error("request metadata:", diff)
	}
}

func TestErrorsPassWithDetails(t *testing.T) {
	f := newFleet(t, 2)

	for _, md := range [][]string{nil, {"node", nodeAddress(1)}} {
		_, err := f.admin(0).ServiceList(with(t, md...), &emptypb.Empty{})

		st := status.Convert(err)
		if st.Code() != codes.Aborted || len(st.Details()) != 1 {
			t.Errorf("metadata %v: got %v with details %v", md, err, st.Details())
		}
	}
}

func TestOneNode(t *testing.T) {
	f := newFleet(t, 3)

	resp, err := f.admin(0).Version(with(t, "node", nodeAddress(2)), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}

	got := resp.GetMessages()[0]
	if got.GetMetadata() != nil || got.GetVersion().GetTag() != "node2" || got.GetPlatform().GetName() != "os:admin" {
		t.Errorf("got %v", got)
	}

	md := f.nodes[2].lastMetadata()
	if md.Get("node") != nil || md.Get("proxyfrom") != nil {
		t.Errorf("routing metadata reached machined: %v", md)
	}

	// Services without room for node metadata can be called on one node.
	state := cosiresource.NewStateClient(f.dial(0, f.clientCert(rbac.Reader)))

	object, err := state.Get(with(t, "node", nodeAddress(1)), &cosiresource.GetRequest{})
	if err != nil || object.GetResource().GetMetadata().GetId() != "node1" {
		t.Errorf("State.Get: %v, %v", object, err)
	}
}

func TestManyNodes(t *testing.T) {
	f := newFleet(t, 3)

	const absent = "127.0.5.200"

	resp, err := f.admin(0).Version(
		with(t, "nodes", nodeAddress(2), "nodes", absent, "nodes", nodeAddress(0), "nodes", nodeAddress(2)), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}

	var got []string
	for _, m := range resp.GetMessages() {
		got = append(got, fmt.Sprintf("%s %s %s %s", m.GetMetadata().GetHostname(), m.GetVersion().GetTag(),
			m.GetPlatform().GetName(), codes.Code(m.GetMetadata().GetStatus().GetCode())))
	}

	want := []string{
		nodeAddress(2) + " node2 os:admin OK",
		absent + "   Unavailable",
		nodeAddress(0) + " node0 os:admin OK",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}

	if failure := resp.GetMessages()[1].GetMetadata(); failure.GetError() == "" || failure.GetStatus().GetMessage() == "" {
		t.Errorf("failure says nothing: %v", failure)
	}
}

func TestErrorsOfManyNodes(t *testing.T) {
	f := newFleet(t, 2)

	resp, err := f.admin(0).ServiceList(with(t, "nodes", nodeAddress(0), "nodes", nodeAddress(1)), &emptypb.Empty{})
	if err != nil {
		t.Fatal(err)
	}

	for i, m := range resp.GetMessages() {
		st := status.FromProto(m.GetMetadata().GetStatus())
		if m.GetMetadata().GetHostname() != nodeAddress(i) || st.Code() != codes.Aborted || len(st.Details()) != 1 {
			t.Errorf("node %d: %v", i, m)
		}
	}
}

func TestRequestsThatCannotBeRouted(t *testing.T) {
	f := newFleet(t, 2)
	conn := f.dial(0, f.clientCert(rbac.Admin))

	for name, pairs := range map[string][]string{
		"both":          {"node", "a", "nodes", "b"},
		"two of one":    {"node", "a", "node", "b"},
		"a port":        {"node", "127.0.0.1:22"},
		"a path":        {"node", "unix:///etc/passwd"},
		"empty":         {"nodes", ""},
		"a zone":        {"node", "fe80::1%eth0"},
		"a bad label":   {"nodes", "-a"},
		"too many":      manyNodes(),
		"one is broken": {"nodes", "a", "nodes", "b c"},
	} {
		if _, err := machine.NewMachineServiceClient(conn).Version(with(t, pairs...), &emptypb.Empty{}); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}

	_, err := cosiresource.NewStateClient(conn).Get(with(t, "nodes", nodeAddress(1)), &cosiresource.GetRequest{})
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("merging what cannot be merged: %v", err)
	}
}

func manyNodes() []string {
	var pairs []string
	for i := range 1025 {
		pairs = append(pairs, "nodes", fmt.Sprint("n", i))
	}

	return pairs
}

func TestRequestsOfGatewaysGoNoFurther(t *testing.T) {
	f := newFleet(t, 2)

	resp, err := f.admin(0).Version(with(t, "proxyfrom", "elsewhere", "node", nodeAddress(1)), &emptypb.Empty{})
	if err != nil || resp.GetMessages()[0].GetVersion().GetTag() != "node0" {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestRoutingDisabled(t *testing.T) {
	f := newFleet(t, 2)
	settings := f.nodes[0].settings
	settings.RoutingDisabled = true
	f.nodes[0].Update(settings)

	client := f.admin(0)
	if _, err := client.Version(with(t, "node", nodeAddress(1)), &emptypb.Empty{}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("got %v", err)
	}

	if _, err := client.Version(with(t), &emptypb.Empty{}); err != nil {
		t.Error(err)
	}
}

func TestRoles(t *testing.T) {
	f := newFleet(t, 2)

	for _, test := range []struct {
		certificate rbac.Roles
		stated      []string
		want        string
	}{
		{certificate: rbac.Reader, want: "os:reader"},
		{certificate: rbac.Reader, stated: []string{"os:admin"}, want: "os:reader"},
		{certificate: rbac.Operator | rbac.EtcdBackup, want: "os:operator,os:etcd:backup"},
		{certificate: rbac.Impersonator | rbac.Reader, stated: []string{"os:operator", "os:impersonator"}, want: "os:operator"},
		{certificate: rbac.EtcdBackup, want: ""},
		{certificate: rbac.None, want: ""},
	} {
		client := machine.NewMachineServiceClient(f.dial(0, f.clientCert(test.certificate)))

		for _, routing := range [][]string{nil, {"node", nodeAddress(1)}} {
			pairs := slices.Clone(routing)
			for _, role := range test.stated {
				pairs = append(pairs, rbac.RoleMetadata, role)
			}

			resp, err := client.Version(with(t, pairs...), &emptypb.Empty{})
			if test.want == "" {
				if status.Code(err) != codes.PermissionDenied {
					t.Errorf("%+v, %v: %v", test, routing, err)
				}

				continue
			}

			if err != nil {
				t.Errorf("%+v, %v: %v", test, routing, err)
			} else if got := resp.GetMessages()[0].GetPlatform().GetName(); got != test.want {
				t.Errorf("%+v, %v: handler saw %s", test, routing, got)
			}
		}
	}
}

func TestCertificatesThatAreRefused(t *testing.T) {
	f := newFleet(t, 1)
	admins := secrets.Request{Organizations: []string{"os:admin"}}
	expired := admins
	expired.NotBefore, expired.TTL = time.Now().Add(-2*time.Hour), time.Hour
	future := admins
	future.NotBefore = time.Now().Add(time.Hour)

	for name, certs := range map[string][]tls.Certificate{
		"none":            nil,
		"other authority": {pair(t, admins, newCA(t).IssueClient)},
		"expired":         {pair(t, expired, f.ca.IssueClient)},
		"not yet valid":   {pair(t, future, f.ca.IssueClient)},
		"server's usage":  {pair(t, admins, f.ca.IssueServer)},
	} {
		client := machine.NewMachineServiceClient(f.dial(0, certs...))
		if _, err := client.Version(with(t), &emptypb.Empty{}); status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNodesMustProveWhoTheyAre(t *testing.T) {
	for name, test := range map[string]struct {
		cert func(*fleet) tls.Certificate
		want string
	}{
		"other address": {
			cert: func(f *fleet) tls.Certificate { return f.serverCert("127.0.5.77") },
			want: "not 127.0.5.2",
		},
		"other authority": {
			cert: func(f *fleet) tls.Certificate {
				return (&fleet{t: f.t, ca: newCA(f.t)}).serverCert(nodeAddress(1))
			},
			want: "unknown authority",
		},
		"client's usage": {
			cert: func(f *fleet) tls.Certificate {
				return pair(f.t, secrets.Request{IPs: []netip.Addr{netip.MustParseAddr(nodeAddress(1))}}, f.ca.IssueClient)
			},
			want: "incompatible key usage",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFleet(t, 2)
			settings := f.nodes[1].settings
			settings.Server = test.cert(f)
			f.nodes[1].Update(settings)

			_, err := f.admin(0).Version(with(t, "node", nodeAddress(1)), &emptypb.Empty{})
			if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestRotation(t *testing.T) {
	f := newFleet(t, 2)
	old := f.admin(0)
	call := func(client machine.MachineServiceClient, pairs ...string) error {
		_, err := client.Version(with(t, pairs...), &emptypb.Empty{})

		return err
	}

	if err := call(old, "node", nodeAddress(1)); err != nil {
		t.Fatal(err)
	}

	// New authority beside the old: what is connected stays connected.
	next := &fleet{t: t, ca: newCA(t), port: f.port}
	for _, n := range f.nodes {
		client := next.clientCert(rbac.Impersonator)
		n.settings.Server, n.settings.Client = next.serverCert(n.address), &client
		n.settings.AcceptedCAs = append(n.settings.AcceptedCAs, next.ca.Certificate())
		n.Update(n.settings)
	}

	if err := call(old, "node", nodeAddress(1)); err != nil {
		t.Error("old connection after rotation:", err)
	}

	if err := call(next.admin(0), "node", nodeAddress(1)); err != nil {
		t.Error("new connection after rotation:", err)
	}

	// The old authority is gone: so are those who have its certificates.
	for _, n := range f.nodes {
		n.settings.AcceptedCAs = []*x509.Certificate{next.ca.Certificate()}
		n.Update(n.settings)
	}

	if err := call(old); status.Code(err) != codes.Unauthenticated {
		t.Error("old connection without its authority:", err)
	}

	if err := call(next.admin(0)); err != nil {
		t.Error("new connection:", err)
	}
}

func TestMaintenance(t *testing.T) {
	f := newFleet(t, 1)
	n := f.nodes[0]
	normal := n.settings
	n.Update(gateway.Settings{
		Server: n.settings.Server, RoutingDisabled: true, ReadOnlyRole: true, SkipClientVerification: true,
	})

	client := machine.NewMachineServiceClient(f.dial(0))

	resp, err := client.Version(with(t), &emptypb.Empty{})
	if err != nil || resp.GetMessages()[0].GetPlatform().GetName() != "os:reader" {
		t.Errorf("got %v, %v", resp, err)
	}

	// With a configuration, the anonymous connection is worth nothing.
	n.Update(normal)

	if _, err := client.Version(with(t), &emptypb.Empty{}); status.Code(err) != codes.Unauthenticated {
		t.Errorf("got %v", err)
	}
}

// TestEveryMethodIsDenied calls every method of the table through the gateway
// with each role alone, and compares what happens with the table.
func TestEveryMethodIsDenied(t *testing.T) {
	f := newFleet(t, 1)

	for role := rbac.Admin; role <= rbac.Impersonator; role <<= 1 {
		conn := f.dial(0, f.clientCert(role))

		for _, method := range rbac.Methods() {
			// A stream works for every kind of method.
			stream, err := conn.NewStream(with(t), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
			if err != nil {
				t.Fatal(err)
			}

			if err := errors.Join(stream.SendMsg(&emptypb.Empty{}), stream.CloseSend()); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}

			err = stream.RecvMsg(&emptypb.Empty{})
			denied := status.Code(err) == codes.PermissionDenied

			if want := rbac.Check(role, method, false) != nil; denied != want {
				t.Errorf("%s with %s: denied %t, want %t (%v)", method, role, denied, want, err)
			}
		}
	}
}

func TestUnknownMethodsAreMachinedsToRefuse(t *testing.T) {
	f := newFleet(t, 1)

	err := f.dial(0, f.clientCert(rbac.Admin)).Invoke(with(t), "/machine.Future/Call", &emptypb.Empty{}, &emptypb.Empty{})
	if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "no access rule") {
		t.Errorf("got %v", err)
	}
}
