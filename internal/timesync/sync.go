package timesync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// MaxSlew is the largest offset that is corrected by and by. The clock is
	// set for larger ones.
	MaxSlew = 128 * time.Millisecond
	// EpochJump is how far the clock has to be set for a new epoch to begin:
	// times from before and after do not fit together.
	EpochJump = 15 * time.Minute
	// retry is the pause after no server answered for the first time: the network
	// may just be coming. It doubles up to maxRetry.
	retry    = 500 * time.Millisecond
	maxRetry = 32 * time.Second
)

// Clock is the clock that is kept right.
type Clock interface {
	// Adjust is adjtimex(2). It returns the state of the clock.
	Adjust(timex *unix.Timex) (state int, err error)
	// After returns a channel that gets an element after a time.
	After(d time.Duration) <-chan time.Time
	// Persist sets the clock that goes on while the machine is off, if there
	// is one.
	Persist() error
}

// Query asks a time server or a clock device. Context ends it.
type Query func(ctx context.Context, server string, nts bool) (Sample, error)

// State is how a clock is.
type State struct {
	Synced bool
	// Epoch counts how often the clock was set by more than EpochJump.
	Epoch int
	// Spikes is the number of answers in a row that were ignored.
	Spikes int
}

// Syncer keeps a clock right.
type Syncer struct {
	Clock  Clock
	Query  Query
	Logger *slog.Logger
}

// Run asks servers until ctx ends, and calls publish whenever the state, which
// begins with the given one, may have changed. The first server that answers is
// asked again until it fails.
func (s *Syncer) Run(ctx context.Context, servers []string, nts bool, state State, publish func(State)) {
	var (
		filter  Filter
		current int
		failed  = retry
	)

	for ctx.Err() == nil {
		pause := failed

		sample, answered, err := s.ask(ctx, servers, current, nts)

		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.Logger.Warn("asking time servers", "error", err, "again", pause)
			failed = min(2*failed, maxRetry)
		default:
			failed = retry

			if answered != current {
				current = answered
				filter.Reset()
			}

			pause = s.take(&filter, &state, servers[current], sample)
			publish(state)
		}

		select {
		case <-ctx.Done():
			return
		case <-s.Clock.After(pause):
		}
	}
}

// ask asks the servers, from one on, until one answers.
func (s *Syncer) ask(ctx context.Context, servers []string, first int, nts bool) (Sample, int, error) {
	if len(servers) == 0 {
		return Sample{}, 0, errors.New("there are none")
	}

	var errs []error

	for i := range servers {
		n := (first + i) % len(servers)

		sample, err := s.Query(ctx, servers[n], nts)
		if err == nil {
			return sample, n, nil
		}

		errs = append(errs, err)
	}

	return Sample{}, 0, errors.Join(errs...)
}

// take judges an answer, corrects the clock, and returns the pause until the
// next question.
func (s *Syncer) take(filter *Filter, state *State, server string, sample Sample) time.Duration {
	accepted := filter.Accept(sample)
	state.Spikes = filter.Spikes

	if !accepted {
		s.Logger.Info("ignoring an answer that is out of line", "server", server, "offset", sample.Offset, "delay", sample.Delay)

		return filter.Poll()
	}

	pause := filter.Poll()

	jump, err := s.correct(sample, pause)
	if err != nil {
		s.Logger.Warn("correcting the clock", "error", err)

		return maxRetry
	}

	if jump {
		s.Logger.Info("the clock was set", "server", server, "offset", sample.Offset)
		filter.Reset()

		if magnitude(sample.Offset) > EpochJump {
			state.Epoch++
		}
	}

	if jump || !state.Synced {
		if err := s.Clock.Persist(); err != nil {
			s.Logger.Warn("setting the machine's clock", "error", err)
		}
	}

	state.Synced = true

	return pause
}

// correct corrects the clock, and says whether it was set.
func (s *Syncer) correct(sample Sample, poll time.Duration) (jump bool, err error) {
	timex := adjustment(sample, poll)

	if _, err := s.Clock.Adjust(timex); err != nil {
		return false, fmt.Errorf("by %s: %w", sample.Offset, err)
	}

	return timex.Modes&unix.ADJ_SETOFFSET != 0, nil
}

// adjustment is what the kernel is told about an offset.
func adjustment(sample Sample, poll time.Duration) *unix.Timex {
	timex := &unix.Timex{Status: unix.STA_PLL}

	switch sample.Leap {
	case 1:
		timex.Status |= unix.STA_INS
	case -1:
		timex.Status |= unix.STA_DEL
	}

	if magnitude(sample.Offset) > MaxSlew {
		timex.Modes = unix.ADJ_STATUS | unix.ADJ_NANO | unix.ADJ_SETOFFSET | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR
		// The part that is no whole second is never negative.
		seconds := sample.Offset / time.Second
		rest := sample.Offset % time.Second

		if rest < 0 {
			seconds--
			rest += time.Second
		}

		timex.Time = unix.Timeval{Sec: int64(seconds), Usec: int64(rest)} // in nanoseconds, by ADJ_NANO

		return timex
	}

	timex.Modes = unix.ADJ_STATUS | unix.ADJ_NANO | unix.ADJ_OFFSET | unix.ADJ_TIMECONST | unix.ADJ_MAXERROR | unix.ADJ_ESTERROR
	timex.Offset = int64(sample.Offset)
	// The kernel counts from 16 seconds on, in powers of two.
	timex.Constant = int64(bits.Len64(uint64(poll/time.Second))) - 1 - 4

	return timex
}
