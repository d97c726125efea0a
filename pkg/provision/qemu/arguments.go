package qemu

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/basalt-os/basalt/pkg/provision"
)

// What a machine has for which nothing was chosen; the memory is in bytes.
const (
	DefaultMemory = 2 << 30
	DefaultCPUs   = 2
)

// Descriptors that a machine's process finds open.
const (
	monitorFD = 3 + iota
	tapFD
)

// files are the files of one machine.
type files struct {
	folder string
}

func (f files) disk(i int) string { return filepath.Join(f.folder, fmt.Sprintf("disk-%d.raw", i)) }
func (f files) variables() string { return filepath.Join(f.folder, "firmware.fd") }
func (f files) medium() string    { return filepath.Join(f.folder, "config.iso") }
func (f files) removable() string { return filepath.Join(f.folder, "removable.raw") }

// state is what of a machine changes from one power-on to the next.
type state struct {
	installed bool // the first disk has a system
}

// arguments are those with which QEMU runs a node.
func arguments(machines *provision.Machines, gateway netip.Addr, node provision.Node, f files, s state) ([]string, error) {
	p, ok := platforms()[machines.Arch]
	if !ok {
		return nil, fmt.Errorf("there are no machines of architecture %q", machines.Arch)
	}

	memory := cmp.Or(node.Memory, DefaultMemory)
	cpus := cmp.Or(int(math.Ceil(node.CPUs)), DefaultCPUs)

	args := []string{
		"-name", node.Name, "-uuid", node.UUID,
		"-machine", p.machine, "-smp", strconv.Itoa(cpus), "-m", strconv.FormatUint(memory>>20, 10) + "M",
		"-nodefaults", "-no-user-config", "-display", "none",
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=monitor,fd=%d", monitorFD), "-mon", "chardev=monitor,mode=control",
		"-netdev", fmt.Sprintf("tap,id=net0,fd=%d", tapFD),
		"-device", fmt.Sprintf("virtio-net-pci,netdev=net0,mac=%s,romfile=", node.MAC),
		"-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0",
		"-action", "watchdog=reset", "-device", "pvpanic-pci", "-action", "panic=none",
		"-smbios", "type=1,manufacturer=QEMU,product=Basalt,serial=" + escaped(node.Name) + ",uuid=" + node.UUID,
	}
	args = append(args, p.watchdog...)
	args = append(args, Accelerate(machines.Accelerator)...)
	args = append(args, clock(machines)...)

	loader, err := bootArguments(machines, CommandLine(machines, gateway), f, s)
	if err != nil {
		return nil, err
	}

	args = append(args, loader...)

	return append(args, drives(machines, node, f)...), nil
}

// Accelerate are the arguments that choose what runs a machine's code.
func Accelerate(accelerator provision.Accelerator) []string {
	if accelerator == provision.KVM {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}

	return []string{"-accel", "tcg,thread=multi", "-cpu", "max"}
}

func clock(machines *provision.Machines) []string {
	if machines.BadClock {
		return []string{"-rtc", "base=2011-11-11T11:11:00"}
	}

	return []string{"-rtc", "base=utc"}
}

// bootArguments choose the firmware and what it boots.
func bootArguments(machines *provision.Machines, extra string, f files, s state) ([]string, error) {
	var args []string

	if machines.UEFI {
		code, _, err := firmware(machines.Arch, machines.Firmware)
		if err != nil {
			return nil, err
		}

		args = append(args,
			"-drive", "if=pflash,format=raw,readonly=on,file="+escaped(code),
			"-drive", "if=pflash,format=raw,file="+escaped(f.variables()))
	}

	boot := machines.Boot
	direct := boot.Source == provision.BootKernel && (boot.Always || !s.installed)

	if direct {
		args = append(args, "-kernel", boot.Kernel, "-initrd", boot.Initramfs, "-append", join(boot.Cmdline, extra))

		// The next power-on is to look at the disk.
		if !boot.Always {
			args = append(args, "-action", "reboot=shutdown")
		}
	} else if extra != "" && machines.UEFI {
		// systemd's stub, and the boot loader that hands over to it, add it to the
		// command line of the image.
		args = append(args, "-smbios", "type=11,value="+escaped("io.systemd.stub.kernel-cmdline-extra="+extra))
	}

	return args, nil
}

