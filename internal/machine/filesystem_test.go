package machine_test

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/machine"
)

func TestWipeDir(t *testing.T) {
	dir := t.TempDir()

	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}

	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	if err := machine.WipeDir(dir); err != nil {
		t.Fatal(err)
	}

	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("left are %v, %v", entries, err)
	}

	if err := machine.WipeDir(filepath.Join(dir, "missing")); err != nil {
		t.Errorf("a missing folder: %v", err)
	}
}

// A mount below a folder that is wiped goes away; what is on it stays.
func TestWipeDirLeavesMountsAlone(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting takes root")
	}

	dir, other := t.TempDir(), t.TempDir()
	kept := filepath.Join(other, "kept")

	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}

	done := make(chan error)

	go func() {
		// The thread is not given back: its mounts go with it.
		runtime.LockOSThread()

		done <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
				return err
			}

			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
				return err
			}

			for _, name := range []string{"pods", "pods/volume"} {
				target := filepath.Join(dir, name)
				if err := os.MkdirAll(target, 0o700); err != nil {
					return err
				}

				if err := unix.Mount(other, target, "", unix.MS_BIND, ""); err != nil {
					return err
				}

				if name == "pods" {
					if err := os.MkdirAll(filepath.Join(target, "volume"), 0o700); err != nil {
						return err
					}
				}
			}

			return machine.WipeDir(dir)
		}()
	}()

	if err := <-done; err != nil {
		t.Fatal(err)
	}

	if _, err := os.Stat(kept); err != nil {
		t.Errorf("what was mounted is gone: %v", err)
	}

	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestRaiseLimits(t *testing.T) {
	if err := machine.RaiseLimits(1 << 40); err != nil {
		t.Fatal(err)
	}

	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}

	if limit.Cur != limit.Max {
		t.Errorf("limit is %d, want the hard limit %d", limit.Cur, limit.Max)
	}
}
