package client

import (
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/basalt-os/basalt/api/common"
)

// NodeError is the error of one node of many.
type NodeError struct {
	Node string
	// Err is a gRPC status.
	Err error
}

// Error implements error.
func (e *NodeError) Error() string {
	return fmt.Sprintf("%s: %s", e.Node, Message(e.Err))
}

// Unwrap returns the node's error.
func (e *NodeError) Unwrap() error { return e.Err }

// GRPCStatus makes status.Code and status.FromError work.
func (e *NodeError) GRPCStatus() *status.Status { return status.Convert(e.Err) }

// Errors are the errors of several nodes; there is at least one.
type Errors []*NodeError

// Error implements error: one line per node.
func (e Errors) Error() string {
	lines := make([]string, 0, len(e))
	for _, err := range e {
		lines = append(lines, err.Error())
	}

	return strings.Join(lines, "\n")
}

// Unwrap returns the errors one by one.
func (e Errors) Unwrap() []error {
	list := make([]error, 0, len(e))
	for _, err := range e {
		list = append(list, err)
	}

	return list
}

// GRPCStatus returns the code that all nodes agree on, else Unknown.
func (e Errors) GRPCStatus() *status.Status {
	code := codes.Unknown

	for i, err := range e {
		if c := status.Code(err); i == 0 {
			code = c
		} else if c != code {
			code = codes.Unknown
		}
	}

	return status.New(code, e.Error())
}

// Message returns what an error says to a person: of a gRPC status the message
// without the code, unless the message is empty.
func Message(err error) string {
	if st, ok := status.FromError(err); ok && st.Message() != "" {
		return st.Message()
	}

	return err.Error()
}

// Check takes the errors of single nodes out of a response. It is put around a
// call:
//
//	resp, err := client.Check(c.Machine.ServiceList(ctx, &emptypb.Empty{}))
//
// An error of the call is returned as it is. Else the response has the messages
// of the nodes that answered, which may be none, and the error, when not nil,
// is an Errors of those that did not. Both count.
func Check[R proto.Message](response R, err error) (R, error) {
	if err != nil {
		return response, err
	}

	message := response.ProtoReflect()

	field := message.Descriptor().Fields().ByName("messages")
	if !message.IsValid() || field == nil || !field.IsList() || field.Message() == nil {
		return response, nil
	}

	var (
		failed Errors
		list   = message.Mutable(field).List()
		kept   = 0
	)

	for i := range list.Len() {
		element := list.Get(i)

		if nodeErr := nodeError(metadataOf(element.Message())); nodeErr != nil {
			failed = append(failed, nodeErr)

			continue
		}

		list.Set(kept, element)
		kept++
	}

	list.Truncate(kept)

	if len(failed) > 0 {
		return response, failed
	}

	return response, nil
}

// Node returns the name of the node that a message came from: what the caller
// named it, or fallback when the endpoint itself answered.
func Node(message interface{ GetMetadata() *common.Metadata }, fallback string) string {
	if name := message.GetMetadata().GetHostname(); name != "" {
		return name
	}

	return fallback
}

// metadataOf returns the node metadata of a message, nil when it has none.
func metadataOf(message protoreflect.Message) *common.Metadata {
	carrier, ok := message.Interface().(interface{ GetMetadata() *common.Metadata })
	if !ok {
		return nil
	}

	return carrier.GetMetadata()
}

// nodeError returns the error in a message's metadata, nil when there is none.
func nodeError(md *common.Metadata) *NodeError {
	switch {
	case md.GetStatus().GetCode() != 0:
		return &NodeError{Node: md.GetHostname(), Err: status.ErrorProto(md.GetStatus())}
	case md.GetError() != "":
		return &NodeError{Node: md.GetHostname(), Err: status.Error(codes.Unknown, md.GetError())}
	default:
		return nil
	}
}
