package provision

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
)

// Machines says what the nodes of a cluster are when they are virtual machines.
type Machines struct {
	// Arch is that of the machines, as Go names it.
	Arch string `json:"arch"`
	Boot Boot   `json:"boot"`
	// UEFI chooses the firmware: UEFI or BIOS.
	UEFI bool `json:"uefi"`
	// Program is the emulator, Firmware the folder with the UEFI firmware and
	// its variables.
	Program  string `json:"program"`
	Firmware string `json:"firmware,omitempty"`
	// Accelerator is what runs the machines' code, and Reason why that one.
	Accelerator Accelerator `json:"accelerator"`
	Reason      string      `json:"reason,omitempty"`
	// Injection is how the nodes get their configurations.
	Injection Injection `json:"injection"`
	// ExtraArgs are added to the kernel's command line.
	ExtraArgs string `json:"extraArgs,omitempty"`
	// Hostnames says whether DHCP tells the nodes their names.
	Hostnames bool `json:"hostnames"`
	// BadClock starts the machines with a clock that is years behind.
	BadClock bool `json:"badClock,omitempty"`
	// MTU is that of the network; 0 is the usual one.
	MTU int `json:"mtu,omitempty"`
}

// Boot says what the machines boot as long as their first disk has no system.
type Boot struct {
	Source BootSource `json:"source"`
	// Image is a disk image, ISO, or unified kernel image.
	Image string `json:"image,omitempty"`
	// Kernel and Initramfs are given to the machine without a boot loader, with
	// Cmdline, the kernel's command line.
	Kernel    string `json:"kernel,omitempty"`
	Initramfs string `json:"initramfs,omitempty"`
	Cmdline   string `json:"cmdline,omitempty"`
	// Always keeps the machines from booting what is on their disk, as a network
	// boot that is always on does. It acts on BootKernel alone.
	Always bool `json:"always,omitempty"`
}

// BootSource is a kind of thing that a machine boots.
type BootSource string

// The boot sources.
const (
	BootDisk   BootSource = "disk-image" // the first disk begins as a copy of an image
	BootISO    BootSource = "iso"        // a CD beside an empty disk
	BootUSB    BootSource = "usb"        // the same image, as a stick
	BootUKI    BootSource = "uki"        // a unified kernel image on a removable medium
	BootKernel BootSource = "kernel"     // kernel and initramfs, as from the network
)

// Accelerator is what runs a machine's code.
type Accelerator string

// The accelerators, as QEMU names them.
const (
	KVM Accelerator = "kvm" // the processor
	TCG Accelerator = "tcg" // a translator: works everywhere, and takes its time
)

// Injection is how a machine gets its configuration.
type Injection string

// The ways of injection.
const (
	InjectISO   Injection = "metal-iso" // a medium with that label
	InjectHTTP  Injection = "http"      // a download from the host process
	InjectApply Injection = "apply"     // by the API of its maintenance mode
	InjectNone  Injection = "none"      // the machine stays in maintenance mode
)

// Disk is a disk of a virtual machine.
type Disk struct {
	Driver string `json:"driver"` // see DiskDrivers
	Size   uint64 `json:"size"`   // in bytes
	// Serial is what the disk calls itself; empty gives it one by its place.
	Serial string `json:"serial,omitempty"`
	// BlockSize is the size of a sector in bytes; 0 is 512.
	BlockSize uint `json:"blockSize,omitempty"`
}

// DiskDrivers are the kinds of disks.
func DiskDrivers() []string {
	return []string{"virtio", "ide", "ahci", "scsi", "nvme", "megaraid", "usb"}
}

// ParseDisks reads a list of disks, such as "virtio:10GiB,nvme:6GiB:serial=x".
func ParseDisks(text string) ([]Disk, error) {
	var disks []Disk

	for item := range strings.SplitSeq(text, ",") {
		disk, err := parseDisk(item)
		if err != nil {
			return nil, fmt.Errorf("disk %q: %w", item, err)
		}

		disks = append(disks, disk)
	}

	return disks, nil
}

func parseDisk(text string) (Disk, error) {
	parts := strings.Split(text, ":")
	if len(parts) < 2 {
		return Disk{}, fmt.Errorf("give a driver and a size, such as virtio:10GiB")
	}

	disk := Disk{Driver: parts[0]}

	if !slices.Contains(DiskDrivers(), disk.Driver) {
		return Disk{}, fmt.Errorf("there is no driver %q; there are %s", disk.Driver, strings.Join(DiskDrivers(), ", "))
	}

	var err error
	if disk.Size, err = ParseSize(parts[1]); err != nil {
		return Disk{}, err
	}

	for _, option := range parts[2:] {
		name, value, _ := strings.Cut(option, "=")

		switch name {
		case "serial":
			disk.Serial = value
		case "block":
			size, err := strconv.ParseUint(value, 10, 32)
			if err != nil || size != 512 && size != 4096 {
				return Disk{}, fmt.Errorf("block size %q: give 512 or 4096", value)
			}

			disk.BlockSize = uint(size)
		default:
			return Disk{}, fmt.Errorf("there is no option %q; there are serial and block", name)
		}
	}

	return disk, nil
}

// ParseSize reads a number of bytes with a unit, such as 10GiB, 10Gi or 6GB. A
// number without a unit is in MiB.
func ParseSize(text string) (uint64, error) {
	if count, err := strconv.ParseUint(text, 10, 40); err == nil && count > 0 {
		return count << 20, nil
	}

	quantity, err := resource.ParseQuantity(strings.TrimSuffix(text, "B"))

	size := quantity.AsApproximateFloat64()
	if err != nil || size < 1 || size >= 1<<60 {
		return 0, fmt.Errorf("%q is no size: write it like 10GiB", text)
	}

	return uint64(size), nil
}

// MAC is a hardware address with its usual text form.
type MAC net.HardwareAddr

func (m MAC) String() string { return net.HardwareAddr(m).String() }

// MarshalJSON writes the text form.
func (m MAC) MarshalJSON() ([]byte, error) { return json.Marshal(m.String()) }

// UnmarshalJSON reads the text form.
func (m *MAC) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}

	parsed, err := net.ParseMAC(text)
	*m = MAC(parsed)

	return err
}

// identity derives the hardware address and the UUID of a machine from its
// name, so that they are the same whenever it is made.
func identity(cluster, node string) (MAC, string) {
	sum := sha256.Sum256([]byte(cluster + "/" + node))

	mac := MAC{0x02, 0xba, sum[0], sum[1], sum[2], sum[3]} // of local administration
	id := sum[16:]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80 // version 8: made our own way

	return mac, fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}
