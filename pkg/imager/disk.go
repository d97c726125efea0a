package imager

import (
	"fmt"
	"io"
	"os"
	"path"

	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/layout"
	"github.com/basalt-os/basalt/internal/uki"
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

		name, err := bootloader.Program(p.Arch)
		if err != nil {
			return nil, err
		}

		files = append(files, fat.File{Name: name, Data: program},
			fat.File{Name: bootloader.ConfigFile, Data: []byte(bootloader.Config)})
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

	size := roundUp(max(p.Output.ImageOptions.DiskSize, layout.Least), vhdUnit)
	if err := disk.Truncate(size); err != nil {
		return err
	}

	plan, err := layout.New(layout.Options{
		Size: size, SectorSize: p.Output.ImageOptions.DiskSectorSize, BIOS: loader.bios(), GUID: gpt.GUIDOf,
	})
	if err != nil {
		return err
	}

	table := plan.Table

	if loader.bios() {
		if err := p.writeGRUB(disk, plan.BIOS); err != nil {
			return err
		}
	}

	if err := fat.Write(part{disk, table.Offset(plan.EFI)}, table.Size(plan.EFI), table.SectorSize, espLabel, files); err != nil {
		return fmt.Errorf("writing partition %s: %w", gpt.LabelEFI, err)
	}

	if _, err := disk.WriteAt(meta, table.Offset(plan.Meta)); err != nil {
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
