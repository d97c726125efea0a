package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// kernelGroup is the multicast group that the kernel itself sends to.
	kernelGroup = 1
	// maxEvent is the longest event: the kernel's buffer is 2 KiB, the head
	// comes on top.
	maxEvent = 8 << 10
	// buffered is how many bytes of events the kernel keeps for us. A machine
	// with many disks sends thousands at once when it starts.
	buffered = 16 << 20
)

// Conn receives the kernel's events from the moment it was opened. Receive is
// for one caller at a time; Close may be called beside it.
type Conn struct {
	file *os.File // a pollable socket, so that deadlines and Close end a read
}

// Listen opens a connection. It needs no privilege; events of devices are sent
// to the network namespaces that the device belongs to, those of most devices
// to the first one.
func Listen() (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("listening to the kernel's events: %w", err)
	}

	file := os.NewFile(uintptr(fd), "uevents")

	// Past the limit of unprivileged processes where we may, up to it otherwise.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffered) != nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffered)
	}

	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup})
	}

	if err != nil {
		return nil, fmt.Errorf("listening to the kernel's events: %w", errors.Join(err, file.Close()))
	}

	return &Conn{file: file}, nil
}

// Close ends the connection; a Receive that waits returns an error.
func (c *Conn) Close() error { return c.file.Close() }

// Receive returns the next event. It waits for one until ctx ends. ErrLost is
// returned once after events were lost; the connection goes on working.
// Messages that are not the kernel's, or that make no sense, are passed over.
func (c *Conn) Receive(ctx context.Context) (Event, error) {
	// A deadline in the past ends the wait as soon as ctx does.
	stop := context.AfterFunc(ctx, func() { c.file.SetReadDeadline(time.Unix(1, 0)) }) //nolint:errcheck // fails when closed
	defer stop()

	for {
		if err := ctx.Err(); err != nil {
			return Event{}, err
		}

		data, err := c.read()

		switch {
		case errors.Is(err, unix.ENOBUFS):
			return Event{}, ErrLost
		case errors.Is(err, os.ErrDeadlineExceeded):
			c.file.SetReadDeadline(time.Time{}) //nolint:errcheck // fails when closed

			continue
		case err != nil:
			return Event{}, fmt.Errorf("receiving an event of the kernel: %w", err)
		}

		if event, err := Parse(data); err == nil {
			return event, nil
		}
	}
}

// read returns one message of the kernel, or nothing for a message of anybody
// else.
func (c *Conn) read() ([]byte, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, err
	}

	var (
		data    = make([]byte, maxEvent)
		n       int
		from    unix.Sockaddr
		readErr error
	)

	err = raw.Read(func(fd uintptr) bool {
		n, from, readErr = unix.Recvfrom(int(fd), data, 0)

		return !errors.Is(readErr, unix.EAGAIN)
	})

	if err := errors.Join(err, readErr); err != nil {
		return nil, err
	}

	// Processes may send to the group too, if they are privileged; the kernel's
	// own port is 0.
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, nil
	}

	return data[:n], nil
}
