package state_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	cosi "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/rbac"
	"github.com/basalt-os/basalt/internal/reconcile"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
	"github.com/basalt-os/basalt/internal/resources/meta"
	"github.com/basalt-os/basalt/internal/resources/network"
	"github.com/basalt-os/basalt/internal/resources/secrets"
	"github.com/basalt-os/basalt/internal/state"
)

func TestRefusedWatches(t *testing.T) {
	store, client := serve(t, rbac.Reader)
	links := resource.KindOf[network.LinkStatus]()
	roots := resource.KindOf[secrets.OSRoot]()
	empty, one := "", "eth0"

	// The first bookmark is forgotten by the last of these.
	first, err := store.Watch(t.Context(), resource.WatchRequest{Kind: links, Position: true})
	if err != nil {
		t.Fatal(err)
	}

	old, err := first.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	for i := range 3 * resource.DefaultHistory {
		create(t, store, resource.New(fmt.Sprint(i), network.LinkStatus{}))
	}

	for name, test := range map[string]struct {
		kind    resource.Kind
		id      *string
		options *cosi.WatchOptions
		want    codes.Code
	}{
		"unknown type":      {kind: resource.Kind{Namespace: "network", Type: "Nonsense"}, want: codes.PermissionDenied},
		"unknown namespace": {kind: resource.Kind{Namespace: "nowhere", Type: links.Type}, want: codes.PermissionDenied},
		"secrets":           {kind: roots, want: codes.PermissionDenied},
		"bad expression":    {kind: links, options: &cosi.WatchOptions{IdQuery: &cosi.IDQuery{Regexp: "("}}, want: codes.InvalidArgument},
		"no value": {kind: links, options: &cosi.WatchOptions{LabelQuery: []*cosi.LabelQuery{
			{Terms: []*cosi.LabelTerm{{Key: "k", Op: cosi.LabelTerm_EQUAL}}},
		}}, want: codes.InvalidArgument},
		"unknown operation": {kind: links, options: &cosi.WatchOptions{LabelQuery: []*cosi.LabelQuery{
			{Terms: []*cosi.LabelTerm{{Key: "k", Op: 99}}},
		}}, want: codes.InvalidArgument},
		"negative tail":   {kind: links, options: &cosi.WatchOptions{TailEvents: -1}, want: codes.InvalidArgument},
		"empty ID":        {kind: links, id: &empty, want: codes.InvalidArgument},
		"contents of one": {kind: links, id: &one, options: &cosi.WatchOptions{BootstrapContents: true}, want: codes.InvalidArgument},
		"two beginnings": {kind: links, options: &cosi.WatchOptions{
			BootstrapContents: true, TailEvents: 1,
		}, want: codes.InvalidArgument},
		"bad bookmark": {kind: links, options: &cosi.WatchOptions{StartFromBookmark: []byte("x")}, want: codes.FailedPrecondition},
		"old bookmark": {kind: links, options: &cosi.WatchOptions{StartFromBookmark: old.Bookmark}, want: codes.FailedPrecondition},
	} {
		stream, err := client.Watch(t.Context(), &cosi.WatchRequest{
			Namespace: test.kind.Namespace, Type: test.kind.Type, Id: test.id, Options: test.options,
		})
		if err != nil {
			t.Fatal(err)
		}

		if _, err := stream.Recv(); status.Code(err) != test.want {
			t.Errorf("%s: got %v, want %v", name, err, test.want)
		}
	}
}

func TestAggregatedWatch(t *testing.T) {
	store, client := serve(t, rbac.Reader)
	kind := resource.KindOf[network.LinkStatus]()

	for i := range 100 {
		create(t, store, resource.New(fmt.Sprintf("%03d", i), network.LinkStatus{}))
	}

	stream, err := client.Watch(t.Context(), &cosi.WatchRequest{
		Namespace: kind.Namespace, Type: kind.Type, ApiVersion: 1,
		Options: &cosi.WatchOptions{BootstrapContents: true, Aggregated: true},
	})
	if err != nil {
		t.Fatal(err)
	}

	var sizes []int

	for last := cosi.EventType_CREATED; last != cosi.EventType_BOOTSTRAPPED; {
		response, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}

		sizes = append(sizes, len(response.GetEvent()))
		last = response.GetEvent()[len(response.GetEvent())-1].GetEventType()
	}

	if diff := cmp.Diff([]int{64, 37}, sizes); diff != "" {
		t.Error(diff)
	}
}

func TestWatchTellsOldAndNew(t *testing.T) {
	store, client := serve(t, rbac.Reader)
	kind := resource.KindOf[network.HostnameStatus]()

	next := watcher(t, client, &cosi.WatchRequest{
		Namespace: kind.Namespace, Type: kind.Type,
		Options: &cosi.WatchOptions{BootstrapBookmark: true},
	})

	if event := next(); event.GetEventType() != cosi.EventType_NOOP || len(event.GetBookmark()) == 0 || event.GetResource() != nil {
		t.Errorf("a bookmark should come first, got %v", event)
	}

	create(t, store, resource.New("hostname", network.HostnameStatus{Hostname: "before"}))

	stored, err := resource.Get[network.HostnameStatus](t.Context(), store, "hostname")
	if err != nil {
		t.Fatal(err)
	}

	changed := stored.Copy()
	changed.Spec.Hostname = "after"

	if err := store.Update(t.Context(), changed, "test"); err != nil {
		t.Fatal(err)
	}

	if err := store.Destroy(t.Context(), resource.PointerOf[network.HostnameStatus]("hostname"), "test"); err != nil {
		t.Fatal(err)
	}

	type event struct{ Type, Version, Old string }

	var got []event

	for range 3 {
		e := next()
		got = append(got, event{e.GetEventType().String(), e.GetResource().GetMetadata().GetVersion(), e.GetOld().GetMetadata().GetVersion()})
	}

	if diff := cmp.Diff([]event{{"CREATED", "1", ""}, {"UPDATED", "2", "1"}, {"DESTROYED", "2", ""}}, got); diff != "" {
		t.Error(diff)
	}
}

