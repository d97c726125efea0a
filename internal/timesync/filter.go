// Package timesync keeps a clock right: it asks time servers and clock devices
// for the time, tells outliers from good answers, and corrects the clock, by
// letting it run faster or slower for small differences and by setting it for
// large ones.
//
// [Filter] is the pure part, which judges answers. [Syncer] does the work, on a
// [Clock] and with a [Query] that tests replace.
package timesync

import (
	"math"
	"time"
)

// Sample is the answer of a time server.
type Sample struct {
	// Offset is how far the clock is behind the server; negative when it is
	// ahead.
	Offset time.Duration
	// Delay is the time that question and answer took together. The offset is
	// uncertain by half of it.
	Delay time.Duration
	// Leap says that the last minute of the month is to have a second more (1)
	// or less (-1).
	Leap int
}

// Limits of the pause between two questions.
const (
	minPoll = 32 * time.Second
	maxPoll = 1024 * time.Second
)

// window is the number of answers that are compared.
const window = 8

// Filter tells outliers from good answers, and says how long to wait until the
// next question. The zero value is ready. It is not safe for concurrent use.
type Filter struct {
	seen    int // answers since Reset
	samples []Sample
	jitter  time.Duration
	poll    time.Duration
	// Spikes is the number of outliers in a row.
	Spikes int
}

// maxSpikes is the number of outliers in a row that are ignored: if all answers
// are off, it is the clock that is.
const maxSpikes = 3

// Reset forgets all answers: after the clock was set, or with another server.
func (f *Filter) Reset() { *f = Filter{} }

// Accept judges an answer. It reports false for an outlier.
func (f *Filter) Accept(s Sample) bool {
	if f.spike(s) && f.Spikes < maxSpikes {
		f.Spikes++

		return false
	}

	f.Spikes = 0
	f.adapt(s)

	return true
}

// spike remembers an answer and reports whether it is out of line with those
// before.
func (f *Filter) spike(s Sample) bool {
	f.seen++

	// The first one corrects the clock; the others are about what it does then.
	if f.seen == 1 {
		return false
	}

	previous, before := f.last(), f.jitter

	f.samples = append(f.samples, s)
	f.samples = f.samples[max(0, len(f.samples)-window):]

	best := f.best()
	f.jitter = f.spread(best)

	switch {
	case magnitude(s.Offset) > s.Delay:
		// More than the way there and back can account for: the clock is wrong.
		return false
	case f.seen <= window/2:
		return false
	case magnitude(s.Offset) > best.Delay:
		// Worse than the best answer can be wrong.
		return true
	default:
		return magnitude(s.Offset-previous.Offset) > 3*before
	}
}

func (f *Filter) last() Sample {
	if len(f.samples) == 0 {
		return Sample{}
	}

	return f.samples[len(f.samples)-1]
}

// best is the answer that took the shortest time.
func (f *Filter) best() Sample {
	best := f.samples[0]
	for _, s := range f.samples {
		if s.Delay < best.Delay {
			best = s
		}
	}

	return best
}

// spread is how far answers are from the best one, as a root mean square.
func (f *Filter) spread(best Sample) time.Duration {
	sum := 0.0

	for _, s := range f.samples {
		difference := (s.Offset - best.Offset).Seconds()
		sum += difference * difference
	}

	return time.Duration(math.Sqrt(sum/(window-1)) * float64(time.Second))
}

// adapt chooses the pause until the next question: longer while answers agree
// with the clock, shorter when they do not.
func (f *Filter) adapt(s Sample) {
	offset := magnitude(s.Offset)

	switch {
	case f.poll == 0 || offset > MaxSlew:
		f.poll = minPoll
	case offset < max(f.jitter, s.Delay)/4:
		f.poll = min(2*f.poll, maxPoll)
	case offset > max(f.jitter, s.Delay)*3/4:
		f.poll = max(f.poll/2, minPoll)
	}
}

// Poll is the pause until the next question.
func (f *Filter) Poll() time.Duration { return max(f.poll, minPoll) }

func magnitude(d time.Duration) time.Duration {
	if d < 0 {
		return -d
	}

	return d
}
