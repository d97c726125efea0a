package state_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	cosi "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/state"
)

// serve returns a store and a client of its state server, whose caller has the
// given roles.
func serve(t *testing.T, roles rbac.Roles) (*resource.Store, cosi.StateClient) {
	t.Helper()

	store := resource.NewStore()

	table, err := resources.NewTable()
	if err != nil {
		t.Fatal(err)
	}

	if err := state.Describe(t.Context(), store, table); err != nil {
		t.Fatal(err)
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	server := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, request any, _ *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
			return handle(rbac.WithRoles(ctx, roles), request)
		}),
		grpc.StreamInterceptor(func(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
			return handle(service, streamWith{stream, rbac.WithRoles(stream.Context(), roles)})
		}),
	)
	state.New(store, table).Register(server)

	done := make(chan error, 1)

	go func() { done <- server.Serve(listener) }()

	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() {
		conn.Close() //nolint:errcheck // test client
		server.Stop()

		if err := <-done; err != nil {
			t.Error(err)
		}
	})

	return store, cosi.NewStateClient(conn)
}

type streamWith struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // how gRPC passes it
}

func (s streamWith) Context() context.Context { return s.ctx }

func create(t *testing.T, store *resource.Store, object resource.Object) {
	t.Helper()

	if err := store.Create(t.Context(), object, "test"); err != nil {
		t.Fatal(err)
	}
}

func TestGet(t *testing.T) {
	store, client := serve(t, rbac.Reader)
	create(t, store, resource.New("hostname", network.HostnameStatus{Hostname: "node-1"}))

	kind := resource.KindOf[network.HostnameStatus]()

	response, err := client.Get(t.Context(), &cosi.GetRequest{Namespace: kind.Namespace, Type: kind.Type, Id: "hostname"})
	if err != nil {
		t.Fatal(err)
	}

	meta := response.GetResource().GetMetadata()
	if meta.GetVersion() != "1" || meta.GetPhase() != "running" || meta.GetOwner() != "test" {
		t.Errorf("unexpected metadata %v", meta)
	}

	if got, want := response.GetResource().GetSpec().GetYamlSpec(), "hostname: node-1\ndomainname: \"\"\n"; got != want {
		t.Errorf("yaml is %q, want %q", got, want)
	}

	if len(response.GetResource().GetSpec().GetProtoSpec()) == 0 {
		t.Error("the protobuf form is missing")
	}
}

func TestRefusals(t *testing.T) {
	_, client := serve(t, rbac.Reader)
	ctx := t.Context()
	hostnames := resource.KindOf[network.HostnameStatus]()
	roots := resource.KindOf[secrets.OSRoot]()

	get := func(namespace, resourceType string) error {
		_, err := client.Get(ctx, &cosi.GetRequest{Namespace: namespace, Type: resourceType, Id: "x"})

		return err
	}

	_, createErr := client.Create(ctx, &cosi.CreateRequest{})
	_, destroyErr := client.Destroy(ctx, &cosi.DestroyRequest{})

	for name, test := range map[string]struct {
		err  error
		want codes.Code
	}{
		"missing":   {get(hostnames.Namespace, hostnames.Type), codes.NotFound},
		"unknown":   {get("network", "Nonsense.example.org"), codes.PermissionDenied},
		"sensitive": {get(roots.Namespace, roots.Type), codes.PermissionDenied},
		"create":    {createErr, codes.PermissionDenied},
		"destroy":   {destroyErr, codes.PermissionDenied},
	} {
		if got := status.Code(test.err); got != test.want {
			t.Errorf("%s: got %v, want %v", name, test.err, test.want)
		}
	}
}

func TestSensitiveForAdmins(t *testing.T) {
	store, client := serve(t, rbac.Admin)
	create(t, store, resource.New("os", secrets.OSRoot{}))

	kind := resource.KindOf[secrets.OSRoot]()
	if _, err := client.Get(t.Context(), &cosi.GetRequest{Namespace: kind.Namespace, Type: kind.Type, Id: "os"}); err != nil {
		t.Error(err)
	}
}

func TestSecretsInOpenTypesAreHidden(t *testing.T) {
	const key = "oMvfPrivateKeyOfALink"

	store, client := serve(t, rbac.Admin)
	create(t, store, resource.New("wg0", network.LinkStatus{Wireguard: network.WireguardSpec{PrivateKey: key}}))

	kind := resource.KindOf[network.LinkStatus]()

	response, err := client.Get(t.Context(), &cosi.GetRequest{Namespace: kind.Namespace, Type: kind.Type, Id: "wg0"})
	if err != nil {
		t.Fatal(err)
	}

	spec := response.GetResource().GetSpec()
	if text := spec.GetYamlSpec(); strings.Contains(text, key) || !strings.Contains(text, "privateKey: '******'") {
		t.Errorf("the yaml form does not hide the key: %s", text)
	}

	if bytes.Contains(spec.GetProtoSpec(), []byte(key)) {
		t.Error("the protobuf form does not hide the key")
	}

	stored, err := resource.Get[network.LinkStatus](t.Context(), store, "wg0")
	if err != nil {
		t.Fatal(err)
	}

	if stored.Spec.Wireguard.PrivateKey != key {
		t.Error("hiding the key changed what is stored")
	}
}

