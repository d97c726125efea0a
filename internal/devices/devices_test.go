package devices_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/devices"
	"github.com/basalt-os/basalt/internal/uevent"
)

// loader writes down what is asked for.
type loader struct{ aliases []string }

func (l *loader) LoadAlias(alias string) ([]string, error) {
	l.aliases = append(l.aliases, alias)
	if alias == "bad" {
		return nil, errors.New("broken")
	}

	return []string{"m"}, nil
}

// events come from a channel; a zero event stands for lost ones.
type events chan uevent.Event

func (e events) Receive(ctx context.Context) (uevent.Event, error) {
	select {
	case event := <-e:
		if event.Action == "" {
			return event, uevent.ErrLost
		}

		return event, nil
	case <-ctx.Done():
		return uevent.Event{}, ctx.Err()
	}
}

// tree makes a sysfs with two devices that ask for modules and one that does
// not.
func tree(t *testing.T) string {
	t.Helper()

	sys := t.TempDir()

	for device, text := range map[string]string{
		"pci0000:00/0000:00:01.0":          "DRIVER=x\nPCI_ID=8086:1000\nMODALIAS=pci:v8086d1000\n",
		"pci0000:00/0000:00:01.0/usb1/1-1": "MODALIAS=usb:v1d6b\n",
		"a-cpu/cpu0":                       "MODALIAS=cpu:type:x86\n",
		"virtual/misc/fuse":                "MAJOR=10\nMINOR=229\nDEVNAME=fuse\n",
	} {
		dir := filepath.Join(sys, "devices", device)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(filepath.Join(dir, "uevent"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	return sys
}

func add(alias string) uevent.Event {
	return uevent.Event{Action: uevent.Add, DevPath: "/devices/x", Values: map[string]string{"MODALIAS": alias}}
}

func TestRun(t *testing.T) {
	sys, dev := tree(t), t.TempDir()

	fuse := filepath.Join(dev, "fuse")
	if err := os.WriteFile(fuse, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	synctest.Test(t, func(t *testing.T) {
		var (
			l        loader
			in       = make(events)
			settled  []time.Duration
			start    = time.Now()
			done     = make(chan error)
			ctx, end = context.WithCancel(t.Context())
		)

		plug := devices.Plug{
			Sys: sys, Dev: dev, Loader: &l, Events: in, Logger: slog.New(slog.DiscardHandler), Settle: time.Second,
		}

		go func() { done <- plug.Run(ctx, func() { settled = append(settled, time.Since(start)) }) }()

		<-time.After(time.Second)
		// The devices have not settled yet: it begins anew.
		in <- add("virtio:d1")
		in <- uevent.Event{Action: uevent.Remove, Values: map[string]string{"MODALIAS": "no"}}
		in <- add("bad")

		<-time.After(5 * time.Second)
		in <- add("late")
		in <- uevent.Event{} // lost
		in <- add("last")

		synctest.Wait()
		end()

		if err := <-done; err != nil {
			t.Error(err)
		}

		cold := []string{"pci:v8086d1000", "usb:v1d6b"}
		// Processors can wait until everything else is there.
		want := slices.Concat(cold, []string{"virtio:d1", "bad", "cpu:type:x86", "late"}, cold, []string{"last"})

		if diff := cmp.Diff(want, l.aliases); diff != "" {
			t.Errorf("aliases (-want +got):\n%s", diff)
		}

		if diff := cmp.Diff([]time.Duration{2300 * time.Millisecond}, settled); diff != "" {
			t.Errorf("settled (-want +got):\n%s", diff)
		}
	})

	if info, err := os.Stat(fuse); err != nil || info.Mode().Perm() != 0o666 {
		t.Errorf("access to fuse: %v, %v", info.Mode(), err)
	}
}

func TestSettleTime(t *testing.T) {
	t.Parallel()

	for value, want := range map[string]time.Duration{"": 0, "3": 3 * time.Second, "1m": time.Minute, "0s": 0, "-1s": -1, "x": -1} {
		got, err := devices.SettleTime(value)
		if (err != nil) != (want < 0) || (err == nil && got != want) {
			t.Errorf("%q: %v, %v", value, got, err)
		}
	}
}
