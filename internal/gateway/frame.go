package gateway

import (
	"fmt"
	"slices"

	"google.golang.org/grpc/mem"
)

// frame is one gRPC message as bytes. The gateway never decodes requests, and
// decodes responses only as far as fan-out needs.
//
// A frame that was received owns one reference to its buffers. Sending it hands
// that reference over; a frame that is not sent must be freed.
type frame struct {
	buffers mem.BufferSlice
}

// frameOf makes a frame of bytes that the caller gives away.
func frameOf(data []byte) *frame {
	return &frame{buffers: mem.BufferSlice{mem.SliceBuffer(data)}}
}

// free gives the buffers back.
func (f *frame) free() {
	f.buffers.Free()
	f.buffers = nil
}

// share returns a second frame with the same contents, to be sent elsewhere.
func (f *frame) share() *frame {
	f.buffers.Ref()

	return &frame{buffers: slices.Clone(f.buffers)}
}

// take returns the contents as one slice and frees the frame.
func (f *frame) take() []byte {
	data := f.buffers.Materialize()
	f.free()

	return data
}

// frameCodec passes frames through as they are.
type frameCodec struct{}

func (frameCodec) Marshal(v any) (mem.BufferSlice, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("marshalling %T: only frames pass the gateway", v)
	}

	return f.buffers, nil
}

func (frameCodec) Unmarshal(data mem.BufferSlice, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("unmarshalling into %T: only frames pass the gateway", v)
	}

	data.Ref()
	f.buffers = data

	return nil
}

// Name is that of the codec whose bytes these are, as it stands in the content
// type of outgoing requests.
func (frameCodec) Name() string { return "proto" }
