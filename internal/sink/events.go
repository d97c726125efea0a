package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/anypb"

	eventsapi "github.com/basalt-os/basalt/api/events"
	"github.com/basalt-os/basalt/internal/events"
)

// publishTimeout bounds one attempt to deliver an event.
const publishTimeout = 10 * time.Second

// Events sends all events of the ring, those that are kept first, to the sink
// at an endpoint (host:port), until ctx ends. The wire has no encryption here:
// the reference's nodes reach their sink through a tunnel of its own.
func Events(ctx context.Context, endpoint string, ring *events.Ring, logger *slog.Logger) error {
	conn, err := grpc.NewClient("passthrough:///"+endpoint, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting to event sink %s: %w", endpoint, err)
	}
	defer conn.Close()

	client := eventsapi.NewEventSinkServiceClient(conn)
	reader := ring.Follow(events.Start{Count: -1}, "")

	for {
		event, err := reader.Next(ctx)

		var gap *events.GapError

		switch {
		case errors.As(err, &gap):
			logger.Warn("events were lost before they could be sent", "sink", endpoint, "count", gap.Missed)

			continue
		case err != nil:
			return nil //nolint:nilerr // the context has ended
		}

		data, err := anypb.New(event.Payload)
		if err != nil {
			return fmt.Errorf("encoding event %s: %w", event.ID, err)
		}

		request := &eventsapi.EventRequest{Data: data, Id: event.ID, ActorId: event.ActorID}

		err = deliver(ctx, func(ctx context.Context) error {
			ctx, cancel := context.WithTimeout(ctx, publishTimeout)
			defer cancel()

			_, err := client.Publish(ctx, request, grpc.WaitForReady(true))

			return err
		}, func(err error) {
			logger.Warn("sending events", "sink", endpoint, "error", err)
		})
		if err != nil {
			return nil //nolint:nilerr // the context has ended
		}
	}
}
