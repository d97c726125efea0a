package blockdev

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/uevent"
)

// Watch tells which devices came, went, changed, or were closed after somebody
// had them open for writing, until ctx ends. No names mean any device. It calls
// changed without names once at the beginning, when it listens.
func (s System) Watch(ctx context.Context, changed func(names ...string)) error {
	events, err := uevent.Listen()
	if err != nil {
		return err
	}
	defer events.Close()

	closed, err := newCloseWatch()
	if err != nil {
		return err
	}
	defer closed.file.Close()

	devices, err := s.Devices()
	if err != nil {
		return err
	}

	for _, d := range devices {
		closed.add(d.Name)
	}

	changed()

	group, ctx := errgroup.WithContext(ctx)

	group.Go(func() error { return closed.run(ctx, changed) })
	group.Go(func() error {
		for {
			event, err := events.Receive(ctx)

			switch {
			case errors.Is(err, uevent.ErrLost):
				changed()
			case err != nil:
				return err
			case event.Subsystem == "block":
				name := filepath.Base(event.DevPath)
				if event.Action != uevent.Remove {
					closed.add(name)
				}

				changed(name)
			}
		}
	})

	return group.Wait()
}

// closeWatch tells when a device node is closed that was open for writing: the
// kernel says nothing of its own when a file system is made.
type closeWatch struct {
	file *os.File

	mu    sync.Mutex
	names map[int32]string // by watch
}

func newCloseWatch() (*closeWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("watching device nodes: %w", err)
	}

	return &closeWatch{file: os.NewFile(uintptr(fd), "inotify"), names: map[int32]string{}}, nil
}

// add watches a node. One that is gone again needs no watch.
func (c *closeWatch) add(name string) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return
	}

	c.mu.Lock()
	defer c.mu.Unlock()

	raw.Control(func(fd uintptr) { //nolint:errcheck // fails when closed
		if watch, err := unix.InotifyAddWatch(int(fd), NodeOf(name), unix.IN_CLOSE_WRITE); err == nil {
			c.names[int32(watch)] = name
		}
	})
}

func (c *closeWatch) run(ctx context.Context, changed func(names ...string)) error {
	stop := context.AfterFunc(ctx, func() { c.file.SetReadDeadline(time.Unix(1, 0)) }) //nolint:errcheck // fails when closed
	defer stop()

	buffer := make([]byte, 64<<10)

	for {
		n, err := c.file.Read(buffer)
		if ctx.Err() != nil {
			return ctx.Err()
		}

		if err != nil {
			return fmt.Errorf("watching device nodes: %w", err)
		}

		if names := c.take(buffer[:n]); len(names) > 0 {
			changed(names...)
		}
	}
}

// take reads the kernel's messages: the watch, what happened, a cookie, and the
// length of a name that follows.
func (c *closeWatch) take(data []byte) []string {
	c.mu.Lock()
	defer c.mu.Unlock()

	var names []string

	for len(data) >= unix.SizeofInotifyEvent {
		watch := int32(binary.NativeEndian.Uint32(data))
		mask := binary.NativeEndian.Uint32(data[4:])
		length := binary.NativeEndian.Uint32(data[12:])
		data = data[min(uint64(len(data)), unix.SizeofInotifyEvent+uint64(length)):]

		switch {
		case mask&unix.IN_IGNORED != 0:
			delete(c.names, watch)
		case mask&unix.IN_Q_OVERFLOW != 0:
			for _, name := range c.names {
				names = append(names, name)
			}
		case c.names[watch] != "":
			names = append(names, c.names[watch])
		}
	}

	return names
}
