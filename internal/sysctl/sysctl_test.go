package sysctl_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/basalt-os/basalt/internal/sysctl"
)

func TestFile(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		name, want string
		ok         bool
	}{
		{"proc.sys.net.ipv4.ip_forward", "proc/sys/net/ipv4/ip_forward", true},
		{"proc.sys.net/ipv4/conf/eth0.100/forwarding", "proc/sys/net/ipv4/conf/eth0.100/forwarding", true},
		{"sys.block.sda.queue.scheduler", "sys/block/sda/queue/scheduler", true},
		{"sys.block/sda/queue/scheduler", "sys/block/sda/queue/scheduler", true},
		{"proc.sys.net/../../uptime", "", false},
		{"proc.sys.", "", false},
		{"vm.overcommit_memory", "", false},
		{"", "", false},
	} {
		if got, ok := sysctl.File(test.name); got != test.want || ok != test.ok {
			t.Errorf("%s: %q, %v; want %q, %v", test.name, got, ok, test.want, test.ok)
		}
	}
}

func TestWrite(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "a")
	if err := sysctl.Write(file, "1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a parameter that is not there: %v", err)
	}

	if err := os.WriteFile(file, []byte("0"), 0o644); err != nil {
		t.Fatal(err)
	}

	if err := sysctl.Write(file, "1"); err != nil {
		t.Error(err)
	}

	if got, err := os.ReadFile(file); string(got) != "1" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// Every default is the name of a parameter.
func TestDefaults(t *testing.T) {
	t.Parallel()

	all := sysctl.Defaults()
	for name := range all {
		if _, ok := sysctl.File(name); !ok {
			t.Errorf("%s is no parameter", name)
		}
	}

	for _, part := range []map[string]string{sysctl.Hardening(), sysctl.Shared()} {
		for name, value := range part {
			if all[name] != value {
				t.Errorf("%s is %q, want %q", name, all[name], value)
			}
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add("proc.sys.net/../x")
	f.Fuzz(func(t *testing.T, name string) {
		if file, ok := sysctl.File(name); ok && !filepath.IsLocal(file) {
			t.Errorf("%q leads out: %q", name, file)
		}
	})
}