// TestClientsFindTheirWay reads what a client reads to resolve an alias and to
// print a table.
func TestClientsFindTheirWay(t *testing.T) {
	_, client := serve(t, rbac.Reader)
	kind := resource.KindOf[meta.ResourceDefinition]()

	table, err := resources.NewTable()
	if err != nil {
		t.Fatal(err)
	}

	entry, ok := table.Get(kind.Type)
	if !ok {
		t.Fatal("the type of types is not in the table")
	}

	stream, err := client.List(t.Context(), &cosi.ListRequest{Namespace: kind.Namespace, Type: kind.Type})
	if err != nil {
		t.Fatal(err)
	}

	found := map[string]meta.ResourceDefinition{}

	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}

		var definition meta.ResourceDefinition
		if err := entry.Codec.DecodeWire(response.GetResource().GetSpec().GetProtoSpec(), &definition); err != nil {
			t.Fatal(err)
		}

		found[response.GetResource().GetMetadata().GetId()] = definition
	}

	served := 0

	for _, entry := range table.Entries() {
		if entry.Served {
			served++

			if diff := cmp.Diff(entry.ResourceDefinition(), found[entry.ID]); diff != "" {
				t.Errorf("%s: %s", entry.ID, diff)
			}
		}
	}

	if len(found) != served {
		t.Errorf("%d types are told, %d are served", len(found), served)
	}

	namespace, err := client.Get(t.Context(), &cosi.GetRequest{
		Namespace: "meta", Type: resource.KindOf[meta.Namespace]().Type, Id: "network",
	})
	if err != nil || namespace.GetResource().GetSpec().GetYamlSpec() == "" {
		t.Errorf("namespace: %v, %v", namespace, err)
	}
}

// TestOwnProcesses serves some types without asking for roles.
func TestOwnProcesses(t *testing.T) {
	table, err := resources.NewTable(resources.Describe[reconcile.Status]())
	if err != nil {
		t.Fatal(err)
	}

	store := resource.NewStore()
	roots, statuses := resource.KindOf[secrets.OSRoot](), resource.KindOf[reconcile.Status]()
	server := state.NewFor(store, table, roots.Type)

	create(t, store, resource.New("os", secrets.OSRoot{}))
	create(t, store, resource.New("x", reconcile.Status{}))

	if _, err := server.Get(t.Context(), &cosi.GetRequest{Namespace: roots.Namespace, Type: roots.Type, Id: "os"}); err != nil {
		t.Error(err)
	}

	_, err = server.Get(t.Context(), &cosi.GetRequest{Namespace: statuses.Namespace, Type: statuses.Type, Id: "x"})
	if status.Code(err) != codes.PermissionDenied {
		t.Errorf("a type that is not named: %v", err)
	}

	all := state.New(store, table)
	if _, err = all.Get(t.Context(), &cosi.GetRequest{Namespace: statuses.Namespace, Type: statuses.Type, Id: "x"}); err != nil {
		t.Errorf("a type of our own: %v", err)
	}
}

// slowStream is the stream of a client that takes nothing until the store has
// moved on.
type slowStream struct {
	grpc.ServerStreamingServer[cosi.WatchResponse]
	ctx    context.Context //nolint:containedctx // how gRPC passes it
	before func()
	sent   []*cosi.WatchResponse
}

func (s *slowStream) Context() context.Context { return s.ctx }

func (s *slowStream) SendHeader(metadata.MD) error {
	s.before()

	return nil
}

func (s *slowStream) Send(response *cosi.WatchResponse) error {
	s.sent = append(s.sent, response)

	return nil
}

func TestSlowWatcherIsTold(t *testing.T) {
	table, err := resources.NewTable()
	if err != nil {
		t.Fatal(err)
	}

	store := resource.NewStore(resource.WithHistory(1))
	kind := resource.KindOf[network.LinkStatus]()

	stream := &slowStream{ctx: rbac.WithRoles(t.Context(), rbac.Reader), before: func() {
		for i := range 9 {
			create(t, store, resource.New(fmt.Sprint(i), network.LinkStatus{}))
		}
	}}

	request := &cosi.WatchRequest{Namespace: kind.Namespace, Type: kind.Type}
	if err := state.New(store, table).Watch(request, stream); err != nil {
		t.Fatal(err)
	}

	if len(stream.sent) != 1 || stream.sent[0].GetEvent()[0].GetEventType() != cosi.EventType_ERRORED ||
		stream.sent[0].GetEvent()[0].GetError() == "" {
		t.Errorf("got %v", stream.sent)
	}
}
