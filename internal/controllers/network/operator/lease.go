package operator

import (
	"context"
	"errors"
	"time"
)

const (
	// shortestRenewal keeps a server from being asked all the time.
	shortestRenewal = 5 * time.Second
	// shortestRetry is the shortest pause after a server did not answer.
	shortestRetry = time.Minute
)

// Clock is the time as operators see it.
type Clock interface {
	Now() time.Time
	After(d time.Duration) <-chan time.Time
}

// SystemClock is the Clock of the machine.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() time.Time { return time.Now() }

// After implements Clock.
func (SystemClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

// times are the moments in the life of a lease, in this order.
type times struct {
	renew  time.Time // from here on, the server that gave it is asked
	rebind time.Time // from here on, any server is
	expire time.Time // here it ends
}

// timesOf are the times of a lease that begins now. Times that a server leaves
// out (zero) follow from the length.
func timesOf(now time.Time, renew, rebind, length time.Duration) times {
	if rebind <= 0 || rebind > length {
		rebind = length / 8 * 7
	}

	if renew <= 0 || renew > rebind {
		renew = min(length/2, rebind)
	}

	return times{now.Add(max(renew, shortestRenewal)), now.Add(max(rebind, shortestRenewal)), now.Add(max(length, shortestRenewal))}
}

// errRefused says that a server no longer grants a lease.
var errRefused = errors.New("the server takes the address back")

// errExpired says that a lease is over.
var errExpired = errors.New("no server prolonged the lease in time")

// hold keeps a lease: it calls again to have it prolonged, by the server that
// gave it or, rebinding, by any. It returns when ctx ends, when the lease is
// over, or when a server refuses it.
func hold(ctx context.Context, clock Clock, t times, again func(ctx context.Context, rebinding bool) (times, error)) error {
	next := t.renew

	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-clock.After(next.Sub(clock.Now())):
		}

		now := clock.Now()
		if !now.Before(t.expire) {
			return errExpired
		}

		prolonged, err := again(ctx, !now.Before(t.rebind))

		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			t = prolonged
			next = t.renew
		case errors.Is(err, errRefused):
			return err
		default:
			next = retry(clock.Now(), t)
		}
	}
}

// retry is when to ask again after no answer came: more often as the next
// moment comes near.
func retry(now time.Time, t times) time.Time {
	end := t.rebind
	if !now.Before(end) {
		end = t.expire
	}

	left := end.Sub(now)

	return now.Add(min(left, max(shortestRetry, left/2)))
}

// pause waits for a time or the end of ctx.
func pause(ctx context.Context, clock Clock, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-clock.After(d):
	}
}
