package peerlimit_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/basalt-os/basalt/internal/peerlimit"
)

func TestAllow(t *testing.T) {
	now := time.Unix(0, 0)
	limiter := peerlimit.New(1, 3, func() time.Time { return now })
	allowed := func(text string) int {
		count := 0
		for limiter.Allow(netip.MustParseAddr(text)) {
			count++
		}

		return count
	}

	for _, step := range []struct {
		pass time.Duration
		addr string
		want int
	}{
		{0, "10.0.0.1", 3},
		{0, "10.0.0.1", 0},
		{0, "::ffff:10.0.0.1", 0}, // the same address
		{0, "10.0.0.2", 3},
		{2 * time.Second, "10.0.0.1", 2},
		{time.Hour, "10.0.0.1", 3},
		{0, "2001:db8::1", 3},
		{0, "2001:db8::2", 0}, // the same network
		{0, "2001:db8:0:1::1", 3},
	} {
		now = now.Add(step.pass)

		if got := allowed(step.addr); got != step.want {
			t.Errorf("after %v, %s: %d calls allowed, want %d", step.pass, step.addr, got, step.want)
		}
	}
}

// TestMemoryIsBounded calls from more addresses than are remembered.
func TestMemoryIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	limiter := peerlimit.New(1, 1, func() time.Time { return now })
	refused := 0
	addr := netip.MustParseAddr("10.0.0.0")

	for range 20000 {
		addr = addr.Next()
		if !limiter.Allow(addr) {
			refused++
		}
	}

	if want := 20000 - 16384 - 1; refused != want {
		t.Errorf("%d of the addresses beyond the bound were refused, want %d", refused, want)
	}

	// Those that were quiet are forgotten.
	now = now.Add(time.Minute)

	if !limiter.Allow(addr.Next()) {
		t.Error("a new address is refused after all others were quiet")
	}
}
