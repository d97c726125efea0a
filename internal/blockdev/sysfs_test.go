package blockdev_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/blockdev/blockdevtest"
)

const (
	gib     = 1 << 30
	pci     = "pci0000:00/0000:00:04.0"
	ahci    = "pci0000:00/0000:00:17.0"
	address = "0:0:0:0"
)

// machine has one disk of each kind.
func machine(t *testing.T) *blockdevtest.Machine {
	t.Helper()

	m := blockdevtest.New(t)
	m.Link("devices/"+pci+"/subsystem", "bus/pci")
	m.Link("devices/"+ahci+"/subsystem", "bus/pci")

	m.Add("vda", pci+"/virtio1/block", gib, map[string]string{
		"serial": "disk one\n", "device/modalias": "virtio:d00000002v00001AF4\n", "queue/rotational": "1\n", "diskseq": "9\n",
	})

	m.Add("nvme0n1", pci+"/nvme/nvme0", gib, map[string]string{
		"device/model": "QEMU NVMe Ctrl   \n", "device/serial": "deadbeef\n", "device/firmware_rev": "1.0\n",
		"wwid": "nvme.1b36-6465\n", "nsid": "1\n", "queue/optimal_io_size": "4096\n", "uuid": "e9b6\n",
	})
	m.Link("devices/"+pci+"/nvme/nvme0/subsystem", "class/nvme")

	sata := ahci + "/ata3/host2/target2:0:0/2:0:0:0"
	m.File("devices/"+ahci+"/ata3/ata_port/ata3/port_no", "3\n")
	m.File("devices/"+ahci+"/ata3/host2/scsi_host/host2/proc_name", "ahci\n")
	m.Link("devices/"+sata+"/subsystem", "bus/scsi")

	page := make([]byte, 572)
	page[1] = 0x89
	copy(page[60+20:], "3S2101 8          ")
	copy(page[60+54:], "aSsmnu gSS D78 0VE Oht eno e")
	m.Add("sda", sata+"/block", gib, map[string]string{
		"device": "-> devices/" + sata, "removable": "0",
	})
	m.File("devices/"+sata+"/model", "Samsung SSD 870 \n")
	m.File("devices/"+sata+"/vendor", "ATA     \n")
	m.File("devices/"+sata+"/type", "0\n")
	m.File("devices/"+sata+"/wwid", "naa.5002538f4142\n")
	m.File("devices/"+sata+"/vpd_pg89", string(page))

	m.Add("sr0", ahci+"/ata4/host3/target3:0:0/3:0:0:0/block", 2048, map[string]string{"ro": "1"})
	m.Add("loop0", "virtual/block", 4096, map[string]string{"ro": "1"})
	m.Add("loop1", "virtual/block", 0, nil)
	m.Add("dm-0", "virtual/block", gib, map[string]string{"dm/name": "luks2-STATE", "dm/uuid": "CRYPT-1", "slaves/vda1/x": ""})

	vda, err := m.Open("/dev/vda", blockdev.Write)
	if err != nil {
		t.Fatal(err)
	}
	defer vda.Close()

	if err := vda.AddPartition(blockdev.Range{Number: 1, Offset: 1 << 20, Length: 1 << 20}); err != nil {
		t.Fatal(err)
	}

	return m
}

func TestDevices(t *testing.T) {
	devices, err := machine(t).System().Devices()
	if err != nil {
		t.Fatal(err)
	}

	var names []string
	for _, d := range devices {
		names = append(names, d.Name)
	}

	// loop1 has no size.
	if diff := cmp.Diff(strings.Fields("dm-0 loop0 nvme0n1 sda sr0 vda vda1"), names); diff != "" {
		t.Fatal(diff)
	}

	if diff := cmp.Diff([]string{"vda1"}, devices[0].Secondaries); diff != "" {
		t.Error(diff)
	}

	want := blockdev.Device{
		Name: "vda1", Path: "/devices/" + pci + "/virtio1/block/vda/vda1", Partition: true, Major: 254, Minor: 1,
		Size: 1 << 20, Number: 1, Offset: 1 << 20, Parent: "vda",
	}
	if diff := cmp.Diff(want, devices[6]); diff != "" {
		t.Error(diff)
	}
}

