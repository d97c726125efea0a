package timesync

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path"
	"sync"
	"time"

	"github.com/beevik/ntp"
	"github.com/beevik/nts"
	"golang.org/x/sys/unix"
)

// queryTimeout bounds the wait for one answer.
const queryTimeout = 5 * time.Second

// devices are the paths of clock devices.
const devices = "/dev/ptp*"

// Client asks time servers: by NTP, or by NTP with network time security, and
// clock devices. The zero value is ready. It is safe for concurrent use.
type Client struct {
	// Roots are the authorities to trust for time security; nil are the system's.
	Roots func() *x509.CertPool

	mu       sync.Mutex
	sessions map[string]*nts.Session
}

// Ask is a Query. A server is an address or name, with or without a port, or
// the path of a clock device: /dev/ptp0.
func (c *Client) Ask(ctx context.Context, server string, secure bool) (Sample, error) {
	var sample Sample

	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()

	device, err := path.Match(devices, server)

	switch {
	case err != nil:
	case device:
		sample, err = askDevice(server)
	case secure:
		sample, err = c.askSecure(ctx, server)
	default:
		sample, err = fromResponse(ntp.QueryWithOptions(server, *options(ctx)))
	}

	if err != nil {
		return sample, fmt.Errorf("asking time server %s: %w", server, err)
	}

	return sample, nil
}

// options has an answer waited for no longer than ctx says.
func options(ctx context.Context) *ntp.QueryOptions {
	timeout := queryTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}

	return &ntp.QueryOptions{
		Timeout: timeout,
		Dialer: func(_, remote string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", remote)
		},
	}
}

func fromResponse(response *ntp.Response, err error) (Sample, error) {
	if err != nil {
		return Sample{}, err
	}

	if err := response.Validate(); err != nil {
		return Sample{}, err
	}

	sample := Sample{Offset: response.ClockOffset, Delay: response.RTT}

	switch response.Leap {
	case ntp.LeapAddSecond:
		sample.Leap = 1
	case ntp.LeapDelSecond:
		sample.Leap = -1
	}

	return sample, nil
}

// askSecure asks with a session, whose keys last for many questions.
func (c *Client) askSecure(ctx context.Context, server string) (Sample, error) {
	session, err := c.session(ctx, server)
	if err != nil {
		return Sample{}, err
	}

	sample, err := fromResponse(session.QueryWithOptions(options(ctx)))
	if err != nil {
		// Keys may have run out; the next question begins with new ones.
		c.mu.Lock()
		delete(c.sessions, server)
		c.mu.Unlock()
	}

	return sample, err
}

func (c *Client) session(ctx context.Context, server string) (*nts.Session, error) {
	c.mu.Lock()
	session := c.sessions[server]
	c.mu.Unlock()

	if session != nil {
		return session, nil
	}

	session, err := nts.NewSessionWithOptions(server, &nts.SessionOptions{
		Timeout: queryTimeout,
		Dialer: func(network, addr string, config *tls.Config) (*tls.Conn, error) {
			if c.Roots != nil {
				config = config.Clone()
				config.RootCAs = c.Roots()
			}

			conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}

			secure, ok := conn.(*tls.Conn)
			if !ok {
				return nil, errors.Join(errors.New("no TLS connection"), conn.Close())
			}

			return secure, nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("exchanging keys: %w", err)
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	if c.sessions == nil {
		c.sessions = map[string]*nts.Session{}
	}

	c.sessions[server] = session

	return session, nil
}

// askDevice compares the system's clock with that of a device.
func askDevice(name string) (Sample, error) {
	file, err := os.Open(name)
	if err != nil {
		return Sample{}, err
	}
	defer file.Close()

	fd := int(file.Fd())

	// Best: the device takes both times at one moment.
	if precise, err := unix.IoctlPtpSysOffsetPrecise(fd); err == nil {
		return Sample{Offset: ptp(precise.Device).Sub(ptp(precise.Realtime))}, nil
	}

	// Else the device's time is between two of the system's.
	var before, device, after unix.Timespec

	if err := errors.Join(
		unix.ClockGettime(unix.CLOCK_REALTIME, &before),
		unix.ClockGettime(unix.FdToClockID(fd), &device),
		unix.ClockGettime(unix.CLOCK_REALTIME, &after),
	); err != nil {
		return Sample{}, fmt.Errorf("reading the clock: %w", err)
	}

	return between(time.Unix(before.Unix()), time.Unix(device.Unix()), time.Unix(after.Unix())), nil
}

func ptp(t unix.PtpClockTime) time.Time { return time.Unix(t.Sec, int64(t.Nsec)) }

// between is the sample of a time that was read between two others.
func between(before, device, after time.Time) Sample {
	delay := after.Sub(before)

	return Sample{Offset: device.Sub(before.Add(delay / 2)), Delay: delay}
}
