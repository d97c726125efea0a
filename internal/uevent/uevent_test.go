package uevent

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func message(parts ...string) []byte { return []byte(strings.Join(parts, "\x00") + "\x00") }

func TestParse(t *testing.T) {
	got, err := Parse(message(
		"add@/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1",
		"ACTION=add", "DEVPATH=/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1", "SUBSYSTEM=block",
		"MAJOR=254", "MINOR=1", "DEVNAME=vda1", "DEVTYPE=partition", "PARTNAME=a=b", "EMPTY=", "SEQNUM=1234",
	))
	if err != nil {
		t.Fatal(err)
	}

	want := Event{
		Action: Add, DevPath: "/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1", Subsystem: "block", Sequence: 1234,
		Values: map[string]string{
			"ACTION": "add", "DEVPATH": "/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1", "SUBSYSTEM": "block",
			"MAJOR": "254", "MINOR": "1", "DEVNAME": "vda1", "DEVTYPE": "partition", "PARTNAME": "a=b", "EMPTY": "",
			"SEQNUM": "1234",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":          nil,
		"without end":      []byte("add@/devices/x"),
		"without device":   message("add"),
		"without action":   message("@/devices/x"),
		"udevd's own":      message("libudev", "ACTION=add"),
		"other action":     message("add@/devices/x", "ACTION=remove"),
		"other device":     message("add@/devices/x", "DEVPATH=/devices/y"),
		"no variable":      message("add@/devices/x", "SUBSYSTEM"),
		"no key":           message("add@/devices/x", "=block"),
		"sequence of text": message("add@/devices/x", "SEQNUM=x"),
	} {
		if e, err := Parse(data); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %v, %v", name, e, err)
		}
	}
}

func TestReceiveEndsWithItsContext(t *testing.T) {
	c, err := Listen()
	if err != nil {
		t.Skipf("this kernel sends no events: %v", err)
	}
	defer c.Close()

	for range 2 {
		ctx, cancel := context.WithCancel(t.Context())

		done := make(chan error)
		go func() {
			for {
				if _, err := c.Receive(ctx); err != nil {
					done <- err

					return
				}
			}
		}()

		cancel()

		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Receive ended with %v", err)
		}
	}
}

func TestReceiveFromTheKernel(t *testing.T) {
	c, err := Listen()
	if err != nil {
		t.Skipf("this kernel sends no events: %v", err)
	}
	defer c.Close()

	// Asks the kernel to say again that /dev/null is there.
	if err := os.WriteFile("/sys/class/mem/null/uevent", []byte("change"), 0); err != nil {
		t.Skipf("events cannot be triggered: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()

	for {
		e, err := c.Receive(ctx)
		if err != nil {
			t.Fatal(err)
		}

		if e.Subsystem == "mem" && e.Action == Change && e.Values["DEVNAME"] == "null" {
			return
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message("add@/devices/virtual/block/loop0", "ACTION=add", "SUBSYSTEM=block", "SEQNUM=1"))
	f.Add(message("change@/module/x"))

	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Errorf("error %v is of no known kind", err)
			}

			return
		}

		if e.Action == "" || !strings.HasPrefix(e.DevPath, "/") || e.Subsystem != e.Values["SUBSYSTEM"] {
			t.Errorf("accepted %+v", e)
		}
	})
}
