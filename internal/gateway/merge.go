package gateway

import (
	"fmt"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/basalt-os/basalt/api/common"
)

// Field numbers that all responses of the mergeable services share.
const (
	// responseMessages is the repeated field of a unary response that has one
	// element per node.
	responseMessages protowire.Number = 1
	// messageMetadata is the common.Metadata of such an element, or of a
	// streamed message.
	messageMetadata protowire.Number = 1
)

// nodeMetadata returns the encoded common.Metadata of a response from a node,
// or of its failure when err is not nil.
func nodeMetadata(node string, err error) ([]byte, error) {
	md := &common.Metadata{Hostname: node}

	if err != nil {
		md.Error = err.Error()
		md.Status = status.Convert(err).Proto()
	}

	encoded, err := proto.Marshal(md)
	if err != nil {
		return nil, fmt.Errorf("encoding metadata of node %s: %w", node, err)
	}

	return encoded, nil
}

// appendTagged appends a length-delimited field.
func appendTagged(dst []byte, number protowire.Number, value []byte) []byte {
	dst = protowire.AppendTag(dst, number, protowire.BytesType)

	return protowire.AppendBytes(dst, value)
}

// tagMessage returns a streamed message with the node's metadata. Two
// occurrences of a message field are merged by whoever decodes it, so appending
// is enough.
func tagMessage(message, metadata []byte) []byte {
	return appendTagged(message, messageMetadata, metadata)
}

// appendResponse appends a node's unary response to dst, with the node's
// metadata in each of its messages. Protobuf messages concatenate, so dst is
// the response of all nodes so far.
func appendResponse(dst, response, metadata []byte) ([]byte, error) {
	for len(response) > 0 {
		number, kind, length := protowire.ConsumeField(response)
		if length < 0 {
			return nil, fmt.Errorf("decoding response: %w", protowire.ParseError(length))
		}

		field := response[:length]
		response = response[length:]

		if number != responseMessages || kind != protowire.BytesType {
			dst = append(dst, field...)

			continue
		}

		_, _, tagLength := protowire.ConsumeTag(field)

		message, length := protowire.ConsumeBytes(field[tagLength:])
		if length < 0 {
			return nil, fmt.Errorf("decoding response: %w", protowire.ParseError(length))
		}

		inner := protowire.SizeTag(messageMetadata) + protowire.SizeBytes(len(metadata))

		dst = protowire.AppendTag(dst, responseMessages, protowire.BytesType)
		dst = protowire.AppendVarint(dst, uint64(len(message)+inner))
		dst = append(dst, message...)
		dst = appendTagged(dst, messageMetadata, metadata)
	}

	return dst, nil
}

// appendFailure appends the element that stands for a node's failure in a unary
// response.
func appendFailure(dst, metadata []byte) []byte {
	return appendTagged(dst, responseMessages, appendTagged(nil, messageMetadata, metadata))
}
