// Package devices gives a machine's devices what they need to work: the kernel
// modules that drive them, and access rights where the kernel's own are too
// narrow. It does so for the devices that are there at the start (cold plug) and
// for those that come later (hot plug).
package devices

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/uevent"
)

// Loader loads the kernel modules for a device. [loader.Loader] is one.
type Loader interface {
	LoadAlias(alias string) ([]string, error)
}

// Events are the kernel's events of devices. [uevent.Conn] is one.
type Events interface {
	// Receive waits for the next event; [uevent.ErrLost] says that some were
	// lost.
	Receive(ctx context.Context) (uevent.Event, error)
}

// Plug gives devices what they need. Its fields are set before its use; Run is
// called once at a time.
type Plug struct {
	Sys, Dev string // where the kernel's file systems are mounted
	Loader   Loader
	Events   Events
	Logger   *slog.Logger
	// Settle is how long to wait, beyond the kernel's events, until devices
	// count as there.
	Settle time.Duration

	later []uevent.Event // of processors, until the devices have settled
}

// quiet is how long the kernel has to be without events until the devices that
// it knows of count as there: some drivers look for their devices beside the
// loading of the module.
const quiet = 300 * time.Millisecond

// Run does cold plug, calls settled once the devices that are there have what
// they need, and then does hot plug until ctx ends.
func (p *Plug) Run(ctx context.Context, settled func()) error {
	if err := p.ColdPlug(ctx); err != nil {
		return err
	}

	timer := time.NewTimer(quiet + p.Settle)
	defer timer.Stop()

	ctx, cancel := context.WithCancel(ctx)
	events := make(chan uevent.Event)
	failed := make(chan error, 1)

	go func() { failed <- p.receive(ctx, events) }()

	// The receiver ends before this function does.
	end := func(err error) error {
		cancel()

		if received := <-failed; err == nil {
			err = received
		}

		return err
	}

	for {
		select {
		case event := <-events:
			if err := p.handle(ctx, event); err != nil {
				return end(err)
			}
			// Only the first time counts; later nobody waits.
			if timer.Stop() {
				timer.Reset(quiet + p.Settle)
			}
		case <-timer.C:
			settled()
			p.equipProcessors()
		case <-ctx.Done():
			end(nil) //nolint:errcheck // nothing but the end

			return nil
		case err := <-failed:
			if ctx.Err() != nil {
				err = nil
			}

			cancel()

			return err
		}
	}
}

// lost stands for events that were lost.
const lost uevent.Action = "lost"

// receive hands events on until ctx ends.
func (p *Plug) receive(ctx context.Context, events chan<- uevent.Event) error {
	for {
		event, err := p.Events.Receive(ctx)
		if errors.Is(err, uevent.ErrLost) {
			event, err = uevent.Event{Action: lost}, nil
		}

		if err != nil {
			return err
		}

		select {
		case events <- event:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// handle gives the device of an event what it needs. After lost events, it
// looks at all devices again.
func (p *Plug) handle(ctx context.Context, event uevent.Event) error {
	switch event.Action {
	case lost:
		p.Logger.Warn("events of devices were lost, looking at all devices again")

		return p.ColdPlug(ctx)
	case uevent.Add:
		p.equip(event)
	}

	return nil
}

// ColdPlug looks at all devices that are there. What a loaded module finds comes
// as an event.
func (p *Plug) ColdPlug(ctx context.Context) error {
	root := filepath.Join(p.Sys, "devices")
	p.later = nil

	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist): // the device has gone meanwhile
			return nil
		case err != nil:
			return err
		case entry.Name() == "uevent" && entry.Type().IsRegular():
			p.coldPlug(name)
		}

		return nil
	})
	if err != nil {
		return fmt.Errorf("looking at the devices: %w", err)
	}

	return nil
}

// coldPlug handles a device by its uevent file, which says the same as an event.
func (p *Plug) coldPlug(file string) {
	text, err := os.ReadFile(file)
	if err != nil {
		return // some devices have nothing to say, others have gone
	}

	values := map[string]string{}

	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[key] = value
		}
	}

	event := uevent.Event{Action: uevent.Add, DevPath: strings.TrimPrefix(filepath.Dir(file), p.Sys), Values: values}

	if strings.HasPrefix(values["MODALIAS"], "cpu:") {
		p.later = append(p.later, event)

		return
	}

	p.equip(event)
}

// equipProcessors loads what makes processors faster, mostly at cryptography.
// Nothing waits for it, and it tests itself for seconds where the machine is
// emulated.
func (p *Plug) equipProcessors() {
	for _, event := range p.later {
		p.equip(event)
	}

	p.later = nil
}

// equip gives a device what it needs.
func (p *Plug) equip(event uevent.Event) {
	if alias := event.Values["MODALIAS"]; alias != "" {
		loaded, err := p.Loader.LoadAlias(alias)
		if err != nil {
			p.Logger.Warn("loading modules for a device", "device", event.DevPath, "error", err)
		}

		if len(loaded) > 0 {
			p.Logger.Info("loaded kernel modules for a device", "device", event.DevPath, "modules", loaded)
		}
	}

	p.allow(event.Values["DEVNAME"])
}

// shared are devices that are safe for everybody to open, below /dev, and that
// the kernel gives to root alone.
func shared() []string { return []string{"fuse", "kvm", "vfio/vfio", "vsock"} }

// allow widens the access to a device.
func (p *Plug) allow(device string) {
	if !slices.Contains(shared(), device) {
		return
	}

	if err := os.Chmod(filepath.Join(p.Dev, device), 0o666); err != nil {
		p.Logger.Warn("opening a device to all", "device", device, "error", err)
	}
}

// SettleTime reads the value of the kernel's argument talos.device.settle_time:
// a duration, or a number of seconds. Without a value it is zero.
func SettleTime(value string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}

	if seconds, err := strconv.Atoi(value); err == nil {
		value = strconv.Itoa(seconds) + "s"
	}

	settle, err := time.ParseDuration(value)
	if err != nil || settle < 0 {
		return 0, fmt.Errorf("reading the time that devices need: found %q, expected a duration", value)
	}

	return settle, nil
}