func TestListByLabelAndID(t *testing.T) {
	store, client := serve(t, rbac.Reader)

	for _, id := range []string{"eth0", "eth1", "lo"} {
		link := resource.New(id, network.LinkStatus{})
		if id != "lo" {
			link.Meta.SetLabel("physical", "true")
		}

		create(t, store, link)
	}

	kind := resource.KindOf[network.LinkStatus]()

	list := func(options *cosi.ListOptions) []string {
		stream, err := client.List(t.Context(), &cosi.ListRequest{Namespace: kind.Namespace, Type: kind.Type, Options: options})
		if err != nil {
			t.Fatal(err)
		}

		var ids []string

		for {
			response, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return ids
			} else if err != nil {
				t.Fatal(err)
			}

			ids = append(ids, response.GetResource().GetMetadata().GetId())
		}
	}

	physical := []*cosi.LabelQuery{{Terms: []*cosi.LabelTerm{{Key: "physical", Op: cosi.LabelTerm_EXISTS}}}}
	virtual := []*cosi.LabelQuery{{Terms: []*cosi.LabelTerm{{Key: "physical", Op: cosi.LabelTerm_NOT_EXISTS}}}}

	for name, test := range map[string]struct {
		options *cosi.ListOptions
		want    []string
	}{
		"all":            {nil, []string{"eth0", "eth1", "lo"}},
		"label":          {&cosi.ListOptions{LabelQuery: physical}, []string{"eth0", "eth1"}},
		"no label":       {&cosi.ListOptions{LabelQuery: virtual}, []string{"lo"}},
		"either":         {&cosi.ListOptions{LabelQuery: append(physical, virtual...)}, []string{"eth0", "eth1", "lo"}},
		"id":             {&cosi.ListOptions{IdQuery: &cosi.IDQuery{Regexp: "0$"}}, []string{"eth0"}},
		"label and id":   {&cosi.ListOptions{LabelQuery: physical, IdQuery: &cosi.IDQuery{Regexp: "^eth1$"}}, []string{"eth1"}},
		"nothing at all": {&cosi.ListOptions{IdQuery: &cosi.IDQuery{Regexp: "^wlan"}}, nil},
	} {
		if diff := cmp.Diff(test.want, list(test.options)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// watcher reads the events of a watch, one at a time.
func watcher(t *testing.T, client cosi.StateClient, request *cosi.WatchRequest) func() *cosi.Event {
	t.Helper()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)

	stream, err := client.Watch(ctx, request)
	if err != nil {
		t.Fatal(err)
	}

	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}

	return func() *cosi.Event {
		t.Helper()

		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}

		return response.GetEvent()[0]
	}
}

func TestWatchResumesFromBookmark(t *testing.T) {
	store, client := serve(t, rbac.Reader)
	kind := resource.KindOf[network.LinkStatus]()

	create(t, store, resource.New("eth0", network.LinkStatus{}))

	next := watcher(t, client, &cosi.WatchRequest{Namespace: kind.Namespace, Type: kind.Type,
		Options: &cosi.WatchOptions{BootstrapContents: true}})

	if event := next(); event.GetEventType() != cosi.EventType_CREATED || event.GetResource().GetMetadata().GetId() != "eth0" {
		t.Errorf("unexpected first event %v", event)
	}

	bootstrapped := next()
	if bootstrapped.GetEventType() != cosi.EventType_BOOTSTRAPPED {
		t.Errorf("unexpected second event %v", bootstrapped)
	}

	create(t, store, resource.New("eth1", network.LinkStatus{}))

	live := next()

	resumed := watcher(t, client, &cosi.WatchRequest{Namespace: kind.Namespace, Type: kind.Type,
		Options: &cosi.WatchOptions{StartFromBookmark: bootstrapped.GetBookmark()}})()

	for _, event := range []*cosi.Event{live, resumed} {
		if event.GetEventType() != cosi.EventType_CREATED || event.GetResource().GetMetadata().GetId() != "eth1" {
			t.Errorf("unexpected event %v", event)
		}
	}
}

func TestWatchOfOneResource(t *testing.T) {
	store, client := serve(t, rbac.Reader)
	kind := resource.KindOf[network.LinkStatus]()
	id := "eth0"

	next := watcher(t, client, &cosi.WatchRequest{Namespace: kind.Namespace, Type: kind.Type, Id: &id})

	if event := next(); event.GetEventType() != cosi.EventType_DESTROYED || event.GetResource().GetMetadata().GetId() != id {
		t.Errorf("the absence should come first, got %v", event)
	}

	create(t, store, resource.New("eth1", network.LinkStatus{}))
	create(t, store, resource.New(id, network.LinkStatus{}))

	if event := next(); event.GetEventType() != cosi.EventType_CREATED || event.GetResource().GetMetadata().GetId() != id {
		t.Errorf("unexpected event %v", event)
	}

	again := watcher(t, client, &cosi.WatchRequest{Namespace: kind.Namespace, Type: kind.Type, Id: &id})

	if event := again(); event.GetEventType() != cosi.EventType_CREATED {
		t.Errorf("the resource should come first, got %v", event)
	}
}
