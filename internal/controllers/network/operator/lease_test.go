package operator

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// script is a clock that goes on by itself whenever somebody waits.
type script struct{ now time.Time }

func (s *script) Now() time.Time { return s.now }

func (s *script) After(d time.Duration) <-chan time.Time {
	s.now = s.now.Add(d)
	c := make(chan time.Time, 1)
	c <- s.now

	return c
}

func TestHold(t *testing.T) {
	t.Parallel()

	silence := errors.New("no answer")

	for _, test := range []struct {
		name    string
		answers []error // what the servers say, one after the other
		want    string  // when they were asked and how it ended
		err     error
	}{
		{
			"renewed at half of the time", []error{nil, nil, errRefused},
			"renew 30m0s, renew 1h0m0s, renew 1h30m0s", errRefused,
		},
		{
			"any server after seven eighths", []error{silence, silence, silence, silence, silence, silence, nil, errRefused},
			"renew 30m0s, renew 41m15s, renew 46m52.5s, renew 49m41.25s, renew 51m5.625s, renew 52m5.625s, rebind 52m30s, renew 1h22m30s",
			errRefused,
		},
		{
			"nobody answers", nil,
			"renew 30m0s, renew 41m15s, renew 46m52.5s, renew 49m41.25s, renew 51m5.625s, renew 52m5.625s, " +
				"rebind 52m30s, rebind 56m15s, rebind 58m7.5s, rebind 59m7.5s", errExpired,
		},
	} {
		start := time.Unix(0, 0)
		clock := &script{now: start}
		answers := test.answers

		var asked []string

		err := hold(t.Context(), clock, timesOf(start, 0, 0, time.Hour), func(_ context.Context, rebinding bool) (times, error) {
			how := "renew"
			if rebinding {
				how = "rebind"
			}

			asked = append(asked, fmt.Sprintf("%s %s", how, clock.now.Sub(start)))

			if test.answers == nil {
				return times{}, silence
			}

			answer := answers[0]
			answers = answers[1:]

			return timesOf(clock.now, 0, 0, time.Hour), answer
		})

		if !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", test.name, err, test.err)
		}

		if got := strings.Join(asked, ", "); got != test.want {
			t.Errorf("%s:\n%s, want\n%s", test.name, got, test.want)
		}
	}
}

func TestTimesOf(t *testing.T) {
	t.Parallel()

	now := time.Unix(0, 0)

	for _, test := range []struct {
		renew, rebind, length time.Duration
		want                  string
	}{
		{0, 0, time.Hour, "30m0s 52m30s 1h0m0s"},
		{10 * time.Minute, 20 * time.Minute, time.Hour, "10m0s 20m0s 1h0m0s"},
		{2 * time.Hour, 3 * time.Hour, time.Hour, "30m0s 52m30s 1h0m0s"},
		{time.Second, 0, 2 * time.Second, "5s 5s 5s"},
	} {
		got := timesOf(now, test.renew, test.rebind, test.length)
		if text := fmt.Sprint(got.renew.Sub(now), got.rebind.Sub(now), got.expire.Sub(now)); text != test.want {
			t.Errorf("%s %s %s: %s, want %s", test.renew, test.rebind, test.length, text, test.want)
		}
	}
}
