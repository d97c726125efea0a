package gateway

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/basalt-os/basalt/internal/rbac"
)

// call is one request on its way through the gateway.
type call struct {
	gateway *Gateway
	method  string
	shape   shape
	in      grpc.ServerStream
	md      metadata.MD
	roles   rbac.Roles
}

// run passes the call to where it shall go. A stream ends when the gateway does.
func (c *call) run(to route) error {
	ctx := c.in.Context()

	if c.shape.serverStreams || c.shape.clientStreams {
		var cancel context.CancelFunc

		ctx, cancel = context.WithCancel(ctx)
		defer cancel()

		stop := context.AfterFunc(c.gateway.closing, cancel)
		defer stop()
	}

	var err error

	switch {
	case to.merge:
		err = c.toMany(ctx, to.nodes)
	case len(to.nodes) == 1:
		err = c.toOne(ctx, to.nodes[0])
	default:
		err = c.toOne(ctx, "")
	}

	if ctx.Err() != nil && c.in.Context().Err() == nil {
		return status.Error(codes.Unavailable, "the API of this node stops")
	}

	return err
}

// open starts the call on a node; an empty node is this one. The returned
// function must be called when the call has ended.
func (c *call) open(ctx context.Context, node string) (grpc.ClientStream, func(), error) {
	var (
		conn = c.gateway.backends.local
		hop  string
		done = func() {}
	)

	if node != "" && !c.gateway.local(node) {
		remote, release, err := c.gateway.backends.acquire(node)
		if err != nil {
			return nil, nil, status.Error(codes.Unavailable, err.Error())
		}

		conn, hop, done = remote, c.gateway.hostname(), release
	}

	ctx = metadata.NewOutgoingContext(ctx, onward(c.md, c.roles, hop))

	out, err := conn.NewStream(ctx, &grpc.StreamDesc{
		ClientStreams: c.shape.clientStreams,
		ServerStreams: c.shape.serverStreams,
	}, c.method)
	if err != nil {
		done()

		return nil, nil, err
	}

	return out, done, nil
}

// toOne passes the call to one node and everything back as it comes. Flow
// control is gRPC's own: a message is read only when the one before it was
// taken by the other side.
func (c *call) toOne(ctx context.Context, node string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	out, done, err := c.open(ctx, node)
	if err != nil {
		return err
	}

	defer done()

	if err := c.feed(cancel, out); err != nil {
		return err
	}

	// The header comes before the first message, or with the end.
	header, err := out.Header()
	if err == nil && header != nil {
		header.Delete("content-type")

		if c.shape.serverStreams {
			err = c.in.SendHeader(header)
		} else {
			err = c.in.SetHeader(header)
		}

		if err != nil {
			return err
		}
	}

	for {
		var message frame

		if err := out.RecvMsg(&message); err != nil {
			c.in.SetTrailer(out.Trailer())

			if errors.Is(err, io.EOF) {
				return nil
			}

			return err
		}

		if err := c.in.SendMsg(&message); err != nil {
			return err
		}

		if !c.shape.serverStreams {
			c.in.SetTrailer(out.Trailer())

			return nil
		}
	}
}

// feed passes the caller's messages to out: the one message of an ordinary
// request at once, a stream in the background. cancel ends the call when the
// caller's stream breaks.
func (c *call) feed(cancel context.CancelFunc, out grpc.ClientStream) error {
	if !c.shape.clientStreams {
		var request frame
		if err := c.in.RecvMsg(&request); err != nil {
			return err
		}

		return say(out, &request)
	}

	// It ends when the handler has returned at the latest, because that ends
	// the caller's stream; Gateway.Close waits for it.
	c.gateway.pumps.Go(func() {
		if err := c.pump(out); err != nil {
			cancel()
		}
	})

	return nil
}

// say sends the only message of a request.
func say(out grpc.ClientStream, request *frame) error {
	// io.EOF: the stream has ended already, and its answer says why.
	if err := out.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}

	return out.CloseSend()
}

// pump copies the caller's messages to out until the caller has said
// everything or out has ended. The returned error is the caller's.
func (c *call) pump(out grpc.ClientStream) error {
	for {
		var message frame

		if err := c.in.RecvMsg(&message); errors.Is(err, io.EOF) {
			return out.CloseSend()
		} else if err != nil {
			return err
		}

		if err := out.SendMsg(&message); err != nil {
			// The answer says why the stream has ended.
			return nil //nolint:nilerr // see above.
		}
	}
}
