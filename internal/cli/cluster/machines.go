package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/basalt-os/basalt/internal/cli/steps"
	"github.com/basalt-os/basalt/pkg/provision"
	"github.com/basalt-os/basalt/pkg/provision/qemu"
)

// machineOptions are the flags about virtual machines alone.
type machineOptions struct {
	arch string

	boot                                      string
	diskImage, iso, usb, uki, vmlinuz, initrd string
	uefi, bootloader                          bool
	firmware                                  []string
	extraArgs                                 string
	skipExtraArgs, skipConfig, skipHostnames  bool
	apply                                     bool
	injection                                 string
	disk, primaryDisks                        int
	disks                                     string // wins over all below
	blockSize                                 uint
	extraDisks, extraDisksSize                int
	extraDisksDrivers, extraDisksSerials      []string
	extraDisksOnControlPlanes                 bool
	badClock                                  bool
	mtu                                       int
	installImage                              string
	skipInstall                               bool
	accelerator                               string
}

// image is a file that "make image" makes.
func image(name string) string { return filepath.Join(besideProgram("image"), name) }

func (m *machineOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&m.arch, "arch", runtime.GOARCH, "architecture of the machines")
	flags.StringVar(&m.boot, "boot", "", "what the machines boot: disk-image, iso, usb, uki or kernel (default disk-image)")
	flags.StringVar(&m.diskImage, "disk-image-path", "", "disk image that the first disk begins as")
	flags.StringVar(&m.iso, "iso-path", "", "ISO to boot from a CD")
	flags.StringVar(&m.usb, "usb-path", "", "image to boot from a USB stick")
	flags.StringVar(&m.uki, "uki-path", "", "unified kernel image to boot")
	flags.StringVar(&m.vmlinuz, "vmlinuz-path", "", "kernel to boot without a boot loader, with --initrd-path")
	flags.StringVar(&m.initrd, "initrd-path", "", "initramfs to boot with --vmlinuz-path")
	flags.BoolVar(&m.uefi, "with-uefi", true, "give the machines UEFI firmware, not a BIOS")
	flags.BoolVar(&m.bootloader, "with-bootloader", true, "boot from the disk once a system is installed there, not the kernel of --boot kernel")
	flags.StringSliceVar(&m.firmware, "extra-uefi-search-paths", nil, "folders in which to look for UEFI firmware first")
	flags.StringVar(&m.extraArgs, "extra-boot-kernel-args", "", "more arguments for the kernel's command line")
	flags.BoolVar(&m.skipExtraArgs, "skip-injecting-extra-cmdline", false, "add nothing to the command line of images")
	flags.BoolVar(&m.skipConfig, "skip-injecting-config", false, "give the machines no configuration: they stay in maintenance mode")
	flags.BoolVar(&m.apply, "with-apply-config", false, "give the machines their configurations by the API of their maintenance mode")
	flags.StringVar(&m.injection, "config-injection-method", "", "how the machines find their configurations: metal-iso or http (default metal-iso)")
	flags.BoolVar(&m.skipHostnames, "disable-dhcp-hostname", false, "do not tell the machines their names by DHCP")
	flags.StringVar(&m.disks, "disks", "", "disks of each machine, such as virtio:10GiB,nvme:6GiB:serial=data")
	flags.IntVar(&m.disk, "disk", 6144, "size of each primary disk, in MiB")
	flags.IntVar(&m.primaryDisks, "primary-disks", 1, "number of primary disks of each machine")
	flags.UintVar(&m.blockSize, "disk-block-size", 512, "size of a block of the disks, in bytes: 512 or 4096")
	flags.IntVar(&m.extraDisks, "extra-disks", 0, "number of extra disks of each worker")
	flags.StringSliceVar(&m.extraDisksDrivers, "extra-disks-drivers", nil, "drivers of the extra disks: "+strings.Join(provision.DiskDrivers(), ", "))
	flags.StringSliceVar(&m.extraDisksSerials, "extra-disks-serials", nil, "serial numbers of the extra disks")
	flags.IntVar(&m.extraDisksSize, "extra-disks-size", 5120, "size of each extra disk, in MiB")
	flags.BoolVar(&m.extraDisksOnControlPlanes, "extra-disks-on-controlplanes", false, "give control planes the extra disks too")
	flags.BoolVar(&m.badClock, "bad-rtc", false, "start the machines with a clock that is years behind")
	flags.IntVar(&m.mtu, "mtu", 1500, "MTU of the machines' network")
	flags.StringVar(&m.installImage, "install-image", "", "installer image that the machines install (default: what they run)")
	flags.BoolVar(&m.skipInstall, "skip-unattended-install-config", false, "do not have the machines install themselves to their first disk")
	flags.StringVar(&m.accelerator, "accelerator", "", "what runs the machines: kvm or tcg (default: what a probe finds)")
}

