package blockdev

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Content is what was found on a device, as far as names are made of it.
type Content struct {
	UUID, Label                   string // of a file system or volume
	PartitionUUID, PartitionLabel string
}

// Symlinks are the stable names of a device below /dev/disk, made as other
// systems make them, so that selectors and pods find them. Disk is the disk of
// a partition and the device itself otherwise.
func (s System) Symlinks(d, disk Device, content Content) []string {
	var out []string

	suffix := ""
	if d.Partition {
		suffix = "-part" + strconv.Itoa(d.Number)
	}

	add := func(kind, name, suffix string) {
		if name != "" {
			out = append(out, "/dev/disk/"+kind+"/"+name+suffix)
		}
	}

	for _, id := range s.ids(disk) {
		add("by-id", id, suffix)
	}

	for _, path := range s.paths(disk) {
		add("by-path", path, suffix)
	}

	add("by-diskseq", s.text(disk.Path, "diskseq"), suffix)
	add("by-uuid", escaped(content.UUID), "")
	add("by-label", escaped(content.Label), "")
	add("by-partuuid", escaped(content.PartitionUUID), "")
	add("by-partlabel", escaped(content.PartitionLabel), "")

	slices.Sort(out)

	return slices.Compact(out)
}

// ids are the names of a disk by what it says it is.
func (s System) ids(d Device) []string {
	props := s.Disk(d)
	model, serial, wwid := joined(props.Model), joined(props.Serial), props.WWID

	switch {
	case strings.HasPrefix(d.Name, "dm-"):
		return []string{prefixed("dm-name-", s.text(d.Path, "dm/name")), prefixed("dm-uuid-", s.text(d.Path, "dm/uuid"))}
	case strings.HasPrefix(d.Name, "md"):
		return []string{prefixed("md-uuid-", s.text(d.Path, "md/uuid"))}
	case props.Transport == "nvme":
		out := []string{prefixed("nvme-", joined(wwid))}
		if model != "" && serial != "" {
			name := "nvme-" + model + "_" + serial
			out = append(out, name, prefixed(name+"_", s.text(d.Path, "nsid")))
		}

		return out
	case props.Transport == "mmc" && model != "" && serial != "":
		return []string{"mmc-" + model + "_" + serial}
	case strings.HasPrefix(d.Name, "vd"):
		return []string{prefixed("virtio-", serial)}
	}

	if s.base(d.Path+"/device", "subsystem") != "scsi" {
		return nil
	}

	return s.scsiIDs(d, props.Transport, model, serial, wwid)
}

// scsiIDs are the names of a disk with SCSI commands: of an ATA disk, a disk
// at USB, and any other.
func (s System) scsiIDs(d Device, transport, model, serial, wwid string) []string {
	var out []string

	vendor := joined(s.text(d.Path, "device/vendor"))

	switch {
	case (transport == "sata" || transport == "ata") && model != "":
		out = append(out, "ata-"+model+prefixed("_", serial))
	case transport == "usb":
		if at, id := s.usb(d.Path); id != "" {
			out = append(out, "usb-"+id+"-"+at)
		}
	case serial != "":
		out = append(out, "scsi-S"+vendor+"_"+model+"_"+serial)
	}

	kind, number, _ := strings.Cut(wwid, ".")

	switch kind {
	case "naa":
		out = append(out, "wwn-0x"+number, "scsi-3"+number)
	case "eui":
		out = append(out, "wwn-0x"+number, "scsi-2"+number)
	case "t10":
		out = append(out, "scsi-1"+joined(number))
	}

	return out
}

// usb describes the USB device that a disk is in: the channel and unit there,
// and its name with its serial number.
func (s System) usb(path string) (at, id string) {
	for dir := path; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
		if strings.Count(filepath.Base(dir), ":") == 3 {
			parts := strings.Split(filepath.Base(dir), ":")
			at = parts[2] + ":" + parts[3]
		}

		if s.variable(dir, "DEVTYPE") == "usb_device" {
			parts := []string{joined(s.text(dir, "manufacturer")), joined(s.text(dir, "product")), joined(s.text(dir, "serial"))}

			return at, strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "_")
		}
	}

	return "", ""
}

