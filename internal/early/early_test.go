package early

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/version"
)

// fake is a machine that writes down what it was asked, without the kernel's
// parameters.
type fake struct {
	calls       []string
	missing     map[string]bool  // files that are not there
	fail        map[string]error // what goes wrong, by call
	unsupported string           // a file system that comes with a module
	now, rtc    time.Time
	trusted     bool
}

func (f *fake) call(format string, args ...any) error {
	call := fmt.Sprintf(format, args...)
	f.calls = append(f.calls, call)

	return f.fail[call]
}

func (f *fake) Mount(m Mount) error {
	if m.Type == f.unsupported {
		return ErrUnsupported
	}

	return f.call("mount %s %s", m.Type, m.Target)
}

func (f *fake) Write(name, value string) error {
	if strings.HasPrefix(name, "/proc/sys/") {
		return f.fail["write "+name]
	}

	return f.call("write %s %s", name, value)
}

func (f *fake) LoadModule(alias string) error {
	if alias == "fs-"+f.unsupported {
		f.unsupported = ""
	}

	return f.call("load %s", alias)
}

func (f *fake) Exists(name string) bool           { return !f.missing[name] }
func (f *fake) Affected(string) bool              { return true }
func (f *fake) Symlink(target, name string) error { return f.call("link %s %s", target, name) }
func (f *fake) SetHostname(name string) error     { return f.call("hostname %s", name) }
func (f *fake) LimitCores(size uint64) error      { return f.call("cores %d", size) }
func (f *fake) LoopbackUp() error                 { return f.call("loopback") }
func (f *fake) Now() time.Time                    { return f.now }
func (f *fake) ReadRTC() (time.Time, error)       { return f.rtc, f.fail["rtc"] }
func (f *fake) SetClock(t time.Time) error        { return f.call("clock %s", t.Format(time.DateOnly)) }
func (f *fake) AddRandom(data []byte, bits int) error {
	return f.call("random %d bytes %d bits", len(data), bits)
}

func (f *fake) Random(size int) ([]byte, bool, error) {
	return make([]byte, size), f.trusted, f.fail["hwrng"]
}

var later = version.Released().AddDate(1, 0, 0)

const good = "slab_nomerge= pti=on"

func run(f *fake, line string) (warnings string, err error) {
	if f.now.IsZero() {
		f.now = later
	}

	var log strings.Builder

	handler := slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}

		return a
	}})
	err = Run(f, cmdline.Parse(line), slog.New(handler))

	return log.String(), err
}

