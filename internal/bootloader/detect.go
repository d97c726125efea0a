package bootloader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/basalt-os/basalt/internal/blockdev"
	"github.com/basalt-os/basalt/internal/fat"
	"github.com/basalt-os/basalt/internal/gpt"
	"github.com/basalt-os/basalt/internal/grub"
	"github.com/basalt-os/basalt/internal/uki"
)

// Open finds the boot loader of a disk. The disk stays with the caller, who
// closes it when the loader is not used any more, and has locked it before
// anything is changed.
func Open(disk blockdev.Handle, sectorSize int, options Options) (Loader, error) {
	size, err := disk.Size()
	if err != nil {
		return nil, err
	}

	table, _, err := gpt.Read(disk, int64(size), sectorSize)
	if err != nil {
		return nil, err
	}

	esp, ok := table.Find(gpt.LabelEFI)
	if !ok {
		return nil, fmt.Errorf("%w: the disk has no partition %s", ErrNone, gpt.LabelEFI)
	}

	partition := Partition{
		Disk: blockdev.NewSection(disk, table.Offset(esp), table.Size(esp)), Size: table.Size(esp), GUID: esp.GUID,
	}

	kind, err := detect(partition, options)

	switch {
	case err != nil:
		return nil, err
	case kind == GRUB:
		return &grubLoader{partition, options}, nil
	default:
		return &systemdBoot{partition, options}, nil
	}
}

// detect says which boot loader is on a partition. Disk images may have both,
// each for its firmware; then it is GRUB if GRUB started what runs.
func detect(partition Partition, options Options) (Kind, error) {
	v, err := partition.open(false)
	if err != nil {
		return "", err
	}

	has := map[Kind]bool{}

	for kind, file := range map[Kind]string{SystemdBoot: ConfigFile, GRUB: grub.MenuFile} {
		_, err := v.Stat(file)
		if err != nil && !errors.Is(err, fat.ErrNotExist) {
			return "", err
		}

		has[kind] = err == nil
	}

	switch {
	case has[GRUB] && (!has[SystemdBoot] || grub.Booted(options.Cmdline) != ""):
		return GRUB, nil
	case has[SystemdBoot]:
		return SystemdBoot, nil
	default:
		return "", fmt.Errorf("%w: partition %s has neither %s nor %s", ErrNone, gpt.LabelEFI, ConfigFile, grub.MenuFile)
	}
}

// programs are the names under which firmware looks for a boot loader, by
// architecture.
func programs() map[string]string {
	return map[string]string{"amd64": "EFI/BOOT/BOOTX64.EFI", "arm64": "EFI/BOOT/BOOTAA64.EFI"}
}

// Program is the path of the boot loader on a system partition, as firmware
// looks for it. It fails for architectures that we know nothing of.
func Program(arch string) (string, error) {
	name, ok := programs()[arch]
	if !ok {
		return "", fmt.Errorf("there is no boot loader for %s", arch)
	}

	return name, nil
}

// NewSystemdBoot makes a system partition with systemd-boot and one version of
// the system, which is not counted: there is none to go back to. Loader is
// systemd-boot itself, its Version is not used.
func NewSystemdBoot(
	ctx context.Context, partition *blockdev.Section, sectorSize int, arch string, loader, image Image, progress func(string),
) error {
	program, err := Program(arch)
	if err != nil {
		return err
	}

	name, err := uki.Name{Version: image.Version}.File()
	if err != nil {
		return err
	}

	v, err := newVolume(partition, sectorSize)
	if err != nil {
		return err
	}

	progress("writing " + path.Base(program))

	if err := v.Create(program, loader.Size, reader{ctx, loader.Content}); err != nil {
		return err
	}

	if err := v.Create(ConfigFile, int64(len(Config)), strings.NewReader(Config)); err != nil {
		return err
	}

	return writeImage(ctx, v, name, name, image, progress)
}

// newVolume makes an empty file system.
func newVolume(partition *blockdev.Section, sectorSize int) (*fat.Volume, error) {
	head, err := fat.Head(partition.Size(), sectorSize)
	if err != nil {
		return nil, err
	}

	if err := partition.Zero(0, head); err != nil {
		return nil, err
	}

	if err := fat.Write(partition, partition.Size(), sectorSize, gpt.LabelEFI, nil); err != nil {
		return nil, err
	}

	if err := partition.Sync(); err != nil {
		return nil, err
	}

	return fat.Open(partition, partition.Size())
}

// UpdateProgram replaces systemd-boot itself, in one step. There is no second
// copy of it to go back to.
func UpdateProgram(ctx context.Context, l Loader, arch string, loader Image) error {
	s, ok := l.(*systemdBoot)
	if !ok {
		return fmt.Errorf("replacing the boot loader: %w: the disk has another one", errors.ErrUnsupported)
	}

	program, err := Program(arch)
	if err != nil {
		return err
	}

	v, err := s.partition.open(true)
	if err != nil {
		return err
	}

	return v.Create(program, loader.Size, reader{ctx, loader.Content})
}

// HasUEFI says whether a machine was booted by UEFI; sys is /sys.
func HasUEFI(sys fs.FS) bool {
	_, err := fs.Stat(sys, "firmware/efi")

	return err == nil
}

// HasSecureBoot says whether firmware starts only what is signed.
func HasSecureBoot(variables Variables) (bool, error) {
	value, err := variables.Read(Variable{vendorGlobal, "SecureBoot"})
	if errors.Is(err, ErrNoVariable) {
		return false, nil
	}

	return len(value) == 1 && value[0] == 1, err
}