// translated is for machines whose code is translated. Page tables that keep the
// kernel apart from programs protect from faults of processors, which a translator
// does not have, and each change of page tables throws its cache of addresses
// away: system calls would take many times as long.
const translated = "pti=off mitigations=off"

// CommandLine is what is added to the kernel's command line of the machines.
func CommandLine(machines *provision.Machines, gateway netip.Addr) string {
	var args string

	switch machines.Injection {
	case provision.InjectISO:
		args = "talos.config=" + mediumLabel
	case provision.InjectHTTP:
		args = "talos.config=http://" + netip.AddrPortFrom(gateway, ConfigPort).String() + "/config.yaml"
	case provision.InjectNone, provision.InjectApply:
	}

	if machines.Accelerator == provision.TCG {
		args = join(args, translated)
	}

	return join(args, machines.ExtraArgs)
}

func join(a, b string) string { return strings.TrimSpace(strings.TrimSpace(a) + " " + b) }

// drives are the machine's disks and media, with the order in which the
// firmware tries them: the first disk, then what the machine is installed from.
func drives(machines *provision.Machines, node provision.Node, f files) []string {
	b := buses{next: map[string]int{}}

	for i, disk := range node.Disks {
		b.disk(i, disk, f.disk(i))
	}

	switch image := escaped(machines.Boot.Image); machines.Boot.Source {
	case provision.BootISO:
		b.drive("cd", "readonly=on,media=cdrom", image)
		b.device("ide-cd,bus=" + b.port() + ",drive=cd,bootindex=100")
	case provision.BootUSB:
		b.drive("stick", "", escaped(f.removable()))
		b.controller("qemu-xhci")
		b.device("usb-storage,drive=stick,removable=on,bootindex=100")
	case provision.BootUKI:
		b.drive("stick", "", escaped(f.removable()))
		b.device("virtio-blk-pci,drive=stick,serial=removable,bootindex=100")
	}

	if machines.Injection == provision.InjectISO {
		b.drive("config", "readonly=on", escaped(f.medium()))
		b.device("virtio-blk-pci,drive=config,serial=config")
	}

	return b.args
}

// buses gives disks their places.
type buses struct {
	args []string
	next map[string]int // next free place on a bus
}

func (b *buses) device(text string) { b.args = append(b.args, "-device", text) }

func (b *buses) drive(id, options, file string) {
	text := "if=none,id=" + id + ",format=raw,file=" + file
	if options != "" {
		text += "," + options
	}

	b.args = append(b.args, "-drive", text)
}

// controller adds a controller unless there is one of its kind.
func (b *buses) controller(kind string) string {
	id := kind[:strings.IndexAny(kind+"-", "-")] + "0"

	if b.next[kind] == 0 {
		b.device(kind + ",id=" + id)
	}

	b.next[kind]++

	return id
}

// port is a free port of the board's SATA controller.
func (b *buses) port() string {
	const sata = "ide"

	b.next[sata]++

	return fmt.Sprintf("%s.%d", sata, b.next[sata]-1)
}

func (b *buses) disk(i int, disk provision.Disk, file string) {
	id := fmt.Sprintf("disk%d", i)

	serial := disk.Serial
	if serial == "" {
		serial = id
	}

	// What the guest flushes is with this machine, which outlives the guest's
	// power cuts, and is not waited for until it is on a disk.
	b.drive(id, "cache=unsafe,discard=unmap,detect-zeroes=unmap", escaped(file))

	tail := fmt.Sprintf(",drive=%s,serial=%s,bootindex=%d", id, escaped(serial), i+1)
	if disk.BlockSize > 0 {
		tail += fmt.Sprintf(",logical_block_size=%d,physical_block_size=%d", disk.BlockSize, disk.BlockSize)
	}

	switch disk.Driver {
	case "nvme":
		b.device("nvme" + tail)
	case "scsi":
		b.device("scsi-hd,bus=" + b.controller("virtio-scsi-pci") + ".0" + tail)
	case "megaraid":
		b.device("scsi-hd,bus=" + b.controller("megasas-gen2") + ".0" + tail)
	case "ide", "ahci":
		b.device("ide-hd,bus=" + b.port() + tail)
	case "usb":
		b.controller("qemu-xhci")
		b.device("usb-storage" + tail)
	default:
		b.device("virtio-blk-pci" + tail)
	}
}

// escaped makes a text a value in QEMU's lists of options.
func escaped(text string) string { return strings.ReplaceAll(text, ",", ",,") }
