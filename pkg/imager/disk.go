package imager

import (
	"fmt"
	"io"
	"os"
	"path"

	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/uki"
)

// Sizes of a disk image's partitions, in bytes. The system partition has room
// for the images of two versions and of a third that is being written.
const (
	espSize  = 2101 << 20
	biosSize = 1 << 20
	metaSize = 1 << 20
	overhead = 4 << 20 // both copies of the partition table, with alignment
)

const espLabel = "EFI"

// bootFiles are what a machine needs to boot, from firmware on.
func (p Profile) bootFiles(loader Bootloader) ([]fat.File, error) {
	image, err := p.uki()
	if err != nil {
		return nil, err
	}

	// The only image there is has nothing to go back to, so it is not counted.
	name, err := uki.Name{Version: p.Version}.File()
	if err != nil {
		return nil, err
	}

	files := []fat.File{{Name: path.Join(uki.Folder, name), Data: image}}

	if loader.uefi() {
		program, err := os.ReadFile(p.Input.SDBoot.Path)
		if err != nil {
			return nil, err
		}

		settings := fmt.Sprintf("timeout %d\neditor no\nauto-entries no\n", menuTimeout)
		files = append(files, fat.File{Name: bootFiles()[p.Arch], Data: program},
			fat.File{Name: "loader/loader.conf", Data: []byte(settings)})
	}

	if loader.bios() {
		more, err := p.grubFiles(name, image)
		if err != nil {
			return nil, err
		}

		files = append(files, more...)
	}

	return files, nil
}

// writeDisk makes a disk image: the system partition, GRUB's if the image is to
// boot by BIOS, and META. The other partitions are made by the machine when it
// boots.
func (p Profile) writeDisk(disk *os.File) error {
	loader := p.Output.ImageOptions.Bootloader

	files, err := p.bootFiles(loader)
	if err != nil {
		return err
	}

	meta, err := p.meta()
	if err != nil {
		return err
	}

	size := roundUp(max(p.Output.ImageOptions.DiskSize, espSize+biosSize+metaSize+overhead), vhdUnit)
	if err := disk.Truncate(size); err != nil {
		return err
	}

	table, err := gpt.New(gpt.GUIDOf("disk"), size, p.Output.ImageOptions.DiskSectorSize)
	if err != nil {
		return err
	}

	esp, err := table.Add(gpt.LabelEFI, gpt.TypeEFI, gpt.GUIDOf(gpt.LabelEFI), espSize, 0)
	if err != nil {
		return err
	}

	if loader.bios() {
		partition, err := table.Add(gpt.LabelBIOS, gpt.TypeBIOSBoot, gpt.GUIDOf(gpt.LabelBIOS), biosSize, gpt.AttributeLegacyBootable)
		if err != nil {
			return err
		}

		if err := p.writeGRUB(disk, table, partition); err != nil {
			return err
		}
	}

	metaPartition, err := table.Add(gpt.LabelMeta, gpt.TypeLinuxData, gpt.GUIDOf(gpt.LabelMeta), metaSize, 0)
	if err != nil {
		return err
	}

	if err := fat.Write(part{disk, table.Offset(esp)}, table.Size(esp), table.SectorSize, espLabel, files); err != nil {
		return fmt.Errorf("writing partition %s: %w", gpt.LabelEFI, err)
	}

	if _, err := disk.WriteAt(meta, table.Offset(metaPartition)); err != nil {
		return fmt.Errorf("writing partition %s: %w", gpt.LabelMeta, err)
	}

	return table.Write(disk)
}

// part is a part of a disk.
type part struct {
	disk   io.WriterAt
	offset int64
}

func (p part) WriteAt(data []byte, offset int64) (int, error) {
	return p.disk.WriteAt(data, p.offset+offset)
}
