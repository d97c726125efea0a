// Package timeserver answers NTP with this machine's clock: a time source for
// machines that can reach no other. It serves the simple form of the protocol
// (RFC 4330), which has no state.
package timeserver

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// Port is where NTP is served.
const Port = 123

const (
	packetSize = 48
	modeClient = 3
	modeServer = 4
	// stratum is that of a clock which is somebody's word, not a radio's.
	stratum = 10
	// precision is the binary logarithm of the clock's precision in seconds:
	// about a microsecond.
	precision = -20
	// eraSeconds are the seconds from 1900, where NTP begins, to 1970.
	eraSeconds = 2208988800
)

// Serve answers on a connection until ctx ends, and closes it.
func Serve(ctx context.Context, conn net.PacketConn) error {
	defer conn.Close() //nolint:errcheck // nothing is lost

	stop := context.AfterFunc(ctx, func() { conn.Close() }) //nolint:errcheck // ends the reading
	defer stop()

	buffer := make([]byte, 1024)

	for {
		n, from, err := conn.ReadFrom(buffer)

		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			return fmt.Errorf("reading NTP: %w", err)
		}

		if answer := Answer(buffer[:n], time.Now()); answer != nil {
			conn.WriteTo(answer, from) //nolint:errcheck // the client asks again
		}
	}
}

// Answer returns the answer to a packet that came at now, or nil when it is no
// question.
func Answer(packet []byte, now time.Time) []byte {
	if len(packet) < packetSize || packet[0]&7 != modeClient {
		return nil
	}

	version := packet[0] >> 3 & 7
	if version < 1 || version > 4 {
		return nil
	}

	answer := make([]byte, packetSize)
	answer[0] = version<<3 | modeServer
	answer[1] = stratum
	answer[2] = packet[2] // the interval at which the client asks
	answer[3] = 0xff & (256 + precision)

	copy(answer[12:], "LOCL")

	stamp := timestamp(now)
	for _, at := range []int{16, 32, 40} { // set, received, sent
		binary.BigEndian.PutUint64(answer[at:], stamp)
	}

	copy(answer[24:32], packet[40:48]) // when the client sent it

	return answer
}

// timestamp is seconds since 1900 in the upper half and their fraction in the
// lower half. It begins anew in 2036, which clients know.
func timestamp(t time.Time) uint64 {
	seconds := uint64(t.Unix()+eraSeconds) & 0xffffffff
	fraction := uint64(t.Nanosecond()) << 32 / uint64(time.Second)

	return seconds<<32 | fraction
}
