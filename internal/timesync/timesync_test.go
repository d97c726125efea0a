package timesync

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const ms = time.Millisecond

func TestFilter(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name    string
		samples []Sample
		accept  []bool
		poll    time.Duration // at the end
	}{
		{"the first answer, however far off", []Sample{{Offset: time.Hour, Delay: ms}}, []bool{true}, minPoll},
		{
			"more than the way can account for is the clock's fault",
			[]Sample{{0, 20 * ms, 0}, {0, 20 * ms, 0}, {0, 20 * ms, 0}, {0, 20 * ms, 0}, {0, 20 * ms, 0}, {time.Second, 20 * ms, 0}},
			[]bool{true, true, true, true, true, true}, minPoll,
		},
		{
			"a slow answer that is off",
			[]Sample{{0, 20 * ms, 0}, {ms, 20 * ms, 0}, {0, 20 * ms, 0}, {ms, 20 * ms, 0}, {0, 20 * ms, 0}, {90 * ms, 300 * ms, 0}, {0, 20 * ms, 0}},
			[]bool{true, true, true, true, true, false, true}, 1024 * time.Second,
		},
		{
			"when all are off, the clock is",
			[]Sample{
				{0, 20 * ms, 0}, {0, 20 * ms, 0}, {0, 20 * ms, 0}, {0, 20 * ms, 0}, {0, 20 * ms, 0},
				{90 * ms, 300 * ms, 0}, {90 * ms, 300 * ms, 0}, {90 * ms, 300 * ms, 0}, {90 * ms, 300 * ms, 0},
			},
			[]bool{true, true, true, true, true, false, false, false, true}, 512 * time.Second,
		},
	} {
		var filter Filter

		for i, s := range test.samples {
			if got := filter.Accept(s); got != test.accept[i] {
				t.Errorf("%s: answer %d: %v, want %v", test.name, i, got, test.accept[i])
			}
		}

		if got := filter.Poll(); got != test.poll {
			t.Errorf("%s: next question after %s, want %s", test.name, got, test.poll)
		}
	}
}

func TestAdjustment(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name   string
		sample Sample
		poll   time.Duration
		modes  uint32
		status int32
		time   unix.Timeval
		offset int64
		slow   int64
	}{
		{"small", Sample{Offset: 5 * ms}, 64 * time.Second, unix.ADJ_OFFSET, unix.STA_PLL, unix.Timeval{}, int64(5 * ms), 2},
		{"small and ahead", Sample{Offset: -5 * ms, Leap: 1}, 1024 * time.Second, unix.ADJ_OFFSET, unix.STA_PLL | unix.STA_INS, unix.Timeval{}, int64(-5 * ms), 6},
		{"large", Sample{Offset: 1500 * ms}, 32 * time.Second, unix.ADJ_SETOFFSET, unix.STA_PLL, unix.Timeval{Sec: 1, Usec: int64(500 * ms)}, 0, 0},
		{"large and ahead", Sample{Offset: -1500 * ms, Leap: -1}, 32 * time.Second, unix.ADJ_SETOFFSET, unix.STA_PLL | unix.STA_DEL, unix.Timeval{Sec: -2, Usec: int64(500 * ms)}, 0, 0},
	} {
		got := adjustment(test.sample, test.poll)
		if got.Modes&(unix.ADJ_OFFSET|unix.ADJ_SETOFFSET) != test.modes || got.Status != test.status || got.Time != test.time ||
			got.Offset != test.offset || got.Constant != test.slow {
			t.Errorf("%s: %+v", test.name, got)
		}
	}
}

// clock is a clock that is off by some time.
type clock struct {
	off       time.Duration
	persisted int
	pauses    chan time.Duration
	wake      chan time.Time
	fail      error
}

func (c *clock) Adjust(timex *unix.Timex) (int, error) {
	if c.fail != nil {
		return 0, c.fail
	}

	if timex.Modes&unix.ADJ_SETOFFSET != 0 {
		c.off -= time.Duration(timex.Time.Sec)*time.Second + time.Duration(timex.Time.Usec)
	} else {
		c.off -= time.Duration(timex.Offset)
	}

	return 0, nil
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.pauses <- d

	return c.wake
}

func (c *clock) Persist() error {
	c.persisted++

	return nil
}

