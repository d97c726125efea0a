// Package sink sends what a node has to tell to servers elsewhere: its events
// by gRPC, and the lines of its logs as JSON over TCP or UDP.
//
// Nothing is queued here. What is sent is read from where it is kept anyway,
// the ring of events, the buffers of logs and the kernel's log, and a message
// is taken from there only when the one before it was delivered. A server that
// is away for a while gets what is still kept when it comes back.
package sink

import (
	"context"
	"time"
)

// Pauses between attempts to deliver a message.
const (
	firstPause = 500 * time.Millisecond
	lastPause  = 30 * time.Second
)

// deliver calls send until it succeeds, with growing pauses. It fails only with
// the error of ctx. After the first failure of a row it calls failed.
func deliver(ctx context.Context, send func(context.Context) error, failed func(error)) error {
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := send(ctx)
		if err == nil {
			return nil
		}

		if ctx.Err() != nil {
			return ctx.Err()
		}

		if pause == firstPause {
			failed(err)
		}

		timer := time.NewTimer(pause)

		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()

			return ctx.Err()
		}
	}
}
