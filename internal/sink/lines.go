package sink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/basalt-os/basalt/internal/logs"
)

const (
	connectTimeout = 10 * time.Second
	writeTimeout   = 10 * time.Second
)

// lines is a connection to a server that takes lines: over TCP each ends with a
// line feed, over UDP each is a packet. It belongs to one goroutine at a time.
type lines struct {
	destination *url.URL
	logger      *slog.Logger
	conn        net.Conn
}

// send delivers one line; it connects when there is no connection, and tries
// again until ctx ends.
func (l *lines) send(ctx context.Context, line []byte) error {
	return deliver(ctx, func(ctx context.Context) error { return l.try(ctx, line) }, func(err error) {
		l.logger.Warn("sending logs", "destination", l.destination.String(), "error", err)
	})
}

func (l *lines) try(ctx context.Context, line []byte) error {
	if l.conn == nil {
		dialer := net.Dialer{Timeout: connectTimeout}

		conn, err := dialer.DialContext(ctx, l.destination.Scheme, l.destination.Host)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}

		l.conn = conn
	}

	conn := l.conn // the connection may be replaced before the context ends

	stop := context.AfterFunc(ctx, func() { _ = conn.SetWriteDeadline(time.Unix(1, 0)) })
	defer stop()

	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return errors.Join(err, l.close())
	}

	if l.destination.Scheme == "tcp" {
		line = append(line[:len(line):len(line)], '\n')
	}

	if _, err := conn.Write(line); err != nil {
		// What a broken TCP connection has taken of the line is for nothing.
		return errors.Join(err, l.close())
	}

	return nil
}

func (l *lines) close() error {
	if l.conn == nil {
		return nil
	}

	err := l.conn.Close()
	l.conn = nil

	return err
}

// Kernel sends the kernel's log, a file such as /dev/kmsg, to a server, until
// ctx ends: what the kernel has kept first. Boot is when the kernel started.
func Kernel(ctx context.Context, destination *url.URL, kmsg string, boot time.Time, logger *slog.Logger) error {
	to := &lines{destination: destination, logger: logger}
	defer func() { _ = to.close() }()

	err := logs.Kmsg(ctx, kmsg, true, false, func(m logs.Message) error { return to.send(ctx, KernelRecord(m, boot)) })
	if ctx.Err() != nil {
		return nil
	}

	return err
}

// Services sends the logs of all services, those that begin later too, to a
// server until ctx ends: what is kept first.
func Services(ctx context.Context, destination *url.URL, tags map[string]string, book *logs.Book, logger *slog.Logger) {
	to := &lines{destination: destination, logger: logger}
	defer func() { _ = to.close() }()

	var readers sync.WaitGroup
	defer readers.Wait()

	records := make(chan []byte)
	known := map[string]bool{}

	for {
		ids, changed := book.Watch()

		for _, id := range ids {
			if known[id] {
				continue
			}

			known[id] = true
			reader := book.Open(id).Follow(-1)

			readers.Go(func() { read(ctx, id, reader, tags, records) })
		}

		for more := false; !more; {
			select {
			case record := <-records:
				if err := to.send(ctx, record); err != nil {
					return
				}
			case <-changed:
				more = true
			case <-ctx.Done():
				return
			}
		}
	}
}

// read passes the lines of one log on. A loss of lines is a line of its own.
func read(ctx context.Context, id string, reader *logs.Reader, tags map[string]string, records chan<- []byte) {
	for {
		line, err := reader.Next(ctx)

		var gap *logs.GapError

		switch {
		case errors.As(err, &gap):
			line = logs.Line{Time: time.Now(), Text: fmt.Appendf(nil, "level=WARN msg=%q", gap)}
		case err != nil:
			return
		}

		select {
		case records <- ServiceRecord(id, line, tags):
		case <-ctx.Done():
			return
		}
	}
}
