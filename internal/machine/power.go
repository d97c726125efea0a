package machine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Power is how a machine ends.
type Power uint8

// How a machine can end.
const (
	PowerOff Power = iota
	Restart
	// Kexec is Restart by the kernel that package kexec has loaded, without a
	// detour through the firmware.
	Kexec
)

func (p Power) String() string {
	switch p {
	case Restart:
		return "restart"
	case Kexec:
		return "kexec"
	default:
		return "power off"
	}
}

// command is what the kernel is told.
func (p Power) command() int {
	switch p {
	case Restart:
		return unix.LINUX_REBOOT_CMD_RESTART
	case Kexec:
		return unix.LINUX_REBOOT_CMD_KEXEC
	default:
		return unix.LINUX_REBOOT_CMD_POWER_OFF
	}
}

// End ends the machine. In a container it ends the PID namespace with all its
// processes, and whoever started it learns how by the signal. A kernel that was
// not loaded is made up for by the firmware. It returns only with an error.
func End(power Power) error {
	unix.Sync()

	// In a container the kernel ends the calling thread's group; the call then
	// never comes back.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := unix.Reboot(power.command())
	if err != nil && power == Kexec {
		err = unix.Reboot(Restart.command())
	}

	if err != nil {
		return fmt.Errorf("ending machine (%s): %w", power, err)
	}

	return errors.New("ending machine: the kernel came back")
}

// Signals by which others ask PID 1 to end the machine.
const (
	shutdownSignal = syscall.SIGTERM
	rebootSignal   = syscall.SIGINT // also what the kernel sends for Ctrl-Alt-Del
	powerSignal    = syscall.SIGPWR
)

// Ask asks PID 1 to end the machine in an orderly way.
func Ask(power Power) error {
	request := shutdownSignal
	if power == Restart {
		request = rebootSignal
	}

	if err := syscall.Kill(1, request); err != nil {
		return fmt.Errorf("asking for %s: %w", power, err)
	}

	return nil
}

// Requests calls f for every request to end the machine that reaches this
// process as a signal, until ctx ends.
func Requests(ctx context.Context, f func(Power)) {
	signals := make(chan os.Signal, 4)

	signal.Notify(signals, shutdownSignal, rebootSignal, powerSignal)
	defer signal.Stop(signals)

	for {
		select {
		case received := <-signals:
			if received == rebootSignal {
				f(Restart)
			} else {
				f(PowerOff)
			}
		case <-ctx.Done():
			return
		}
	}
}
