package gateway

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// fanout is a call to many nodes at once. A node that fails gives an element
// that says so; the call itself succeeds.
type fanout struct {
	*call
	ctx     context.Context
	cancel  context.CancelFunc
	request frame
	// sending keeps messages of different nodes apart.
	sending sync.Mutex
}

// toMany passes the call to many nodes and merges what they answer.
func (c *call) toMany(ctx context.Context, nodes []string) error {
	if !c.shape.mergeable {
		return status.Errorf(codes.InvalidArgument,
			"responses of %s cannot be merged: use metadata node instead of nodes", c.method)
	}

	if c.shape.clientStreams && len(nodes) > 1 {
		return status.Errorf(codes.InvalidArgument, "%s takes a stream, which can go to one node only", c.method)
	}

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()

	f := &fanout{call: c, ctx: ctx, cancel: cancel}

	if !c.shape.clientStreams {
		if err := c.in.RecvMsg(&f.request); err != nil {
			return err
		}

		defer f.request.free()
	}

	if c.shape.serverStreams {
		return f.interleave(nodes)
	}

	return f.collect(nodes)
}

// begin starts the call on one node and says what the caller said. The returned
// function must be called when the call has ended.
func (f *fanout) begin(node string) (grpc.ClientStream, func(), error) {
	out, done, err := f.open(f.ctx, node)
	if err != nil {
		return nil, nil, err
	}

	if f.shape.clientStreams {
		err = f.feed(f.cancel, out)
	} else {
		err = say(out, f.request.share())
	}

	if err != nil {
		done()

		return nil, nil, err
	}

	return out, done, nil
}

// collect merges unary responses in the order in which the nodes were named.
func (f *fanout) collect(nodes []string) error {
	var (
		group   sync.WaitGroup
		answers = make([]answer, len(nodes))
		merged  []byte
	)

	for i, node := range nodes {
		group.Go(func() {
			answers[i].node = node
			answers[i].data, answers[i].err = f.ask(node)
		})
	}

	group.Wait()

	for i := range answers {
		var err error
		if merged, err = answers[i].appendTo(merged); err != nil {
			return status.Error(codes.Internal, err.Error())
		}
	}

	return f.in.SendMsg(frameOf(merged))
}

// ask returns a node's unary response.
func (f *fanout) ask(node string) ([]byte, error) {
	out, done, err := f.begin(node)
	if err != nil {
		return nil, err
	}

	defer done()

	var response frame
	if err := out.RecvMsg(&response); err != nil {
		return nil, err
	}

	return response.take(), nil
}

// answer is what one node of many answered: a response or an error.
type answer struct {
	node string
	data []byte
	err  error
}

// appendTo appends the answer to those of other nodes. One that is not
// well-formed or does not fit any more is replaced by an error.
func (a *answer) appendTo(merged []byte) ([]byte, error) {
	if a.err == nil {
		md, err := nodeMetadata(a.node, nil)
		if err != nil {
			return nil, err
		}

		longer, err := appendResponse(merged, a.data, md)

		switch {
		case err != nil:
			a.err = status.Error(codes.Internal, err.Error())
		case len(longer) > maxMessage:
			a.err = status.Errorf(codes.ResourceExhausted, "responses of all nodes together exceed %d bytes", maxMessage)
		default:
			return longer, nil
		}
	}

	md, err := nodeMetadata(a.node, a.err)
	if err != nil {
		return nil, err
	}

	return appendFailure(merged, md), nil
}

// interleave passes the messages of all nodes as they come, each with its
// node's metadata. It returns when the last node has ended, or the caller is gone.
func (f *fanout) interleave(nodes []string) error {
	var group errgroup.Group

	for _, node := range nodes {
		group.Go(func() error {
			err := f.stream(node)
			if err != nil {
				// Nobody hears the other nodes any more either.
				f.cancel()
			}

			return err
		})
	}

	return group.Wait()
}

// stream passes all messages of one node and, as the last one, its failure. The
// returned error is the caller's.
func (f *fanout) stream(node string) error {
	md, err := nodeMetadata(node, nil)
	if err != nil {
		return err
	}

	out, done, err := f.begin(node)
	if err != nil {
		return f.sendFailure(node, err)
	}

	defer done()

	for {
		var message frame

		if err := out.RecvMsg(&message); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return f.sendFailure(node, err)
		}

		if err := f.send(tagMessage(message.take(), md)); err != nil {
			return err
		}
	}
}

func (f *fanout) sendFailure(node string, failure error) error {
	md, err := nodeMetadata(node, failure)
	if err != nil {
		return err
	}

	return f.send(tagMessage(nil, md))
}

// send waits until the caller has taken enough of what came before.
func (f *fanout) send(data []byte) error {
	f.sending.Lock()
	defer f.sending.Unlock()

	return f.in.SendMsg(frameOf(data))
}
