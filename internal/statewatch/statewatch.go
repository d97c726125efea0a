// Package statewatch follows resources of the node's store over a Unix socket.
// It is how apid and trustd, which are processes of their own, learn their
// certificates and settings from machined.
package statewatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"

	cosiresource "github.com/basalt-os/basalt/api/cosi/resource"
	"github.com/basalt-os/basalt/internal/resource"
	"github.com/basalt-os/basalt/internal/resource/codec"
)

// retryAfter is the pause before a broken watch is started again.
const retryAfter = time.Second

// Dial prepares a connection to a state socket. The caller closes it.
func Dial(socket string) (*grpc.ClientConn, error) {
	conn, err := grpc.NewClient("unix://"+socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
		}))
	if err != nil {
		return nil, fmt.Errorf("preparing connection to state socket %s: %w", socket, err)
	}

	return conn, nil
}

// Follow calls changed with the spec of one resource, in its type's default
// namespace, when it is there and at every change, and with nil when it is
// deleted. It starts again when the connection breaks, and then may call
// changed with a spec that is the same as before. It returns when the context
// ends (nil), or when what machined sends makes no sense.
func Follow[T resource.Spec](
	ctx context.Context, conn grpc.ClientConnInterface, id string, logger *slog.Logger, changed func(*T),
) error {
	f, err := newFollower(conn, id, changed)
	if err != nil {
		return err
	}

	for {
		err := f.watch(ctx)

		if ctx.Err() != nil {
			return nil //nolint:nilerr // the context ended, as it should.
		}

		if bad := new(specError); errors.As(err, &bad) {
			return bad
		}

		logger.Warn("watch broke, starting it again", "type", f.definition.Type, "error", err)

		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryAfter):
		}
	}
}

// specError says that a spec could not be decoded.
type specError struct {
	kind string
	err  error
}

func (e *specError) Error() string { return fmt.Sprintf("decoding %s: %v", e.kind, e.err) }

func (e *specError) Unwrap() error { return e.err }

type follower[T resource.Spec] struct {
	state      cosiresource.StateClient
	id         string
	definition resource.Definition
	codec      *codec.Codec
	changed    func(*T)
}

func newFollower[T resource.Spec](conn grpc.ClientConnInterface, id string, changed func(*T)) (*follower[T], error) {
	var zero T

	c, err := codec.New(&zero)
	if err != nil {
		return nil, fmt.Errorf("following %s: %w", zero.Definition().Type, err)
	}

	return &follower[T]{
		state:      cosiresource.NewStateClient(conn),
		id:         id,
		definition: zero.Definition(),
		codec:      c,
		changed:    changed,
	}, nil
}

// watch follows the resource until the stream breaks.
func (f *follower[T]) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	// The whole kind is watched and filtered here: so one bootstrap event
	// tells even of a resource that is not there.
	stream, err := f.state.Watch(ctx, &cosiresource.WatchRequest{
		Namespace:  f.definition.Namespace,
		Type:       f.definition.Type,
		Options:    &cosiresource.WatchOptions{BootstrapContents: true},
		ApiVersion: 1,
	}, grpc.WaitForReady(true))
	if err != nil {
		return fmt.Errorf("watching %s: %w", f.definition.Type, err)
	}

	for {
		response, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("watching %s: %w", f.definition.Type, err)
		}

		for _, event := range response.GetEvent() {
			if err := f.handle(event); err != nil {
				return err
			}
		}
	}
}

func (f *follower[T]) handle(event *cosiresource.Event) error {
	if event.GetEventType() == cosiresource.EventType_ERRORED {
		return fmt.Errorf("watching %s: %s", f.definition.Type, event.GetError())
	}

	if event.GetResource().GetMetadata().GetId() != f.id {
		return nil
	}

	switch event.GetEventType() {
	case cosiresource.EventType_CREATED, cosiresource.EventType_UPDATED:
		spec := new(T)
		if err := f.codec.DecodeWire(event.GetResource().GetSpec().GetProtoSpec(), spec); err != nil {
			return &specError{kind: f.definition.Type, err: err}
		}

		f.changed(spec)
	case cosiresource.EventType_DESTROYED:
		f.changed(nil)
	default:
	}

	return nil
}
