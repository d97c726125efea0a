// Package stage1 is the first program of a machine: the kernel starts it from
// the initramfs. It loads the few kernel modules that the root file system
// needs, mounts the root file system from the file beside it, read-only and in
// memory, and becomes its /sbin/init.
//
// It is a program of its own and not one more name of the node's, because it is
// unpacked and read on every boot: it has two megabytes where that has seventy.
//
// It also arms the hardware's watchdog, so that a machine whose node hangs before
// it feeds that starts anew.
//
// Nothing can be repaired here. When a step does not work, the reason is in the
// kernel's log and on the console, the program ends, the kernel panics and
// restarts the machine, and the boot loader counts the try.
package stage1

import (
	"fmt"
	"log/slog"
	"path"
	"slices"
)

// Where things are in the initramfs.
const (
	ModulesDir = "/modules"     // *.ko, loaded in the order of their names
	RootImage  = "/rootfs.sqsh" // squashfs
	newRoot    = "/root"

	// LayersDir has the images of system extensions, *.sqsh, from the lowest to
	// the highest in the order of their names; LayersFile says what they are.
	LayersDir    = "/extensions"
	LayersFile   = "/extensions.yaml"
	layersTarget = "/run/extensions.yaml" // for the node
	mounted      = "/l"                   // short: all paths go into one page
	nextInit     = "/sbin/init"
)

// System is what stage 1 needs from the kernel and the initramfs.
type System interface {
	// List is the paths of the files in a folder; a folder that is not there has
	// none.
	List(dir string) ([]string, error)
	// LoadModule loads a kernel module. One that is loaded already is no error.
	LoadModule(file string) error
	// ArmWatchdog arms the machine's watchdog, so that it restarts unless the
	// node comes to feed it. A machine without one is no error.
	ArmWatchdog() error
	// Loop makes a file a read-only block device and returns its path. The device
	// goes when nothing uses it.
	Loop(file string) (string, error)
	// Mount mounts; the target is created when it is not there.
	Mount(m Mount) error
	// Move moves a mount to another place.
	Move(from, to string) error
	// Remove removes a file or a folder with what is in it.
	Remove(name string) error
	// Copy copies a small file.
	Copy(from, to string) error
	// Enter makes dir, a mount, the root of all files.
	Enter(dir string) error
	// Exec becomes another program. It returns only with an error.
	Exec(program string) error
}

// Mount is one call of mount(2).
type Mount struct {
	Source, Target, Type string
	Flags                uintptr
	Data                 string
}

// PseudoMounts are the file systems that are there before everything else. They
// follow into the new root.
func PseudoMounts() []Mount {
	return []Mount{
		{Source: "proc", Target: "/proc", Type: "proc", Flags: noSuid | noDev | noExec},
		{Source: "sysfs", Target: "/sys", Type: "sysfs", Flags: noSuid | noDev | noExec},
		{Source: "devtmpfs", Target: "/dev", Type: "devtmpfs", Flags: noSuid, Data: "mode=0755"},
		{Source: "tmpfs", Target: "/run", Type: "tmpfs", Flags: noSuid | noDev, Data: "mode=0755"},
	}
}

// Prepare mounts the pseudo file systems. Before it there is no place to log to.
func Prepare(system System) error {
	for _, m := range PseudoMounts() {
		if err := system.Mount(m); err != nil {
			return fmt.Errorf("mounting %s: %w", m.Target, err)
		}
	}

	return nil
}

// Run does the rest. It returns only with an error.
func Run(system System, logger *slog.Logger) error {
	if err := loadModules(system, logger); err != nil {
		return err
	}

	if err := system.ArmWatchdog(); err != nil {
		logger.Warn("arming the watchdog", "error", err)
	}

	if err := mountRoot(system, logger); err != nil {
		return err
	}

	for _, m := range PseudoMounts() {
		if err := system.Move(m.Target, path.Join(newRoot, m.Target)); err != nil {
			return fmt.Errorf("moving %s: %w", m.Target, err)
		}
	}

	// The initramfs stays in memory for the sake of the root image; the rest of
	// it is of no use any more.
	for _, name := range []string{ModulesDir, "/init"} {
		if err := system.Remove(name); err != nil {
			return fmt.Errorf("freeing memory: %w", err)
		}
	}

	if err := system.Enter(newRoot); err != nil {
		return fmt.Errorf("entering the root file system: %w", err)
	}

	logger.Info("entering root file system", "next", nextInit)

	if err := system.Exec(nextInit); err != nil {
		return fmt.Errorf("starting %s: %w", nextInit, err)
	}

	return nil
}

// mountRoot mounts the root file system, with the system extensions over it when
// the image has any.
func mountRoot(system System, logger *slog.Logger) error {
	layers, err := system.List(LayersDir)
	if err != nil {
		return fmt.Errorf("listing system extensions: %w", err)
	}

	if len(layers) == 0 {
		return mountImage(system, RootImage, newRoot)
	}

	slices.Sort(layers)

	// The leftmost folder of an overlay is the highest.
	lower := ""

	for i, image := range append([]string{RootImage}, layers...) {
		target := fmt.Sprintf("%s/%d", mounted, i)

		if err := mountImage(system, image, target); err != nil {
			return err
		}

		lower = ":" + target + lower
	}

	root := Mount{Source: "overlay", Target: newRoot, Type: "overlay", Flags: readOnly | noDev, Data: "lowerdir=" + lower[1:]}
	if err := system.Mount(root); err != nil {
		return fmt.Errorf("laying system extensions over the root file system: %w", err)
	}

	if err := system.Copy(LayersFile, layersTarget); err != nil {
		return fmt.Errorf("keeping the list of system extensions: %w", err)
	}

	logger.Info("mounted system extensions", "count", len(layers))

	return nil
}

// mountImage mounts a squashfs image.
func mountImage(system System, image, target string) error {
	device, err := system.Loop(image)
	if err != nil {
		return fmt.Errorf("opening the file system image %s: %w", image, err)
	}

	if err := system.Mount(Mount{Source: device, Target: target, Type: "squashfs", Flags: readOnly | noDev}); err != nil {
		return fmt.Errorf("mounting the file system image %s: %w", image, err)
	}

	return nil
}

func loadModules(system System, logger *slog.Logger) error {
	files, err := system.List(ModulesDir)
	if err != nil {
		return fmt.Errorf("listing kernel modules: %w", err)
	}

	slices.Sort(files)

	for _, file := range files {
		if err := system.LoadModule(file); err != nil {
			return fmt.Errorf("loading kernel module %s: %w", path.Base(file), err)
		}
	}

	logger.Info("loaded kernel modules", "count", len(files))

	return nil
}