// paths are the names of a disk by where it is connected: each device on the
// way to it that has an address says its part.
func (s System) paths(d Device) []string {
	var (
		parts []string // from the root to the disk
		ata   string   // what older systems say instead of parts[…]
		bus   bool
	)

	prepend := func(part string) { parts = append([]string{part}, parts...) }

	for dir := filepath.Dir(d.Path); dir != "/devices" && dir != "/" && dir != "." && !bus; dir = filepath.Dir(dir) {
		name := filepath.Base(dir)

		switch s.base(dir, "subsystem") {
		case "nvme":
			if nsid := s.text(d.Path, "nsid"); nsid != "" && len(parts) == 0 {
				prepend("nvme-" + nsid)
			}
		case "scsi":
			if strings.Count(name, ":") != 3 {
				continue
			}

			var part string
			if part, ata = s.scsiPart(dir, name); part != "" {
				prepend(part)
			}
		case "usb":
			if s.variable(dir, "DEVTYPE") == "usb_interface" {
				_, port, _ := strings.Cut(name, "-")
				prepend("usb-0:" + port)
			}
		case "pci":
			prepend("pci-" + name)

			bus = true
		case "platform":
			prepend("platform-" + name)

			bus = true
		case "vmbus":
			prepend("vmbus-" + name)

			bus = true
		}
	}

	if !bus {
		return nil
	}

	out := []string{strings.Join(parts, "-")}

	if ata != "" {
		out = append(out, strings.Join(append(parts[:len(parts)-1:len(parts)-1], ata), "-"))
	}

	return out
}

// scsiPart is what a SCSI device adds to a path: its address, or the port of
// an ATA disk, of which there is a short form.
func (s System) scsiPart(dir, address string) (part, short string) {
	if port := component(dir, "ata"); port != "" {
		before, _, _ := strings.Cut(dir, "/"+port+"/")

		number := s.text(before, port+"/ata_port/"+port+"/port_no")
		if number == "" {
			number = strings.TrimPrefix(port, "ata")
		}

		return "ata-" + number + ".0", "ata-" + number
	}

	parts := strings.Split(address, ":")

	if end := component(dir, "end_device-"); end != "" {
		before, _, _ := strings.Cut(dir, "/"+end+"/")
		if sas := s.text(before, end+"/sas_device/"+end+"/sas_address"); sas != "" {
			return "sas-" + sas + "-lun-" + parts[3], ""
		}
	}

	// The number of the host depends on the order of the drivers; what other
	// systems show is the number within the adapter, which nearly always has one.
	return fmt.Sprintf("scsi-0:%s:%s:%s", parts[1], parts[2], parts[3]), ""
}

// base is the last component of what a symbolic link points to.
func (s System) base(path, link string) string {
	target, err := filepath.EvalSymlinks(filepath.Join(s.Root, path, link))
	if err != nil {
		return ""
	}

	return filepath.Base(target)
}

func prefixed(prefix, name string) string {
	if name == "" {
		return ""
	}

	return prefix + name
}

// joined makes a text that a disk says part of a name: runs of spaces become
// one underscore, and so does everything that does not belong into a name.
func joined(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("#+-.:=@_", r):
			return r
		}

		return '_'
	}, strings.Join(strings.Fields(text), "_"))
}

// escaped makes a label a name: bytes that do not belong into one are written
// as \x and two digits.
func escaped(text string) string {
	var out strings.Builder

	for _, r := range text {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("#+-.:=@_", r), r > 0x7f:
			out.WriteRune(r)
		default:
			fmt.Fprintf(&out, `\x%02x`, r)
		}
	}

	return out.String()
}
