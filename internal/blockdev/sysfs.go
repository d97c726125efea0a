// Package blockdev knows block devices: what the kernel says about them in
// sysfs, their stable names, and what can be done with one that is opened:
// sizes, partitions, erasing.
//
// All that is read comes from below a folder in the form of /sys, and all that
// is opened through an [Opener], so that everything above this package works on
// made-up trees and image files.
package blockdev

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// sectorSize is the unit of sizes in sysfs, whatever the disk's own sectors are.
const sectorSize = 512

// System is the kernel's view of block devices.
type System struct {
	// Root is a folder in the form of /sys.
	Root string
}

// Device is a disk or a partition.
type Device struct {
	Name         string // as in sysfs: vda1
	Path         string // its folder below Root: /devices/.../block/vda/vda1
	Partition    bool
	Major, Minor int
	Size         uint64 // bytes
	Number       int    // of a partition
	Offset       uint64 // of a partition on its disk, bytes
	Label        string // of a partition, when the kernel read it from the table
	Parent       string // the disk of a partition
	// Secondaries are the devices that this one is made of, such as the
	// partition below an encrypted volume.
	Secondaries []string
}

// Node is the path of the device node: devtmpfs turns exclamation marks in
// names into slashes.
func (d Device) Node() string { return NodeOf(d.Name) }

// NodeOf is the path of the node of a device.
func NodeOf(name string) string { return "/dev/" + strings.ReplaceAll(name, "!", "/") }

// NameOf is the name of the device with a node. Symbolic links are not
// followed.
func NameOf(node string) string {
	return strings.ReplaceAll(strings.TrimPrefix(node, "/dev/"), "/", "!")
}

// PartitionName is the kernel's name of a partition of a disk.
func PartitionName(disk string, number int) string {
	if disk != "" && disk[len(disk)-1] >= '0' && disk[len(disk)-1] <= '9' {
		return disk + "p" + strconv.Itoa(number)
	}

	return disk + strconv.Itoa(number)
}

// Devices lists the devices that have a size, disks before their partitions. A
// device that goes while it is read is left out.
func (s System) Devices() ([]Device, error) {
	entries, err := os.ReadDir(filepath.Join(s.Root, "class/block"))
	if err != nil {
		return nil, fmt.Errorf("listing block devices: %w", err)
	}

	var out []Device

	for _, entry := range entries {
		device, err := s.device(entry.Name())

		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, fmt.Errorf("reading block device %s: %w", entry.Name(), err)
		case device.Size > 0 && s.text(device.Path, "hidden") != "1":
			out = append(out, device)
		}
	}

	slices.SortFunc(out, func(a, b Device) int {
		if a.Partition != b.Partition {
			if a.Partition {
				return 1
			}

			return -1
		}

		return strings.Compare(a.Name, b.Name)
	})

	return out, nil
}

func (s System) device(name string) (Device, error) {
	real, err := filepath.EvalSymlinks(filepath.Join(s.Root, "class/block", name))
	if err != nil {
		return Device{}, err
	}

	root, err := filepath.EvalSymlinks(s.Root)
	if err != nil {
		return Device{}, err
	}

	d := Device{Name: name, Path: strings.TrimPrefix(real, root)}

	number, err := os.ReadFile(filepath.Join(real, "dev"))
	if err != nil {
		return Device{}, err
	}

	if _, err := fmt.Sscanf(string(number), "%d:%d", &d.Major, &d.Minor); err != nil {
		return Device{}, fmt.Errorf("device number %q: %w", number, err)
	}

	d.Size = s.number(d.Path, "size") * sectorSize

	if text := s.text(d.Path, "partition"); text != "" {
		d.Partition = true
		d.Number = int(s.number(d.Path, "partition"))
		d.Offset = s.number(d.Path, "start") * sectorSize
		d.Parent = filepath.Base(filepath.Dir(d.Path))
		d.Label = s.variable(d.Path, "PARTNAME")

		return d, nil
	}

	d.Secondaries = s.names(d.Path, "slaves")

	return d, nil
}

// Disk is what is known about a disk.
type Disk struct {
	IOSize     uint64 // bytes; what the disk likes to be given at once
	SectorSize uint64 // bytes; the smallest it can be given
	Readonly   bool
	CDROM      bool
	Rotational bool

	Model, Serial, Firmware string
	Modalias                string
	WWID, UUID              string
	BusPath                 string // where it is connected, below /sys/devices
	Subsystem               string
	Transport               string // nvme, virtio, sata, ata, usb, mmc, sas, fc, iscsi, or empty
}

// Disk reads the properties of a disk. What the disk does not say stays empty.
func (s System) Disk(d Device) Disk {
	device := d.Path + "/device"

	disk := Disk{
		IOSize:     s.number(d.Path, "queue/optimal_io_size"),
		SectorSize: s.number(d.Path, "queue/logical_block_size"),
		Readonly:   s.text(d.Path, "ro") == "1",
		Rotational: s.text(d.Path, "queue/rotational") == "1",
		CDROM:      strings.HasPrefix(d.Name, "sr") || s.text(device, "type") == "5",
		Model:      s.first(device, "model", "name"),
		Firmware:   s.first(device, "firmware_rev", "rev", "fwrev"),
		Modalias:   s.first(device, "modalias"),
		UUID:       s.text(d.Path, "uuid"),
		WWID:       s.text(d.Path, "wwid"),
		BusPath:    filepath.Dir(filepath.Dir(strings.TrimPrefix(d.Path, "/devices"))),
		Subsystem:  s.subsystem(d.Path),
		Transport:  s.transport(d),
	}

	if disk.IOSize == 0 {
		disk.IOSize = s.number(d.Path, "queue/minimum_io_size")
	}

	if disk.SectorSize == 0 {
		disk.SectorSize = sectorSize
	}

	if disk.IOSize == 0 {
		disk.IOSize = disk.SectorSize
	}

	if disk.WWID == "" {
		disk.WWID = s.text(device, "wwid")
	}

	disk.Serial = s.serial(d)

	if model, _, ok := s.ataIdentity(d); ok && model != "" {
		disk.Model = model
	}

	return disk
}