// describe adds what the machines are to the description of a cluster.
func (m *machineOptions) describe(spec *provision.Spec, layout *provision.Layout, settings *provision.Settings) error {
	var errs []error

	note := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}

	emulator, err := qemu.Find(m.arch, besideProgram("qemu"), m.firmware)
	note(err)

	boot, err := m.bootSource()
	note(err)

	injection, err := m.injected()
	note(err)

	spec.Machines = &provision.Machines{
		Arch: m.arch, UEFI: m.uefi, Boot: boot, Program: emulator.Program, Firmware: emulator.Firmware,
		Injection: injection, Hostnames: !m.skipHostnames, BadClock: m.badClock, MTU: m.mtu,
	}

	if !m.skipExtraArgs {
		spec.Machines.ExtraArgs = m.extraArgs
	}

	for _, share := range []*provision.Share{&layout.ControlPlane, &layout.Worker} {
		share.CPUs, share.Memory = cmp.Or(share.CPUs, qemu.DefaultCPUs), cmp.Or(share.Memory, qemu.DefaultMemory)
	}

	note(m.layOut(layout))
	m.install(spec, layout, settings)

	return errors.Join(errs...)
}

// bootSource chooses what the machines boot: what a path is given of, or what
// --boot says.
func (m *machineOptions) bootSource() (provision.Boot, error) {
	chosen := provision.BootSource(m.boot)

	for _, given := range []struct {
		path   string
		source provision.BootSource
	}{
		{m.diskImage, provision.BootDisk}, {m.iso, provision.BootISO}, {m.usb, provision.BootUSB},
		{m.uki, provision.BootUKI}, {m.vmlinuz, provision.BootKernel}, {m.initrd, provision.BootKernel},
	} {
		if given.path == "" {
			continue
		}

		if chosen != "" && chosen != given.source {
			return provision.Boot{}, fmt.Errorf("machines boot one thing: %s and %s were given", chosen, given.source)
		}

		chosen = given.source
	}

	base := "metal-" + m.arch

	switch chosen {
	case "", provision.BootDisk:
		return bootImage(provision.BootDisk, m.diskImage, base+".raw")
	case provision.BootISO:
		return bootImage(chosen, m.iso, base+".iso")
	case provision.BootUSB:
		return bootImage(chosen, m.usb, base+".iso")
	case provision.BootUKI:
		return bootImage(chosen, m.uki, base+"-uki.efi")
	case provision.BootKernel:
		return m.bootKernel()
	default:
		return provision.Boot{}, fmt.Errorf("--boot %q: there are %s, %s, %s, %s and %s", m.boot,
			provision.BootDisk, provision.BootISO, provision.BootUSB, provision.BootUKI, provision.BootKernel)
	}
}

func bootImage(source provision.BootSource, given, built string) (provision.Boot, error) {
	path, err := filepath.Abs(cmp.Or(given, image(built)))

	return provision.Boot{Source: source, Image: path}, err
}

func (m *machineOptions) bootKernel() (provision.Boot, error) {
	kernel, err := filepath.Abs(cmp.Or(m.vmlinuz, image("vmlinuz-"+m.arch)))
	if err != nil {
		return provision.Boot{}, err
	}

	initramfs, err := filepath.Abs(cmp.Or(m.initrd, image("initramfs-"+m.arch)))
	if err != nil {
		return provision.Boot{}, err
	}

	// The command line that the image would have; without the file, that of the
	// extra arguments alone.
	cmdline, err := os.ReadFile(image("cmdline-metal-" + m.arch))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return provision.Boot{}, err
	}

	return provision.Boot{
		Source: provision.BootKernel, Kernel: kernel, Initramfs: initramfs,
		Cmdline: strings.TrimSpace(string(cmdline)), Always: !m.bootloader,
	}, nil
}

// injected chooses how the machines get their configurations.
func (m *machineOptions) injected() (provision.Injection, error) {
	switch method := provision.Injection(m.injection); {
	case m.skipConfig:
		return provision.InjectNone, nil
	case m.apply:
		return provision.InjectApply, nil
	case m.injection == "" && !m.uefi && m.boot != string(provision.BootKernel):
		return provision.InjectApply, nil // an image's command line stays what it is
	case m.injection == "":
		return provision.InjectISO, nil
	case method == provision.InjectISO, method == provision.InjectHTTP:
		return method, nil
	default:
		return "", fmt.Errorf("--config-injection-method %q: there are %s and %s", m.injection, provision.InjectISO, provision.InjectHTTP)
	}
}

