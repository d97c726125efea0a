package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

// machine is a QEMU process.
type machine struct {
	command *exec.Cmd
	console *host.Console
	monitor *monitor
	events  sync.WaitGroup // the monitor's reader
	stderr  *tail
	kind    provision.Accelerator
	logf    func(event)

	mu     sync.Mutex
	resets int
	last   string // why it was reset, or shut down, last
}

// launch starts QEMU with these arguments, its console going to the log at
// path. tap is the network card's end of the tap device.
func launch(program string, args []string, path string, tap *os.File, kind provision.Accelerator, logf func(event)) (*machine, error) {
	console, err := host.OpenConsole(path)
	if err != nil {
		return nil, err
	}

	ours, theirs, err := socketPair()
	if err != nil {
		return nil, errors.Join(err, console.Close())
	}
	defer theirs.Close() //nolint:errcheck // the child has it

	m := &machine{console: console, monitor: newMonitor(ours), stderr: &tail{}, kind: kind, logf: logf}

	m.command = exec.Command(program, args...)
	m.command.Stdout, m.command.Stderr = console, m.stderr
	m.command.ExtraFiles = []*os.File{theirs, tap}
	m.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}

	if err := m.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", program, err), console.Close(), ours.Close())
	}

	m.events.Go(func() {
		m.monitor.run(m.happened)
		ours.Close() //nolint:errcheck // nothing is lost
	})

	if _, err := m.monitor.execute("qmp_capabilities", nil); err != nil {
		m.Kill()
		m.Wait()

		return nil, fmt.Errorf("starting %s: %w: %s", program, err, m.stderr)
	}

	return m, nil
}

// socketPair returns two connected sockets.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("making the monitor's sockets: %w", err)
	}

	// Ours is to be read by the runtime's poller, so that closing it ends a read.
	if err := unix.SetNonblock(fds[0], true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fds[0]), unix.Close(fds[1]))
	}

	return os.NewFile(uintptr(fds[0]), "monitor"), os.NewFile(uintptr(fds[1]), "monitor"), nil
}

// happened notes what QEMU tells.
func (m *machine) happened(e event) {
	m.mu.Lock()
	defer m.mu.Unlock()

	switch e.Event {
	case "RESET":
		m.resets++
		m.last = strings.TrimSpace(m.cause() + e.Data.Reason)
	case "SHUTDOWN":
		m.last = e.Data.Reason
	case "WATCHDOG":
		m.last = "watchdog, "
	case "GUEST_PANICKED":
		m.last = "kernel panic, "
	default:
		return
	}

	m.logf(e)
}

// cause is what was said just before a reset: it has no reason of its own for a
// panic.
func (m *machine) cause() string {
	if strings.HasSuffix(m.last, ", ") {
		return m.last
	}

	return ""
}

func (m *machine) PID() int { return m.command.Process.Pid }

// Detail says what runs the machine, and how often it was reset.
func (m *machine) Detail() string {
	m.mu.Lock()
	defer m.mu.Unlock()

	if m.resets == 0 {
		return string(m.kind)
	}

	return fmt.Sprintf("%s, reset %d times, last by %s", m.kind, m.resets, m.last)
}

// Shutdown presses the power button.
func (m *machine) Shutdown() error {
	_, err := m.monitor.execute("system_powerdown", nil)

	return err
}

// Reset presses the reset button.
func (m *machine) Reset() error {
	_, err := m.monitor.execute("system_reset", nil)

	return err
}

// Kill pulls the plug.
func (m *machine) Kill() { m.command.Process.Kill() } //nolint:errcheck // it may have ended just now

// Wait waits for the process to end. A machine that was started without a boot
// loader ends for a reboot and is powered on again.
func (m *machine) Wait() host.Ending {
	err := m.command.Wait()
	m.events.Wait()
	m.console.Close() //nolint:errcheck // each line is written at once

	if err != nil {
		return host.Ending{Reason: fmt.Errorf("%w %s", err, m.stderr)}
	}

	m.mu.Lock()
	defer m.mu.Unlock()

	return host.Ending{Again: m.last == "guest-reset", Reason: errors.New(m.last)}
}

// tail keeps the end of what is written.
type tail struct {
	mu   sync.Mutex
	data []byte
}

func (t *tail) Write(data []byte) (int, error) {
	const limit = 4096

	t.mu.Lock()
	defer t.mu.Unlock()

	t.data = append(t.data, data...)
	t.data = bytes.Clone(t.data[max(0, len(t.data)-limit):])

	return len(data), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()

	return strings.TrimSpace(string(t.data))
}
