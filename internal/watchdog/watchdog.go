// Package watchdog works with the watchdog timers of a machine: hardware that
// restarts the machine when nobody has fed it for a while.
//
// A timer is armed as soon as it is opened. It stays armed when the program that
// fed it ends, unless it was disarmed before: so stage 1 arms it and the node
// takes it over, and whichever of them hangs, the machine starts anew and the
// boot loader counts the try.
package watchdog

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// DefaultDevice is the first timer of a machine.
const DefaultDevice = "/dev/watchdog0"

// BootTimeout is how long a machine may take from the arming of the timer until
// the node feeds it: long enough for slow machines, short enough to wait for.
const BootTimeout = 5 * time.Minute

// Timer is an armed timer.
type Timer interface {
	// Timeout is how long the timer waits to be fed: the nearest that the
	// hardware can do.
	Timeout() time.Duration
	// Feed starts the time anew.
	Feed() error
	// Disarm stops the timer. Some hardware cannot be stopped.
	Disarm() error
	// Leave stops using the timer, which stays armed.
	Leave() error
}

// device is a timer of the kernel's.
type device struct {
	file    *os.File
	timeout time.Duration
}

// Open arms the timer with a device, such as [DefaultDevice]. Timeout is rounded
// to seconds, and to what the hardware can do. Only one process can have a timer.
func Open(name string, timeout time.Duration) (Timer, error) {
	file, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("arming watchdog: %w", err)
	}

	d := &device{file: file}
	if err := d.set(timeout); err != nil {
		return nil, fmt.Errorf("arming watchdog %s: %w", name, errors.Join(err, d.Disarm()))
	}

	return d, nil
}

// set tries shorter times until the hardware takes one.
func (d *device) set(timeout time.Duration) error {
	fd := int(d.file.Fd())

	for seconds := int(timeout.Round(time.Second) / time.Second); ; seconds /= 2 {
		// The driver writes the time that it took in its place.
		err := unix.IoctlSetPointerInt(fd, unix.WDIOC_SETTIMEOUT, seconds)
		if errors.Is(err, unix.EINVAL) && seconds > 1 {
			continue
		}

		// One whose time is fixed says which it is.
		if err != nil && !errors.Is(err, unix.EOPNOTSUPP) && !errors.Is(err, unix.ENOTTY) {
			return fmt.Errorf("setting its time: %w", err)
		}

		break
	}

	seconds, err := unix.IoctlGetInt(fd, unix.WDIOC_GETTIMEOUT)
	if err != nil {
		return fmt.Errorf("reading its time: %w", err)
	}

	d.timeout = time.Duration(seconds) * time.Second

	return nil
}

// Timeout implements [Timer].
func (d *device) Timeout() time.Duration { return d.timeout }

// Feed implements [Timer].
func (d *device) Feed() error {
	if _, err := d.file.Write([]byte{0}); err != nil {
		return fmt.Errorf("feeding watchdog: %w", err)
	}

	return nil
}

// Disarm implements [Timer]. The byte is what drivers know as leave to stop.
func (d *device) Disarm() error {
	_, err := d.file.Write([]byte{'V'})

	return errors.Join(err, d.file.Close())
}

// Leave implements [Timer].
func (d *device) Leave() error { return d.file.Close() }

// softModule is the kernel's own timer as a module.
const softModule = "softdog"

// Machine are the timers of the running machine.
type Machine struct {
	Load func(module string) error // loads a kernel module
}

// Open arms a timer; see the function of this name.
func (Machine) Open(name string, timeout time.Duration) (Timer, error) { return Open(name, timeout) }

// Fallback makes the kernel's own timer available.
func (m Machine) Fallback() error { return m.Load(softModule) }
