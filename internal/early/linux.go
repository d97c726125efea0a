package early

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/kmod/loader"
	"github.com/basalt-os/basalt/internal/sysctl"
)

// Linux is the running machine.
type Linux struct {
	Modules *loader.Loader
}

var _ System = Linux{}

// Mount implements [System].
func (Linux) Mount(m Mount) error {
	err := os.MkdirAll(m.Target, 0o755)
	if err != nil && strings.HasPrefix(m.Target, "/sys/") {
		// The kernel makes the folders there, for what it supports.
		return fmt.Errorf("%w (%w)", ErrUnsupported, err)
	}

	if err != nil {
		return err
	}

	if mounted, err := mountinfo.Mounted(m.Target); err != nil || mounted {
		return err
	}

	return unsupported(unix.Mount(m.Type, m.Target, m.Type, m.Flags, m.Data))
}

// unsupported marks the errors of a kernel without a feature.
func unsupported(err error) error {
	if errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EOPNOTSUPP) {
		return fmt.Errorf("%w (%w)", ErrUnsupported, err)
	}

	return err
}

// Exists implements [System].
func (Linux) Exists(name string) bool {
	_, err := os.Lstat(name)

	return err == nil
}

// Affected implements [System].
func (Linux) Affected(fault string) bool {
	text, err := os.ReadFile("/sys/devices/system/cpu/vulnerabilities/" + fault)

	return err != nil || strings.TrimSpace(string(text)) != "Not affected"
}

// Symlink implements [System].
func (Linux) Symlink(target, name string) error {
	if err := os.Symlink(target, name); !errors.Is(err, fs.ErrExist) {
		return err
	}

	return nil
}

// Write implements [System].
func (Linux) Write(name, value string) error { return sysctl.Write(name, value) }

// SetHostname implements [System].
func (Linux) SetHostname(name string) error { return unix.Sethostname([]byte(name)) }

// LimitCores implements [System].
func (Linux) LimitCores(size uint64) error {
	return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Cur: size, Max: unix.RLIM_INFINITY})
}

// LoopbackUp implements [System].
func (Linux) LoopbackUp() error {
	loopback, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}

	return netlink.LinkSetUp(loopback)
}

// Now implements [System].
func (Linux) Now() time.Time { return time.Now() }

// ReadRTC implements [System].
func (Linux) ReadRTC() (time.Time, error) {
	device, err := os.Open("/dev/rtc0")
	if err != nil {
		return time.Time{}, err
	}
	defer device.Close() //nolint:errcheck // read side only

	t, err := unix.IoctlGetRTCTime(int(device.Fd()))
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the clock with the battery: %w", err)
	}

	// Years since 1900, months since January: as in struct tm.
	return time.Date(int(t.Year)+1900, time.Month(t.Mon+1), int(t.Mday), int(t.Hour), int(t.Min), int(t.Sec), 0, time.UTC), nil
}

// SetClock implements [System].
func (Linux) SetClock(t time.Time) error {
	value := unix.NsecToTimeval(t.UnixNano())

	return unix.Settimeofday(&value)
}

// hardwareRandom is the kernel's way to the generator of the hardware, which
// may be a processor's, a TPM's or a hypervisor's.
const (
	hardwareRandom  = "/dev/hwrng"
	hardwareQuality = "/sys/class/misc/hw_random/rng_quality" // of 1024 bits, how many are random
)

// Random implements [System].
func (Linux) Random(size int) (data []byte, trusted bool, err error) {
	// Not blocking: a generator that has nothing must not stop the machine.
	fd, err := unix.Open(hardwareRandom, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w (%w)", ErrUnsupported, err)
		}

		return nil, false, err
	}
	defer unix.Close(fd) //nolint:errcheck // read side only

	data = make([]byte, size)

	n, err := unix.Read(fd, data)
	if err != nil {
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.ENODEV) {
			err = fmt.Errorf("%w (%w)", ErrUnsupported, err)
		}

		return nil, false, fmt.Errorf("reading %s: %w", hardwareRandom, err)
	}

	quality, err := os.ReadFile(hardwareQuality)
	trusted = err == nil && !bytes.Equal(bytes.TrimSpace(quality), []byte("0"))

	return data[:max(n, 0)], trusted, nil
}

// AddRandom implements [System].
func (Linux) AddRandom(data []byte, bits int) error { return addRandom("/dev/urandom", data, bits) }

// LoadModule implements [System].
func (l Linux) LoadModule(alias string) error {
	if l.Modules == nil {
		return nil
	}

	_, err := l.Modules.LoadAlias(strings.TrimSpace(alias))

	return err
}