// layOut gives the machines their disks.
func (m *machineOptions) layOut(layout *provision.Layout) error {
	if m.disks != "" {
		disks, err := provision.ParseDisks(m.disks)
		if err != nil {
			return fmt.Errorf("--disks: %w", err)
		}

		layout.ControlPlane.Disks, layout.Worker.Disks = disks, disks

		return nil
	}

	var disks []string
	for range m.primaryDisks {
		disks = append(disks, m.diskText("virtio", m.disk, ""))
	}

	primary, extra := disks, disks

	for i := range m.extraDisks {
		extra = append(extra[:len(extra):len(extra)], m.diskText(cmp.Or(nth(m.extraDisksDrivers, i), "virtio"), m.extraDisksSize, nth(m.extraDisksSerials, i)))
	}

	if m.extraDisksOnControlPlanes {
		primary = extra
	}

	var err, errExtra error

	layout.ControlPlane.Disks, err = provision.ParseDisks(strings.Join(primary, ","))
	layout.Worker.Disks, errExtra = provision.ParseDisks(strings.Join(extra, ","))

	return errors.Join(err, errExtra)
}

func (m *machineOptions) diskText(driver string, size int, serial string) string {
	text := driver + ":" + strconv.Itoa(size) + "MiB"
	if serial != "" {
		text += ":serial=" + serial
	}

	if m.blockSize != 512 {
		text += fmt.Sprintf(":block=%d", m.blockSize)
	}

	return strings.ReplaceAll(text, "MiB", "Mi")
}

func nth(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}

	return ""
}

// install says what the machines install, and where to.
func (m *machineOptions) install(spec *provision.Spec, layout *provision.Layout, settings *provision.Settings) {
	settings.InstallImage = m.installImage

	// A disk image is installed already.
	if !m.skipInstall && spec.Machines.Boot.Source != provision.BootDisk && len(layout.ControlPlane.Disks) > 0 {
		settings.InstallDisk = diskPath(layout.ControlPlane.Disks[0].Driver)
	}
}

// diskPath is what the first disk of a driver is called.
func diskPath(driver string) string {
	switch driver {
	case "virtio":
		return "/dev/vda"
	case "nvme":
		return "/dev/nvme0n1"
	default:
		return "/dev/sda"
	}
}

// chooseAccelerator finds out what runs the machines, and says so.
func (o *createOptions) chooseAccelerator(ctx context.Context, cmd *cobra.Command, printer *steps.Printer, m *provision.Machines) error {
	if kind := provision.Accelerator(o.machines.accelerator); kind != "" {
		if kind != provision.KVM && kind != provision.TCG {
			return fmt.Errorf("--accelerator %q: there are %s and %s", kind, provision.KVM, provision.TCG)
		}

		m.Accelerator, m.Reason = kind, "chosen by --accelerator"

		return nil
	}

	err := printer.Do("choose an accelerator", func(*steps.Step) error {
		cache, err := os.UserCacheDir()
		if err != nil {
			cache = os.TempDir()
		}

		kernel := m.Boot.Kernel
		if kernel == "" {
			kernel = image("vmlinuz-" + m.Arch)
		}

		if _, err := os.Stat(kernel); err != nil {
			kernel = ""
		}

		choice, err := qemu.Probe(ctx, m.Arch, m.Program, kernel, filepath.Join(cache, "basalt"))
		m.Accelerator, m.Reason = choice.Accelerator, choice.Reason

		return err
	})
	if err != nil {
		return err
	}

	cmd.PrintErrf("       %s: %s\n", map[provision.Accelerator]string{provision.KVM: "KVM", provision.TCG: "emulation"}[m.Accelerator], m.Reason)

	return nil
}

// applyConfigs gives machines in maintenance mode their configurations.
func (o *createOptions) applyConfigs(ctx context.Context, printer *steps.Printer, spec *provision.Spec) error {
	configs, err := o.folder().Configs(spec)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, o.waitTimeout, fmt.Errorf("not within %s", o.waitTimeout))
	defer cancel()

	return printer.Do("apply configurations", func(step *steps.Step) error {
		return provision.ApplyConfigs(ctx, spec, configs, step.Detail)
	})
}
