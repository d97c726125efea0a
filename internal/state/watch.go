package state

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resources"
)

// maxBatch is how many events an aggregated watch puts into one message.
const maxBatch = 64

// Watch implements cosiresource.StateServer: it streams what happens to one
// resource or to a kind, until the client goes.
//
// The watch of one resource begins with what it is: CREATED, or DESTROYED when
// there is none. A client that is too slow gets an ERRORED event, after which
// the stream ends and it begins again; one whose bookmark cannot be resumed
// from gets FailedPrecondition.
func (s *Server) Watch(request *cosiresource.WatchRequest, stream grpc.ServerStreamingServer[cosiresource.WatchResponse]) error {
	kind := resource.Kind{Namespace: request.GetNamespace(), Type: request.GetType()}

	entry, err := s.entry(stream.Context(), kind)
	if err != nil {
		return err
	}

	translated, err := watchRequest(kind, request)
	if err != nil {
		return err
	}

	watch, err := s.store.Watch(stream.Context(), translated)

	switch {
	case errors.Is(err, resource.ErrLagged):
		return status.Error(codes.FailedPrecondition, err.Error())
	case err != nil:
		return toStatus(err)
	}

	// The header tells the client that the watch has begun.
	if err := stream.SendHeader(nil); err != nil {
		return err
	}

	w := watcher{
		kind:   kind,
		id:     request.GetId(),
		entry:  entry,
		watch:  watch,
		stream: stream,
		batch:  1,
	}

	if request.GetOptions().GetAggregated() {
		w.batch = maxBatch
	}

	return w.run(stream.Context())
}

func watchRequest(kind resource.Kind, request *cosiresource.WatchRequest) (resource.WatchRequest, error) {
	wanted := request.GetOptions()
	single := request.Id != nil

	options, err := listOptions(wanted.GetLabelQuery(), wanted.GetIdQuery())
	if err != nil {
		return resource.WatchRequest{}, err
	}

	switch {
	case wanted.GetTailEvents() < 0:
		return resource.WatchRequest{}, status.Errorf(codes.InvalidArgument, "watching %s: %d tail events", kind, wanted.GetTailEvents())
	case single && request.GetId() == "":
		return resource.WatchRequest{}, status.Errorf(codes.InvalidArgument, "watching %s: the ID is empty", kind)
	case single && wanted.GetBootstrapContents():
		return resource.WatchRequest{}, status.Errorf(codes.InvalidArgument, "watching %s: one resource has no contents to begin with", kind)
	case exclusive(wanted) > 1:
		return resource.WatchRequest{}, status.Errorf(codes.InvalidArgument,
			"watching %s: contents, tail and bookmark exclude each other", kind)
	}

	return resource.WatchRequest{
		Kind:      kind,
		ID:        request.GetId(),
		Current:   single,
		Bootstrap: wanted.GetBootstrapContents(),
		Position:  wanted.GetBootstrapBookmark(),
		Tail:      int(wanted.GetTailEvents()),
		Bookmark:  wanted.GetStartFromBookmark(),
		Options:   options,
	}, nil
}

// exclusive counts the ways to begin that a request names.
func exclusive(options *cosiresource.WatchOptions) int {
	count := 0

	for _, named := range []bool{options.GetBootstrapContents(), options.GetTailEvents() > 0, options.GetStartFromBookmark() != nil} {
		if named {
			count++
		}
	}

	return count
}

// watcher streams one watch to one client.
type watcher struct {
	kind   resource.Kind
	id     string
	entry  *resources.Entry
	watch  *resource.Watch
	stream grpc.ServerStreamingServer[cosiresource.WatchResponse]
	batch  int // the most events in one message
}

func (w *watcher) run(ctx context.Context) error {
	for {
		events, err := w.collect(ctx)

		if len(events) > 0 {
			if err := w.stream.Send(&cosiresource.WatchResponse{Event: events}); err != nil {
				return err
			}
		}

		switch {
		case errors.Is(err, resource.ErrLagged):
			text := err.Error()

			return w.stream.Send(&cosiresource.WatchResponse{
				Event: []*cosiresource.Event{{EventType: cosiresource.EventType_ERRORED, Error: &text}},
			})
		case err != nil:
			return toStatus(err)
		}
	}
}

// collect waits for an event and takes with it what follows at once.
func (w *watcher) collect(ctx context.Context) ([]*cosiresource.Event, error) {
	var events []*cosiresource.Event

	event, err := w.watch.Next(ctx)
	for ok := true; ok && err == nil; event, ok, err = w.watch.Poll() {
		var encoded *cosiresource.Event

		if encoded, err = w.encode(event); err != nil {
			break
		}

		if events = append(events, encoded); len(events) == w.batch {
			break
		}
	}

	return events, err
}

// encode returns the wire form of an event.
func (w *watcher) encode(event resource.Event) (*cosiresource.Event, error) {
	encoded := &cosiresource.Event{EventType: eventType(event.Type), Bookmark: event.Bookmark}

	var err error

	if event.Object != nil {
		if encoded.Resource, err = encode(w.entry, event.Object); err != nil {
			return nil, err
		}
	} else if event.Type == resource.Destroyed {
		// There is no such resource: only its place can be told.
		encoded.Resource = &cosiresource.Resource{
			Metadata: encodeMetadata(&resource.Metadata{
				Namespace: w.kind.Namespace, Type: w.kind.Type, ID: w.id,
			}),
			Spec: &cosiresource.Spec{},
		}
	}

	if event.Old != nil {
		if encoded.Old, err = encode(w.entry, event.Old); err != nil {
			return nil, err
		}
	}

	return encoded, nil
}

func eventType(t resource.EventType) cosiresource.EventType {
	switch t {
	case resource.Created:
		return cosiresource.EventType_CREATED
	case resource.Updated:
		return cosiresource.EventType_UPDATED
	case resource.Destroyed:
		return cosiresource.EventType_DESTROYED
	case resource.Bootstrapped:
		return cosiresource.EventType_BOOTSTRAPPED
	default:
		return cosiresource.EventType_NOOP
	}
}
