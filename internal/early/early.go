// Package early is what the first process of a machine does before everything
// else: it mounts the file systems that the root has not, sets the kernel's
// parameters, limits, clock and random numbers, and makes sure that the kernel
// was started as hardening demands.
//
// What there is to do is data ([Mounts], [Requirements], [sysctl.Defaults]);
// [Run] does it through a [System], so that the order and what happens when
// something goes wrong are tested without a machine. A container node has none
// of it: its maker has done it.
package early

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/basalt-os/basalt/internal/cmdline"
	"github.com/basalt-os/basalt/internal/sysctl"
	"github.com/basalt-os/basalt/internal/version"
)

// firmware is where the kernel looks for firmware besides its own places.
const firmware = "/usr/lib/firmware"

// System is what there is to work with. Paths are absolute.
type System interface {
	// Mount mounts; the target is made when it is not there. What is mounted
	// already is no error. A kernel without the file system is
	// [ErrUnsupported].
	Mount(m Mount) error
	// Exists says whether there is a file or folder.
	Exists(name string) bool
	// Affected says whether the processor has a fault, by the kernel's name of it;
	// when the kernel does not know, it has.
	Affected(fault string) bool
	// Symlink makes a symbolic link, unless there is something by the name.
	Symlink(target, name string) error
	// Write writes into a file that is there; one that is not is
	// [io/fs.ErrNotExist].
	Write(name, value string) error
	// SetHostname sets the name of the machine.
	SetHostname(name string) error
	// LimitCores sets the size of core dumps that processes leave unless they
	// ask for them, in bytes.
	LimitCores(size uint64) error
	// LoopbackUp switches the loopback link on.
	LoopbackUp() error
	// Now is what the clock says.
	Now() time.Time
	// ReadRTC is what the clock with the battery says, in UTC.
	ReadRTC() (time.Time, error)
	// SetClock sets the clock.
	SetClock(t time.Time) error
	// Random reads up to size bytes from the random number generator of the
	// hardware. Trusted says whether the kernel counts them as random.
	Random(size int) (data []byte, trusted bool, err error)
	// AddRandom stirs bytes into the kernel's random numbers and counts so many
	// of their bits as random.
	AddRandom(data []byte, bits int) error
	// LoadModule loads the kernel modules for a name or an alias. That there are
	// none is no error.
	LoadModule(alias string) error
}

// ErrUnsupported says that the kernel is without a feature.
var ErrUnsupported = errors.New("the kernel does not support it")

// Run does it all. Line is the kernel's command line. An error says that the
// machine must not go on; everything else that goes wrong is logged, and the
// machine is better with the rest than without.
func Run(system System, line cmdline.Line, logger *slog.Logger) error {
	if err := CheckRequirements(line, system.Affected); err != nil {
		return err
	}

	if err := mountAll(system, logger); err != nil {
		return err
	}

	for _, link := range links() {
		warn(logger, "making a link", system.Symlink(link.target, link.name), "name", link.name)
	}

	if system.Exists(firmware) {
		warn(logger, "telling the kernel where firmware is",
			system.Write("/sys/module/firmware_class/parameters/path", firmware))
	}

	warn(logger, "limiting core dumps", system.LimitCores(0))
	warn(logger, "setting the clock", setClock(system, logger))
	warn(logger, "seeding the random numbers", seed(system))
	warn(logger, "naming the machine", system.SetHostname("localhost"))
	warn(logger, "switching the loopback link on", system.LoopbackUp())

	return setParameters(system, logger)
}

// warn logs an error. One that says that the kernel is without a feature is not
// worth a warning.
func warn(logger *slog.Logger, doing string, err error, args ...any) {
	switch {
	case err == nil:
	case errors.Is(err, ErrUnsupported):
		logger.Debug(doing, append(args, "error", err)...)
	default:
		logger.Warn(doing, append(args, "error", err)...)
	}
}

// Requirement is an argument that must be on the kernel's command line.
type Requirement struct {
	Name, Value string
	// Fault is what it protects from, by the kernel's name. A processor without
	// the fault may go without the value. Empty: everybody needs it.
	Fault string
}

// Requirements are the arguments that hardening demands.
func Requirements() []Requirement {
	return []Requirement{{Name: "slab_nomerge"}, {"pti", "on", "meltdown"}}
}

// CheckRequirements says which of the [Requirements] a command line does not
// meet, on a processor that is affected by some faults. An argument that is
// there several times must have the right value each time.
func CheckRequirements(line cmdline.Line, affected func(fault string) bool) error {
	var missing []string

	for _, r := range Requirements() {
		values := line.All(r.Name)
		waived := r.Fault != "" && !affected(r.Fault)

		if len(values) > 0 && (waived || !slices.ContainsFunc(values, func(v string) bool { return v != r.Value })) {
			continue
		}

		missing = append(missing, strings.TrimSuffix(r.Name+"="+r.Value, "="))
	}

	if len(missing) > 0 {
		return fmt.Errorf("checking the kernel's command line: it has to have %s", strings.Join(missing, " and "))
	}

	return nil
}

// setClock makes sure that the clock is not before the making of this system:
// certificates would not be valid yet. The kernel has set it from the clock with
// the battery if that had a driver in time.
func setClock(system System, logger *slog.Logger) error {
	floor := version.Released()
	if !system.Now().Before(floor) {
		return nil
	}

	t, err := system.ReadRTC()
	if err != nil || t.Before(floor) {
		t = floor
		logger.Warn("the machine does not know the time", "assumed", t)
	}

	return system.SetClock(t)
}

// seedSize is how many bytes the kernel needs to make random numbers of.
const seedSize = 32

// seed gives the kernel random bytes of the hardware, so that nothing waits for
// random numbers.
func seed(system System) error {
	// A virtual machine's generator is a driver of its own.
	err := system.LoadModule("virtio_rng")

	data, trusted, readErr := system.Random(seedSize)
	if readErr != nil {
		return errors.Join(err, readErr)
	}

	bits := 0
	if trusted {
		bits = len(data) * 8
	}

	return errors.Join(err, system.AddRandom(data, bits))
}

// setParameters sets the kernel's parameters. It fails when one that hardens the
// kernel cannot be set, and tells of the others.
func setParameters(system System, logger *slog.Logger) error {
	defaults, hardening := sysctl.Defaults(), sysctl.Hardening()

	var errs []error

	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		file, ok := sysctl.File(name)
		if !ok {
			continue
		}

		// A feature that the kernel is without needs no setting; a module that
		// brings it later finds the setting among the node's resources.
		if file = "/" + file; !system.Exists(file) {
			logger.Debug("the kernel has no such parameter", "name", name)

			continue
		}

		err := system.Write(file, defaults[name])

		if _, ok := hardening[name]; ok && err != nil {
			errs = append(errs, fmt.Errorf("hardening the kernel: setting %s: %w", name, err))

			continue
		}

		warn(logger, "setting a kernel parameter", err, "name", name)
	}

	return errors.Join(errs...)
}