func TestDisk(t *testing.T) {
	system := machine(t).System()

	devices, err := system.Devices()
	if err != nil {
		t.Fatal(err)
	}

	want := map[string]blockdev.Disk{
		"vda": {
			IOSize: 512, SectorSize: 512, Rotational: true, Serial: "disk one", Modalias: "virtio:d00000002v00001AF4",
			BusPath: "/" + pci + "/virtio1", Subsystem: "/sys/class/block", Transport: "virtio",
		},
		"nvme0n1": {
			IOSize: 4096, SectorSize: 512, Model: "QEMU NVMe Ctrl", Serial: "deadbeef", Firmware: "1.0", WWID: "nvme.1b36-6465",
			UUID: "e9b6", BusPath: "/" + pci + "/nvme", Subsystem: "/sys/class/block", Transport: "nvme",
		},
		"sda": {
			IOSize: 512, SectorSize: 512, Model: "Samsung SSD 870 EVO the one", Serial: "S312108", WWID: "naa.5002538f4142",
			BusPath: "/" + ahci + "/ata3/host2/target2:0:0/2:0:0:0", Subsystem: "/sys/class/block", Transport: "sata",
		},
		"sr0": {
			IOSize: 512, SectorSize: 512, Readonly: true, CDROM: true, BusPath: "/" + ahci + "/ata4/host3/target3:0:0/3:0:0:0",
			Subsystem: "/sys/class/block", Transport: "ata",
		},
		"loop0": {IOSize: 512, SectorSize: 512, Readonly: true, BusPath: "/virtual", Subsystem: "/sys/class/block"},
	}

	for _, d := range devices {
		if w, ok := want[d.Name]; ok {
			if diff := cmp.Diff(w, system.Disk(d)); diff != "" {
				t.Errorf("%s: %s", d.Name, diff)
			}
		}
	}
}

func TestSymlinks(t *testing.T) {
	system := machine(t).System()

	devices, err := system.Devices()
	if err != nil {
		t.Fatal(err)
	}

	byName := map[string]blockdev.Device{}
	for _, d := range devices {
		byName[d.Name] = d
	}

	for name, want := range map[string]string{
		"vda": "by-diskseq/9 by-id/virtio-disk_one by-path/pci-0000:00:04.0",
		"vda1": "by-diskseq/9-part1 by-id/virtio-disk_one-part1 by-label/A\\x20B by-partlabel/STATE by-partuuid/p1 " +
			"by-path/pci-0000:00:04.0-part1 by-uuid/u1",
		"nvme0n1": "by-id/nvme-QEMU_NVMe_Ctrl_deadbeef by-id/nvme-QEMU_NVMe_Ctrl_deadbeef_1 by-id/nvme-nvme.1b36-6465 " +
			"by-path/pci-0000:00:04.0-nvme-1",
		"sda": "by-id/ata-Samsung_SSD_870_EVO_the_one_S312108 by-id/scsi-35002538f4142 by-id/wwn-0x5002538f4142 " +
			"by-path/pci-0000:00:17.0-ata-3 by-path/pci-0000:00:17.0-ata-3.0",
		"dm-0":  "by-id/dm-name-luks2-STATE by-id/dm-uuid-CRYPT-1",
		"loop0": "",
	} {
		d, disk, content := byName[name], byName[name], blockdev.Content{}
		if d.Partition {
			disk = byName[d.Parent]
			content = blockdev.Content{UUID: "u1", Label: "A B", PartitionUUID: "p1", PartitionLabel: "STATE"}
		}

		got := system.Symlinks(d, disk, content)
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "/dev/disk/")
		}

		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		disk   string
		number int
		want   string
	}{{"vda", 1, "vda1"}, {"nvme0n1", 12, "nvme0n1p12"}, {"mmcblk0", 2, "mmcblk0p2"}, {"md127", 1, "md127p1"}} {
		if got := blockdev.PartitionName(test.disk, test.number); got != test.want {
			t.Errorf("partition %d of %s is %s", test.number, test.disk, got)
		}
	}

	if got := blockdev.NodeOf("cciss!c0d0"); got != "/dev/cciss/c0d0" || blockdev.NameOf(got) != "cciss!c0d0" {
		t.Errorf("node %s", got)
	}
}
