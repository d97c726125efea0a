package host

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beevik/ntp"

	"github.com/basalt-os/basalt/pkg/provision"
)

// The time is served on the gateway's address, and a time server that is there
// already is left alone.
func TestServeTime(t *testing.T) {
	var log bytes.Buffer

	h := &host{Cluster: &Cluster{
		Spec:   &provision.Spec{Network: netip.MustParsePrefix("127.73.41.0/24")},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	}}

	other, err := net.ListenPacket("udp4", h.Spec.Gateway().String()+":0")
	if err != nil {
		t.Fatal(err)
	}

	address := other.LocalAddr().(*net.UDPAddr).AddrPort()
	failed := make(chan error, 1)

	var wg sync.WaitGroup
	defer wg.Wait()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()

	if err := h.serveTime(ctx, &wg, failed, address.Port()); err != nil || !strings.Contains(log.String(), address.String()) {
		t.Errorf("beside another server: %v, and in the log %q", err, &log)
	}

	if err := other.Close(); err != nil {
		t.Fatal(err)
	}

	if err := h.serveTime(ctx, &wg, failed, address.Port()); err != nil {
		t.Fatal(err)
	}

	answer, err := ntp.QueryWithOptions(address.String(), ntp.QueryOptions{Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}

	if err := answer.Validate(); err != nil || answer.ClockOffset.Abs() > 5*time.Second {
		t.Errorf("this machine's clock is %s away from itself (%v)", answer.ClockOffset, err)
	}

	cancel()
	wg.Wait()

	select {
	case err := <-failed:
		t.Errorf("at the end: %v", err)
	default:
	}
}