func TestOrder(t *testing.T) {
	t.Parallel()

	f := &fake{trusted: true}
	if log, err := run(f, good); err != nil || log != "" {
		t.Fatal(err, log)
	}

	want := strings.Split(`mount tmpfs /system
mount tmpfs /tmp
mount tmpfs /var
mount devpts /dev/pts
mount tmpfs /dev/shm
mount cgroup2 /sys/fs/cgroup
mount mqueue /dev/mqueue
mount hugetlbfs /dev/hugepages
mount bpf /sys/fs/bpf
mount securityfs /sys/kernel/security
mount tracefs /sys/kernel/tracing
mount pstore /sys/fs/pstore
mount efivarfs /sys/firmware/efi/efivars
link /proc/self/fd /dev/fd
link /proc/self/fd/0 /dev/stdin
link /proc/self/fd/1 /dev/stdout
link /proc/self/fd/2 /dev/stderr
write /sys/module/firmware_class/parameters/path /usr/lib/firmware
cores 0
load virtio_rng
random 32 bytes 256 bits
hostname localhost
loopback`, "\n")
	if diff := cmp.Diff(want, f.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestRequirements(t *testing.T) {
	t.Parallel()

	for line, want := range map[string]string{
		good:                                  "",
		"pti=on quiet slab_nomerge":           "",
		"":                                    "slab_nomerge and pti=on",
		"slab_nomerge":                        "pti=on",
		"slab_nomerge=1 pti=on":               "slab_nomerge",
		"slab_nomerge pti=on pti=off":         "pti=on",
		"quiet -- slab_nomerge= pti=on":       "slab_nomerge and pti=on",
		`slab_nomerge "pti=on" console=ttyS0`: "",
	} {
		err := CheckRequirements(cmdline.Parse(line), func(string) bool { return true })

		if got := fmt.Sprint(err); (err != nil) != (want != "") || !strings.HasSuffix(got, want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}

	// A processor without the fault.
	for line, want := range map[string]string{
		"slab_nomerge pti=on pti=off": "", "slab_nomerge pti=off": "", "slab_nomerge": "pti=on", "pti=off": "slab_nomerge",
	} {
		err := CheckRequirements(cmdline.Parse(line), func(fault string) bool { return fault != "meltdown" })
		if (err != nil) != (want != "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q without a fault: %v, want %q", line, err, want)
		}
	}

	f := &fake{}
	if _, err := run(f, "quiet"); err == nil || len(f.calls) > 0 {
		t.Errorf("an unsafe kernel: %v, and then %v", err, f.calls)
	}
}

var errBroken = errors.New("broken")

func TestWhatGoesWrong(t *testing.T) {
	t.Parallel()

	for _, test := range []struct {
		about string
		fake  fake
		log   string // what it has
		fatal bool
		calls []string // that were made
		not   []string // that were not
	}{
		{about: "a mount that the node needs", fake: fake{fail: map[string]error{"mount cgroup2 /sys/fs/cgroup": errBroken}}, fatal: true},
		{
			about: "a mount that the node can do without",
			fake:  fake{fail: map[string]error{"mount bpf /sys/fs/bpf": errBroken}},
			log:   "level=WARN msg=mounting target=/sys/fs/bpf error=broken", calls: []string{"loopback"},
		},
		{about: "a file system that the kernel is without", fake: fake{fail: map[string]error{"mount pstore /sys/fs/pstore": ErrUnsupported}}},
		{
			about: "a file system that comes with a module", fake: fake{unsupported: "efivarfs"},
			calls: []string{"load fs-efivarfs", "mount efivarfs /sys/firmware/efi/efivars"},
		},
		{
			about: "a machine without EFI", fake: fake{missing: map[string]bool{"/sys/firmware/efi": true}},
			not: []string{"mount efivarfs /sys/firmware/efi/efivars"},
		},
		{
			about: "a parameter that cannot be set", fake: fake{fail: map[string]error{"write /proc/sys/kernel/panic": fs.ErrPermission}},
			log: `level=WARN msg="setting a kernel parameter" name=proc.sys.kernel.panic error="permission denied"`, calls: []string{"loopback"},
		},
		{
			about: "a parameter that hardens the kernel and cannot be set",
			fake:  fake{fail: map[string]error{"write /proc/sys/kernel/kptr_restrict": fs.ErrPermission}}, fatal: true,
		},
		{
			about: "a parameter that hardens a part of the kernel that is not there",
			fake: fake{
				missing: map[string]bool{"/proc/sys/kernel/kptr_restrict": true},
				fail:    map[string]error{"write /proc/sys/kernel/kptr_restrict": fs.ErrNotExist},
			},
		},
		{
			about: "a parameter that the kernel is without",
			fake: fake{
				missing: map[string]bool{"/proc/sys/kernel/panic": true},
				fail:    map[string]error{"write /proc/sys/kernel/panic": fs.ErrNotExist},
			},
		},
		{about: "the right time", not: []string{"clock " + later.Format(time.DateOnly)}},
		{
			about: "a kernel without a driver for the clock", fake: fake{now: time.Unix(0, 0), rtc: later},
			calls: []string{"clock " + later.Format(time.DateOnly)},
		},
		{
			about: "a flat battery", fake: fake{now: time.Unix(0, 0), rtc: time.Unix(1000, 0)}, log: "does not know the time",
			calls: []string{"clock " + version.Released().Format(time.DateOnly)},
		},
		{
			about: "no clock", fake: fake{now: time.Unix(0, 0), rtc: later, fail: map[string]error{"rtc": errBroken}},
			log: "does not know the time", calls: []string{"clock " + version.Released().Format(time.DateOnly)},
		},
		{about: "a generator that is not trusted", calls: []string{"random 32 bytes 0 bits"}},
		{about: "no generator", fake: fake{fail: map[string]error{"hwrng": ErrUnsupported}}, not: []string{"random 32 bytes 0 bits"}},
		{about: "a broken generator", fake: fake{fail: map[string]error{"hwrng": errBroken}}, log: "seeding the random numbers", calls: []string{"loopback"}},
	} {
		f := test.fake

		log, err := run(&f, good)
		if (err != nil) != test.fatal {
			t.Errorf("%s: %v", test.about, err)
		}

		if !strings.Contains(log, test.log) || (test.log == "" && log != "") {
			t.Errorf("%s: logged %q, want %q", test.about, log, test.log)
		}

		for _, call := range test.calls {
			if !slices.Contains(f.calls, call) {
				t.Errorf("%s: %q was not done: %q", test.about, call, f.calls)
			}
		}

		for _, call := range test.not {
			if slices.Contains(f.calls, call) {
				t.Errorf("%s: %q was done", test.about, call)
			}
		}
	}
}

func TestSeed(t *testing.T) {
	t.Parallel()

	file := filepath.Join(t.TempDir(), "random-seed")
	f := &fake{}

	if err := StirSeed(f, file); err != nil || len(f.calls) > 0 {
		t.Fatalf("the first start: %v, %v", err, f.calls)
	}

	first, err := os.ReadFile(file)
	if err != nil || len(first) != savedSize {
		t.Fatalf("saved %d bytes, %v", len(first), err)
	}

	if err := StirSeed(f, file); err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"random 512 bytes 0 bits"}, f.calls); diff != "" {
		t.Errorf("the second start (-want +got):\n%s", diff)
	}

	if second, err := os.ReadFile(file); err != nil || slices.Equal(first, second) {
		t.Errorf("the seed was not replaced: %v", err)
	}

	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the seed can be read: %v, %v", info.Mode(), err)
	}
}
