package imager

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"strings"

	"github.com/basalt-os/basalt/internal/bootloader"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/grub"
)

// Bootloader is what starts the system from a disk image or an ISO.
type Bootloader string

// The boot loaders.
const (
	BootloaderSystemd Bootloader = "sd-boot"   // UEFI
	BootloaderGRUB    Bootloader = "grub"      // BIOS
	BootloaderDual    Bootloader = "dual-boot" // both, each for its firmware
	BootloaderNone    Bootloader = "none"
)

func (b Bootloader) uefi() bool { return b == BootloaderSystemd || b == BootloaderDual }
func (b Bootloader) bios() bool { return b == BootloaderGRUB || b == BootloaderDual }

// grubFiles are GRUB's menu and its variables, for the only image that there is.
func (p Profile) grubFiles(name string, image []byte) ([]fat.File, error) {
	entry, err := grub.NewEntry(name, bytes.NewReader(image), int64(len(image)))
	if err != nil {
		return nil, err
	}

	menu, err := grub.Menu{
		Entries: []grub.Entry{entry}, Timeout: bootloader.MenuTimeout, Serial: strings.Contains(p.Cmdline(), "console=ttyS0"),
	}.Render()
	if err != nil {
		return nil, err
	}

	env, err := grub.State{Good: entry.ID}.Encode()
	if err != nil {
		return nil, err
	}

	return []fat.File{{Name: grub.MenuFile, Data: menu}, {Name: grub.EnvFile, Data: env}}, nil
}

// writeGRUB writes GRUB where the BIOS finds it: the code at the disk's
// beginning, and the core in a partition of its own.
func (p Profile) writeGRUB(disk *os.File, partition gpt.Partition) error {
	boot, err := os.ReadFile(p.Input.GRUBBoot.Path)
	if err != nil {
		return err
	}

	core, err := os.ReadFile(p.Input.GRUBCore.Path)
	if err != nil {
		return err
	}

	return grub.Install(disk, partition.First, partition.Last, boot, core)
}

// GRUB's place in an ISO: between the disc's own file system and the boot image.
const (
	isoGRUB    = 32 // first sector
	isoGRUBEnd = isoImage
	// cdStart is the size of what only a disc drive starts; GRUB's core follows.
	cdStart = 2048
)

// writeISOGRUB writes GRUB into an ISO, for the BIOS to start it from a disc or
// from a USB stick.
func (p Profile) writeISOGRUB(disc *os.File) error {
	boot, err := os.ReadFile(p.Input.GRUBBoot.Path)
	if err != nil {
		return err
	}

	image, err := os.ReadFile(p.Input.GRUBDisc.Path)
	if err != nil {
		return err
	}

	if len(image) <= cdStart || len(image) > (isoGRUBEnd-isoGRUB)*isoSector {
		return fmt.Errorf("writing GRUB: %w: %d bytes", grub.ErrImage, len(image))
	}

	code, core, err := grub.Place(boot, image[cdStart:], (isoGRUB*isoSector+cdStart)/virtualSize)
	if err != nil {
		return err
	}

	content := append(image[:cdStart:cdStart], core...)
	bootInfo(content)

	if _, err := disc.WriteAt(code, 0); err != nil {
		return err
	}

	_, err = disc.WriteAt(content, isoGRUB*isoSector)

	return err
}

// bootInfo fills in the table that an image started from a disc finds itself by.
func bootInfo(image []byte) {
	const table, end = 8, 64

	var sum uint32

	for i := end; i+4 <= len(image); i += 4 {
		sum += binary.LittleEndian.Uint32(image[i:])
	}

	for i, value := range []uint32{isoVolume, isoGRUB, uint32(len(image)), sum} {
		binary.LittleEndian.PutUint32(image[table+4*i:], value)
	}
}

// isoBootCatalog tells firmware where the boot images are. BIOS takes the first
// entry, whose platform it is; UEFI goes through all.
func isoBootCatalog(loader Bootloader, fatSize uint32) []byte {
	const platformBIOS, platformEFI, lastHeader, bootable = 0, 0xef, 0x91, 0x88

	// 0 says that the image goes on to the end of the disc: the count has only
	// 16 bits.
	count := fatSize / virtualSize
	if count > 0xffff {
		count = 0
	}

	entry := func(sector uint32, count uint16) []byte {
		data := make([]byte, 32)
		data[0] = bootable // no emulation
		binary.LittleEndian.PutUint16(data[6:], count)
		binary.LittleEndian.PutUint32(data[8:], sector)

		return data
	}

	efi, first := entry(isoImage, uint16(count)), byte(platformEFI)
	entries := efi

	if loader.bios() {
		first = platformBIOS
		entries = entry(isoGRUB, cdStart/virtualSize)
	}

	if loader == BootloaderDual {
		header := make([]byte, 32)
		header[0], header[1], header[2] = lastHeader, platformEFI, 1
		entries = append(append(entries, header...), efi...)
	}

	data := make([]byte, isoSector)
	data[0], data[1] = 1, first
	copy(data[4:28], isoLabel)
	data[30], data[31] = 0x55, 0xaa

	var sum uint16
	for i := 0; i < 32; i += 2 {
		sum += binary.LittleEndian.Uint16(data[i:])
	}

	binary.LittleEndian.PutUint16(data[28:], -sum)
	copy(data[32:], entries)

	return data
}