func TestSyncer(t *testing.T) {
	t.Parallel()

	c := &clock{off: time.Hour, pauses: make(chan time.Duration), wake: make(chan time.Time)}
	down := map[string]bool{"a": true}
	asked := ""

	syncer := Syncer{Clock: c, Logger: slog.New(slog.DiscardHandler), Query: func(_ context.Context, server string, _ bool) (Sample, error) {
		if down[server] {
			return Sample{}, errors.New("no answer")
		}

		asked = server

		return Sample{Offset: c.off, Delay: ms}, nil
	}}

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})

	var state State

	go func() {
		defer close(done)

		syncer.Run(ctx, []string{"a", "b"}, false, State{}, func(s State) { state = s })
	}()

	step := func(name string, pause time.Duration, want State, server string, off time.Duration) {
		t.Helper()

		if got := <-c.pauses; got != pause {
			t.Errorf("%s: pause %s, want %s", name, got, pause)
		}

		if state != want || asked != server || c.off != off {
			t.Errorf("%s: %+v after asking %s, and the clock is off by %s", name, state, asked, c.off)
		}
	}

	step("the second server answers", minPoll, State{Synced: true, Epoch: 1}, "b", 0)

	// The server that answered is kept, though the first is back.
	down["a"], c.off = false, 2*ms
	c.wake <- time.Time{}
	step("a small offset", minPoll, State{Synced: true, Epoch: 1}, "b", 0)

	down["b"], c.off = true, 300*ms
	c.wake <- time.Time{}
	step("another server", minPoll, State{Synced: true, Epoch: 1}, "a", 0)

	down["a"] = true
	c.wake <- time.Time{}
	step("nobody answers", retry, State{Synced: true, Epoch: 1}, "a", 0)

	for pause := 2 * retry; pause <= 4*maxRetry; pause *= 2 {
		c.wake <- time.Time{}
		step("still nobody answers", min(pause, maxRetry), State{Synced: true, Epoch: 1}, "a", 0)
	}

	down["b"] = false
	c.wake <- time.Time{}
	step("somebody answers", minPoll, State{Synced: true, Epoch: 1}, "b", 0)

	down["b"] = true
	c.wake <- time.Time{}
	step("nobody answers again", retry, State{Synced: true, Epoch: 1}, "b", 0)

	if c.persisted != 2 {
		t.Errorf("the machine's clock was set %d times, want 2", c.persisted)
	}

	cancel()
	<-done
}

// serve is a time server that is ahead by some time.
func serve(t *testing.T, ahead time.Duration) string {
	t.Helper()

	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan struct{})

	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})

	go func() {
		defer close(done)

		packet := make([]byte, 256)

		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}

			if n < 48 {
				continue
			}

			answer := make([]byte, 48)
			answer[0], answer[1], answer[2], answer[3] = 4<<3|4, 1, 6, 0xec // version 4, server, stratum 1
			copy(answer[24:32], packet[40:48])

			now := time.Now().Add(ahead)
			stamp := uint64(now.Unix()+2208988800)<<32 | uint64(now.Nanosecond())<<32/1e9

			for _, at := range []int{16, 32, 40} {
				binary.BigEndian.PutUint64(answer[at:], stamp)
			}

			if _, err := conn.WriteTo(answer, from); err != nil {
				return
			}
		}
	}()

	return conn.LocalAddr().String()
}

func TestAsk(t *testing.T) {
	t.Parallel()

	var client Client

	sample, err := client.Ask(t.Context(), serve(t, 90*time.Second), false)
	if err != nil {
		t.Fatal(err)
	}

	if off := sample.Offset - 90*time.Second; magnitude(off) > 5*time.Second {
		t.Errorf("sample %+v, want an offset of 90 s", sample)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if _, err := client.Ask(ctx, "127.0.0.1:1", true); err == nil {
		t.Error("an answer without a server")
	}

	if _, err := client.Ask(t.Context(), "/dev/ptp-none", false); err == nil {
		t.Error("an answer without a device")
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()

	start := time.Unix(1000, 0)

	got := between(start, start.Add(5*time.Second+10*ms), start.Add(20*ms))
	if want := (Sample{Offset: 5 * time.Second, Delay: 20 * ms}); got != want {
		t.Errorf("sample %+v, want %+v", got, want)
	}
}

func TestRTC(t *testing.T) {
	t.Parallel()

	got := rtc(time.Date(2026, 3, 4, 5, 6, 7, 8, time.FixedZone("", 3600)))
	want := unix.RTCTime{Sec: 7, Min: 6, Hour: 4, Mday: 4, Mon: 2, Year: 126}

	if *got != want {
		t.Errorf("%+v, want %+v", *got, want)
	}

	if err := (System{RTC: "/nowhere/rtc0"}).Persist(); err != nil {
		t.Errorf("a machine without a clock of its own: %v", err)
	}
}
