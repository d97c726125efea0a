package host

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/timeserver"
)

// serveTime answers NTP on the gateway's address until ctx ends. Where another
// time server of the hosting machine has the port already, nodes ask that one.
func (h *host) serveTime(ctx context.Context, wg *sync.WaitGroup, failed chan<- error, port uint16) error {
	address := netip.AddrPortFrom(h.Spec.Gateway(), port)

	conn, err := net.ListenPacket("udp4", address.String())
	if errors.Is(err, unix.EADDRINUSE) {
		h.Logger.Warn("another time server has the port: nodes ask that one", "address", address)

		return nil
	} else if err != nil {
		return fmt.Errorf("serving the time: %w", err)
	}

	wg.Go(func() {
		if err := timeserver.Serve(ctx, conn); err != nil {
			failed <- fmt.Errorf("serving the time: %w", err)
		}
	})

	return nil
}
