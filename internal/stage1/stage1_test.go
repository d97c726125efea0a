package stage1

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// recorder is a system that does nothing and writes down what it was asked.
type recorder struct {
	calls []string
	fail  string // the call that goes wrong

	extensions []string
}

var errBroken = errors.New("broken")

func (r *recorder) call(format string, args ...any) error {
	r.calls = append(r.calls, fmt.Sprintf(format, args...))

	if r.fail != "" && strings.HasPrefix(r.calls[len(r.calls)-1], r.fail) {
		return errBroken
	}

	return nil
}

func (r *recorder) List(dir string) ([]string, error) {
	if dir == LayersDir {
		return r.extensions, r.call("list %s", dir)
	}

	return []string{dir + "/01-overlay.ko", dir + "/00-loop.ko"}, r.call("list %s", dir)
}

func (r *recorder) Loop(file string) (string, error) {
	return "/dev/loop0", r.call("loop %s", file)
}

func (r *recorder) ArmWatchdog() error           { return r.call("watchdog") }
func (r *recorder) LoadModule(file string) error { return r.call("load %s", file) }
func (r *recorder) Mount(m Mount) error {
	return r.call("%s", strings.Join(append([]string{"mount", m.Type, m.Source}, append(m.options(), m.Target)...), " "))
}
func (r *recorder) Copy(from, to string) error { return r.call("copy %s %s", from, to) }
func (r *recorder) Move(from, to string) error { return r.call("move %s %s", from, to) }
func (r *recorder) Remove(name string) error   { return r.call("remove %s", name) }
func (r *recorder) Enter(dir string) error     { return r.call("enter %s", dir) }
func (r *recorder) Exec(program string) error  { return r.call("exec %s", program) }

// options is the options of an overlay; those of others are not of interest.
func (m Mount) options() []string {
	if m.Type != "overlay" {
		return nil
	}

	return []string{m.Data}
}

func start(r *recorder) error {
	if err := Prepare(r); err != nil {
		return err
	}

	return Run(r, slog.New(slog.DiscardHandler))
}

func TestOrder(t *testing.T) {
	r := &recorder{}
	if err := start(r); err != nil {
		t.Fatal(err)
	}

	want := strings.Split(`mount proc proc /proc
mount sysfs sysfs /sys
mount devtmpfs devtmpfs /dev
mount tmpfs tmpfs /run
list /modules
load /modules/00-loop.ko
load /modules/01-overlay.ko
watchdog
list /extensions
loop /rootfs.sqsh
mount squashfs /dev/loop0 /root
move /proc /root/proc
move /sys /root/sys
move /dev /root/dev
move /run /root/run
remove /modules
remove /init
enter /root
exec /sbin/init`, "\n")
	if diff := cmp.Diff(want, r.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Extensions are laid over the root, the last on top.
func TestExtensions(t *testing.T) {
	r := &recorder{extensions: []string{LayersDir + "/001.b.sqsh", LayersDir + "/000.a.sqsh"}}
	if err := start(r); err != nil {
		t.Fatal(err)
	}

	want := strings.Split(`list /extensions
loop /rootfs.sqsh
mount squashfs /dev/loop0 /l/0
loop /extensions/000.a.sqsh
mount squashfs /dev/loop0 /l/1
loop /extensions/001.b.sqsh
mount squashfs /dev/loop0 /l/2
mount overlay overlay lowerdir=/l/2:/l/1:/l/0 /root
copy /extensions.yaml /run/extensions.yaml
move /proc /root/proc`, "\n")

	first := slices.Index(r.calls, want[0])
	if diff := cmp.Diff(want, r.calls[first:first+len(want)]); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// Whatever goes wrong stops the boot at once, with the reason.
func TestEveryErrorEndsTheBoot(t *testing.T) {
	good := &recorder{extensions: []string{LayersDir + "/000.a.sqsh"}}
	if err := start(good); err != nil {
		t.Fatal(err)
	}

	for i, call := range good.calls {
		if call == "watchdog" {
			continue // a machine is better without than not at all
		}

		r := &recorder{fail: call, extensions: good.extensions}

		if err := start(r); !errors.Is(err, errBroken) {
			t.Errorf("%s went wrong: %v", call, err)
		}

		if len(r.calls) != i+1 {
			t.Errorf("%s went wrong and %d calls followed", call, len(r.calls)-i-1)
		}
	}
}

func TestList(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.ko"), nil, 0o644); err != nil {
		t.Fatal(err)
	}

	got, err := Linux{}.List(dir)
	if diff := cmp.Diff([]string{filepath.Join(dir, "a.ko")}, got); diff != "" || err != nil {
		t.Errorf("files (-want +got):\n%s%v", diff, err)
	}

	if got, err := (Linux{}).List(filepath.Join(dir, "none")); err != nil || len(got) > 0 {
		t.Errorf("no folder: %v, %v", got, err)
	}
}