// serial is the serial number, from where each kind of disk has it.
func (s System) serial(d Device) string {
	if text := s.first(d.Path, "serial", "device/serial"); text != "" {
		return text
	}

	if _, serial, ok := s.ataIdentity(d); ok && serial != "" {
		return serial
	}

	return vpdSerial(s.bytes(d.Path, "device/vpd_pg80"))
}

// vpdSerial reads the page of a SCSI disk's serial number: four bytes of head,
// the last two of them the length.
func vpdSerial(page []byte) string {
	if len(page) < 4 || page[1] != 0x80 {
		return ""
	}

	length := int(page[2])<<8 | int(page[3])

	return clean(string(page[4:min(len(page), 4+length)]))
}

// ataIdentity reads model and serial number of an ATA disk, which the model of
// its SCSI translation cuts off after 16 characters.
func (s System) ataIdentity(d Device) (model, serial string, ok bool) {
	return parseATA(s.bytes(d.Path, "device/vpd_pg89"))
}

// parseATA reads the ATA information page: the disk's IDENTIFY data begins at
// byte 60; its text is in words of two characters, the second first.
func parseATA(page []byte) (model, serial string, ok bool) {
	const identify, length = 60, 512

	if len(page) < identify+length || page[1] != 0x89 {
		return "", "", false
	}

	data := page[identify:]

	return clean(swapped(data[54:94])), clean(swapped(data[20:40])), true
}

func swapped(words []byte) string {
	out := make([]byte, len(words))
	for i := 0; i+1 < len(words); i += 2 {
		out[i], out[i+1] = words[i+1], words[i]
	}

	return string(out)
}

// clean drops what is no printable ASCII, and spaces at both ends.
func clean(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}

		return r
	}, text))
}

// transport says how the disk is connected, judged by the devices that it is
// behind.
func (s System) transport(d Device) string {
	switch {
	case strings.HasPrefix(d.Name, "nvme"):
		return "nvme"
	case strings.HasPrefix(d.Name, "mmcblk"):
		return "mmc"
	}

	for _, known := range []struct{ prefix, transport string }{
		{"usb", "usb"},
		{"ata", "ata"},
		{"end_device-", "sas"},
		{"rport-", "fc"},
		{"session", "iscsi"},
		{"virtio", "virtio"},
	} {
		component := component(d.Path, known.prefix)

		switch {
		case component == "":
			continue
		case known.transport == "ata" && s.isSATA(d):
			return "sata"
		}

		return known.transport
	}

	return ""
}

// component is the first component of a path that is a prefix and a number.
func component(path, prefix string) string {
	for part := range strings.SplitSeq(path, "/") {
		rest, ok := strings.CutPrefix(part, prefix)
		if ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			return part
		}
	}

	return ""
}

// isSATA asks which driver the host adapter of an ATA disk has.
func (s System) isSATA(d Device) bool {
	host := component(d.Path, "host")
	before, _, _ := strings.Cut(d.Path, "/"+host+"/")
	driver := s.text(before, host+"/scsi_host/"+host+"/proc_name")

	return driver == "ahci" || strings.HasPrefix(driver, "sata")
}

// subsystem is the path of a device's subsystem: /sys/class/block.
func (s System) subsystem(path string) string {
	real, err := filepath.EvalSymlinks(filepath.Join(s.Root, path, "subsystem"))
	if err != nil {
		return ""
	}

	root, err := filepath.EvalSymlinks(s.Root)
	if err != nil {
		return ""
	}

	return "/sys" + strings.TrimPrefix(real, root)
}

func (s System) bytes(path, name string) []byte {
	data, err := os.ReadFile(filepath.Join(s.Root, path, name))
	if err != nil {
		return nil
	}

	return data
}

func (s System) text(path, name string) string { return clean(string(s.bytes(path, name))) }

// first is the first of several files that has something in it.
func (s System) first(path string, names ...string) string {
	for _, name := range names {
		if text := s.text(path, name); text != "" {
			return text
		}
	}

	return ""
}

func (s System) number(path, name string) uint64 {
	n, err := strconv.ParseUint(s.text(path, name), 10, 64)
	if err != nil {
		return 0
	}

	return n
}

// variable is a value out of the device's uevent file.
func (s System) variable(path, key string) string {
	for line := range strings.Lines(string(s.bytes(path, "uevent"))) {
		if value, ok := strings.CutPrefix(line, key+"="); ok {
			return strings.TrimSuffix(value, "\n")
		}
	}

	return ""
}

// names lists a folder.
func (s System) names(path, name string) []string {
	entries, err := os.ReadDir(filepath.Join(s.Root, path, name))
	if err != nil {
		return nil
	}

	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}

	return out
}

// SectorSize is the smallest unit of a disk in bytes.
func (s System) SectorSize(disk string) uint64 {
	if n := s.number("class/block/"+disk, "queue/logical_block_size"); n > 0 {
		return n
	}

	return sectorSize
}
