package discovery_test

import (
	"log/slog"
	"net/netip"
	"testing"

	"github.com/basalt-os/basalt/internal/discovery"
	"github.com/basalt-os/basalt/internal/resources/cluster"
)

// What a node tells comes back to it as an event, after which it is told what
// to tell again: that must end there.
func TestTheSameIsToldOnce(t *testing.T) {
	c, err := discovery.NewClient(discovery.ClientOptions{Key: key, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}

	first := cluster.Affiliate{NodeID: "a", Hostname: "first", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	c.SetLocal(first)

	if !c.Pending() {
		t.Fatal("a new note is not told")
	}

	c.Told()
	c.SetLocal(first)

	if c.Pending() {
		t.Error("the same note is told again")
	}

	second := first
	second.Hostname = "second"
	c.SetLocal(second)

	if !c.Pending() {
		t.Error("a changed note is not told")
	}
}
