package powerbutton

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/uevent"
)

// event is what the kernel sends.
func event(kind, code uint16, value uint32) []byte {
	data := make([]byte, 16, 24)
	data = binary.NativeEndian.AppendUint16(data, kind)
	data = binary.NativeEndian.AppendUint16(data, code)

	return binary.NativeEndian.AppendUint32(data, value)
}

func TestRead(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		about string
		data  []byte
		want  int
		err   bool
	}{
		{about: "pressed and let go", data: bytes.Join([][]byte{event(1, 116, 1), event(0, 0, 0), event(1, 116, 0)}, nil), want: 1},
		{about: "held", data: bytes.Join([][]byte{event(1, 116, 1), event(1, 116, 2), event(1, 116, 2)}, nil), want: 1},
		{about: "the other name", data: event(1, 356, 1), want: 1},
		{about: "another key", data: event(1, 30, 1)},
		{about: "no key", data: event(2, 116, 1)},
		{about: "cut off", data: event(1, 116, 1)[:20], err: true},
	} {
		got := 0

		err := read(bytes.NewReader(test.data), func() { got++ })
		if got != test.want || (err != nil) != test.err {
			t.Errorf("%s: %d, %v", test.about, got, err)
		}
	}
}

func TestBitmap(t *testing.T) {
	t.Parallel()

	for text, want := range map[string]bool{
		"10000000000000 0\n":     true, // 116
		"1000000000 0 0 0 0 0\n": true, // 356
		"fe8000000000 1\n":       false,
		"402000007 ff803078f8f9f401 feffffdfffefffff ffffffffffffffff\n": true, // a keyboard with a power key
		"0":  false,
		"":   false,
		"zz": false,
	} {
		folder := t.TempDir()

		err := errors.Join(os.MkdirAll(filepath.Join(folder, "device/capabilities"), 0o755),
			os.WriteFile(filepath.Join(folder, "device/capabilities/key"), []byte(text), 0o644))
		if err != nil {
			t.Fatal(err)
		}

		if got := hasButton(folder); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// plugs is a source of events from a channel.
type plugs chan uevent.Event

func (p plugs) Receive(ctx context.Context) (uevent.Event, error) {
	select {
	case e := <-p:
		return e, nil
	case <-ctx.Done():
		return uevent.Event{}, ctx.Err()
	}
}

// A button that comes later is used like one that is there, and goes without
// harm. A named pipe stands for the device.
func TestRun(t *testing.T) {
	t.Parallel()

	sys, dev := t.TempDir(), t.TempDir()

	add := func(device string) *os.File {
		folder := filepath.Join(sys, "class/input", device, "device/capabilities")
		pipe := filepath.Join(dev, "input", device)

		err := errors.Join(os.MkdirAll(folder, 0o755), os.WriteFile(filepath.Join(folder, "key"), []byte("10000000000000 0"), 0o644),
			os.MkdirAll(filepath.Dir(pipe), 0o755), unix.Mkfifo(pipe, 0o600))
		if err != nil {
			t.Fatal(err)
		}

		file, err := os.OpenFile(pipe, os.O_RDWR, 0) // does not wait for a reader
		if err != nil {
			t.Fatal(err)
		}

		return file
	}

	first := add("event0")
	defer first.Close()

	var (
		events  = make(plugs)
		pressed = make(chan struct{})
		done    = make(chan error)
		buttons = Buttons{Sys: sys, Dev: dev, Events: events, Logger: slog.New(slog.DiscardHandler)}
	)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- buttons.Run(ctx, func() { pressed <- struct{}{} }) }()

	press := func(file *os.File) {
		if _, err := file.Write(event(1, 116, 1)); err != nil {
			t.Error(err)
		}

		<-pressed
	}

	press(first)

	second := add("event1")
	defer second.Close()

	events <- uevent.Event{Action: uevent.Add, Subsystem: "input"}

	press(second)
	press(first)
	cancel()

	if err := <-done; err != nil {
		t.Error(err)
	}
}

func FuzzBitmap(f *testing.F) {
	f.Add("402000007 ff803078f8f9f401 feffffdfffefffff")
	f.Fuzz(func(t *testing.T, text string) {
		if set, err := bitmap(text); err == nil && set.Sign() < 0 {
			t.Errorf("%q is %s", text, set)
		}
	})
}
