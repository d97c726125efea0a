package client

import (
	"fmt"
	"iter"

	"google.golang.org/protobuf/proto"

	"github.com/basalt-os/basalt/api/machine"
)

// Event is something that happened on a node.
type Event struct {
	// Node is empty when the endpoint itself answered.
	Node string
	// ID orders the events of a node; a later call can go on after it.
	ID string
	// ActorID is the id of the API call that caused the event, if any did.
	ActorID string
	// Payload is one of the event messages of package machine, such as
	// *machine.TaskEvent.
	Payload proto.Message
}

// Events returns the events of a stream, for a range loop. It is put around the
// call and treats errors as [Messages] does:
//
//	for event, err := range client.Events(c.Machine.Events(ctx, request)) { … }
//
// Events of a kind that this version does not know are left out.
func Events[S Stream[*machine.Event]](stream S, err error) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for message, err := range Messages(Stream[*machine.Event](stream), err) {
			if err != nil {
				if !yield(Event{}, err) {
					return
				}

				continue
			}

			event, err := decodeEvent(message)
			if err != nil {
				continue
			}

			if !yield(event, nil) {
				return
			}
		}
	}
}

func decodeEvent(message *machine.Event) (Event, error) {
	payload, err := message.GetData().UnmarshalNew()
	if err != nil {
		return Event{}, fmt.Errorf("decoding event: %w", err)
	}

	return Event{
		Node:    message.GetMetadata().GetHostname(),
		ID:      message.GetId(),
		ActorID: message.GetActorId(),
		Payload: payload,
	}, nil
}
