// Package console is about the terminals of a machine's own screen: which of
// them shows the dashboard, and which of them a person sees.
//
// The kernel writes its log to the first terminal and to serial lines. The
// dashboard has the second, which is brought to the front; Alt and F1 show the
// log again.
package console

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/cmdline"
)

// User is the user and group that the dashboard runs as.
const User = 52

// Socket is where the node's API answers the dashboard.
const Socket = "/system/run/dashboard/machine.sock"

// defaultTerminal is the terminal of the dashboard where the kernel's arguments
// name no other.
const defaultTerminal = "tty2"

// Terminal is the path of the terminal for the dashboard, below dev; "" when
// there shall be none: the kernel's arguments say so, or the machine has no
// screen. Sys is where sysfs is mounted.
func Terminal(line cmdline.Line, sys, dev string) string {
	name, given := line.Get("talos.dashboard.console")

	switch {
	case line.Has("talos.dashboard.disabled"):
		return ""
	case given && name != "":
		return filepath.Join(dev, filepath.Base(name))
	case hasScreen(sys):
		return filepath.Join(dev, defaultTerminal)
	default:
		return ""
	}
}

// hasScreen says whether the kernel's terminals are shown anywhere.
func hasScreen(sys string) bool {
	names, err := filepath.Glob(filepath.Join(sys, "class/vtconsole/*/name"))
	if err != nil {
		return false
	}

	for _, name := range names {
		bound, err := os.ReadFile(filepath.Join(filepath.Dir(name), "bind"))
		if err != nil || strings.TrimSpace(string(bound)) != "1" {
			continue
		}

		text, err := os.ReadFile(name)
		if err == nil && !strings.Contains(string(text), "dummy") {
			return true
		}
	}

	return false
}

// vtActivate and vtWaitActive are requests of the kernel's terminals, which the
// library does not name.
const (
	vtActivate   = 0x5606
	vtWaitActive = 0x5607
)

// Activate brings a terminal to the front. Others than those of the screen are
// always there.
func Activate(terminal string) error {
	number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(terminal), "tty"))
	if err != nil {
		return nil //nolint:nilerr // a serial line
	}

	file, err := os.OpenFile(filepath.Join(filepath.Dir(terminal), "tty0"), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return fmt.Errorf("bringing terminal %s to the front: %w", terminal, err)
	}
	defer file.Close() //nolint:errcheck // nothing was written

	for _, request := range []uint{vtActivate, vtWaitActive} {
		if err := unix.IoctlSetInt(int(file.Fd()), request, number); err != nil {
			return fmt.Errorf("bringing terminal %s to the front: %w", terminal, err)
		}
	}

	return nil
}
