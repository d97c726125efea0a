package client

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/basalt-os/basalt/api/common"
)

// Stream is what all streaming calls return.
type Stream[M any] interface {
	Recv() (M, error)
}

// Messages returns the messages of a stream, for a range loop:
//
//	stream, err := c.Machine.Events(ctx, request)
//	for event, err := range client.Messages(stream, err) { … }
//
// A failure of one node of many is yielded as a *NodeError, after which the
// other nodes' messages go on. Any other error is the last thing yielded. Leave
// the loop early only if the call's context is cancelled after it, as that is
// what ends the stream.
func Messages[M proto.Message](stream Stream[M], err error) iter.Seq2[M, error] {
	return func(yield func(M, error) bool) {
		var none M

		if err != nil {
			yield(none, err)

			return
		}

		for {
			message, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return
			}

			if err != nil {
				yield(none, err)

				return
			}

			if nodeErr := nodeError(metadataOf(message.ProtoReflect())); nodeErr != nil {
				if !yield(none, nodeErr) {
					return
				}

				continue
			}

			if !yield(message, nil) {
				return
			}
		}
	}
}

// Reader reads the bytes of a stream such as Logs, Read, Copy or EtcdSnapshot.
// It is not safe for concurrent use.
type Reader struct {
	stream Stream[*common.Data]
	rest   []byte
	err    error
}

// NewReader returns a reader of the stream's bytes. It is put around the call:
//
//	r, err := client.NewReader(c.Machine.Read(ctx, &machine.ReadRequest{Path: path}))
//
// Bytes of several nodes would be mixed up, so the call should go to one. The
// stream ends with the call's context; there is nothing to close.
func NewReader[S Stream[*common.Data]](stream S, err error) (*Reader, error) {
	if err != nil {
		return nil, err
	}

	return &Reader{stream: stream}, nil
}

// Read implements io.Reader. Errors are those of the call.
func (r *Reader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 && r.err == nil {
		r.next()
	}

	if len(r.rest) == 0 {
		return 0, r.err
	}

	n := copy(p, r.rest)
	r.rest = r.rest[n:]

	return n, nil
}

// WriteTo implements io.WriterTo, so that io.Copy needs no buffer.
func (r *Reader) WriteTo(w io.Writer) (int64, error) {
	var total int64

	for {
		n, err := w.Write(r.rest)
		total += int64(n)
		r.rest = r.rest[n:]

		if err != nil {
			return total, fmt.Errorf("writing what was read: %w", err)
		}

		if errors.Is(r.err, io.EOF) {
			return total, nil
		}

		if r.err != nil {
			return total, r.err
		}

		r.next()
	}
}

// next fetches the next message.
func (r *Reader) next() {
	message, err := r.stream.Recv()
	if err != nil {
		r.err = err

		return
	}

	if nodeErr := nodeError(message.GetMetadata()); nodeErr != nil {
		r.err = nodeErr

		return
	}

	r.rest = message.GetBytes()
}

// Sender is what calls that take a stream of bytes return.
type Sender[R any] interface {
	Send(*common.Data) error
	CloseAndRecv() (R, error)
}

// chunkSize is how much of a stream goes into one message, in bytes.
const chunkSize = 64 << 10

// Send passes everything from the reader to the call and returns its response.
// It is put around the call:
//
//	stream, err := c.Machine.EtcdRecover(ctx)
//	resp, err := client.Send(stream, file)
func Send[R any, S Sender[R]](stream S, source io.Reader) (R, error) {
	var (
		none   R
		buffer = make([]byte, chunkSize)
	)

	for {
		n, readErr := source.Read(buffer)

		if n > 0 {
			// io.EOF: the call has ended; the response says why.
			if err := stream.Send(&common.Data{Bytes: buffer[:n]}); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return none, err
			}
		}

		if errors.Is(readErr, io.EOF) {
			break
		}

		if readErr != nil {
			return none, fmt.Errorf("reading what to send: %w", readErr)
		}
	}

	return stream.CloseAndRecv()
}
