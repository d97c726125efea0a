package qemu

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/host"
)

const (
	// spacePerDisk is what is reserved for what a machine writes to its disks,
	// in bytes. The disks are larger, but take only what is written.
	spacePerDisk = 1 << 30
	// minMemory is that with which a machine starts, in bytes: it keeps its
	// root in memory.
	minMemory = 512 << 20
)

func hostArch() string { return runtime.GOARCH }

// Preflight reports everything that keeps a cluster of machines from being
// created here, each with what to do about it, without making anything.
// existing are the clusters that there are already.
func Preflight(spec *provision.Spec, folder provision.Folder, existing []provision.Spec) error {
	if os.Geteuid() != 0 {
		return errors.New("the machines' network needs root: run this as root, for example with sudo")
	}

	errs := []error{
		host.Preflight(spec, folder, existing, uint64(len(spec.Nodes))*spacePerDisk),
		checkTap(),
		checkMachines(spec.Machines),
		checkMemory(spec.Nodes),
	}

	if info, err := os.Stat(spec.Images); err != nil || !info.IsDir() {
		errs = append(errs, fmt.Errorf("%s is missing: run \"make build\" first", spec.Images))
	}

	return errors.Join(errs...)
}

// checkMachines wants everything that the machines are made of.
func checkMachines(m *provision.Machines) error {
	var errs []error

	p, ok := platforms()[m.Arch]
	if !ok {
		return fmt.Errorf("there are no machines of architecture %q", m.Arch)
	}

	if m.UEFI {
		if _, _, err := firmware(m.Arch, m.Firmware); m.Firmware == "" || err != nil {
			errs = append(errs, fmt.Errorf("there is no UEFI firmware for %s: install OVMF, or run \"make image\"", m.Arch))
		}
	} else if !p.bios {
		errs = append(errs, fmt.Errorf("machines of architecture %q have no BIOS: use --with-uefi", m.Arch))
	}

	for _, path := range []string{m.Boot.Image, m.Boot.Kernel, m.Boot.Initramfs} {
		if path != "" && !exists(path) {
			errs = append(errs, fmt.Errorf("%s is missing: run \"make image\" first", path))
		}
	}

	if !m.UEFI && m.Boot.Source == provision.BootUKI {
		errs = append(errs, errors.New("BIOS does not start unified kernel images"))
	}

	if m.Injection != provision.InjectNone && m.Injection != provision.InjectApply && !m.UEFI && m.Boot.Source != provision.BootKernel {
		errs = append(errs, fmt.Errorf("with BIOS, the command line of an image cannot be told to take a configuration by %s: use --with-apply-config", m.Injection))
	}

	return errors.Join(errs...)
}

// checkTap wants the kernel's tap devices.
func checkTap() error {
	device, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("machines need tap devices: %w: load the module %q", err, "tun")
	}

	return device.Close()
}

// checkMemory wants machines that can start, and room for them.
func checkMemory(nodes []provision.Node) error {
	var (
		errs []error
		sum  uint64
	)

	for _, node := range nodes {
		memory := cmp.Or(node.Memory, DefaultMemory)

		if memory < minMemory {
			errs = append(errs, fmt.Errorf("node %s has %d MiB of memory, and needs %d", node.Name, memory>>20, minMemory>>20))
		}

		sum += memory
	}

	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err == nil {
		if all := info.Totalram * uint64(info.Unit); sum > all {
			errs = append(errs, fmt.Errorf("the machines need %d MiB of memory, this machine has %d: make them smaller with --memory", sum>>20, all>>20))
		}
	}

	return errors.Join(errs...)
}
