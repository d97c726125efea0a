package console_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/console"
)

// sysfs makes a folder with consoles: what each is called, and whether it shows
// terminals.
func sysfs(t *testing.T, consoles map[string]string) string {
	t.Helper()

	sys := t.TempDir()

	for name, bound := range consoles {
		dir := filepath.Join(sys, "class/vtconsole", name)
		err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, "name"), []byte(name+"\n"), 0o644),
			os.WriteFile(filepath.Join(dir, "bind"), []byte(bound+"\n"), 0o644))

		if err != nil {
			t.Fatal(err)
		}
	}

	return sys
}

func TestTerminal(t *testing.T) {
	t.Parallel()

	screen := map[string]string{"(S) dummy device": "0", "(M) frame buffer device": "1"}
	dark := map[string]string{"(S) dummy device": "1"}

	for _, test := range []struct {
		line     string
		consoles map[string]string
		want     string
	}{
		{"", screen, "/dev/tty2"},
		{"", dark, ""},
		{"", nil, ""},
		{"talos.dashboard.disabled=1", screen, ""},
		{"talos.dashboard.disabled", screen, ""},
		{"talos.dashboard.disabled=0", screen, "/dev/tty2"},
		{"talos.dashboard.console=ttyS1", dark, "/dev/ttyS1"},
		{"talos.dashboard.console=/dev/tty5", screen, "/dev/tty5"},
		{"talos.dashboard.console=ttyS1 talos.dashboard.disabled=1", dark, ""},
	} {
		if got := console.Terminal(cmdline.Parse(test.line), sysfs(t, test.consoles), "/dev"); got != test.want {
			t.Errorf("%q: %q, want %q", test.line, got, test.want)
		}
	}
}

func TestActivateSerial(t *testing.T) {
	t.Parallel()

	if err := console.Activate(filepath.Join(t.TempDir(), "ttyS0")); err != nil {
		t.Error(err)
	}

	if err := console.Activate(filepath.Join(t.TempDir(), "tty2")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a machine without a screen: %v", err)
	}
}
