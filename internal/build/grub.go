package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/basalt-os/basalt/internal/build/cache"
)

const grubRecipe = "1"

// grubModules are what GRUB's core has: it loads nothing from a disk but its
// menu, so that a file system cannot change what it does.
func grubModules() []string {
	return []string{
		"biosdisk", "boot", "configfile", "echo", "fat", "halt", "linux", "loadenv", "loopback", "normal",
		"part_gpt", "reboot", "search", "search_fs_file", "serial", "sleep", "terminal", "test",
	}
}

// cdConfig is what the core on an optical disc does before the menu: the disc
// holds the EFI system partition as a file.
const cdConfig = `search --no-floppy --file --set=disc /efi.img
loopback efi ($disc)/efi.img
set root=efi
set prefix=(efi)/grub
`

// grub makes the parts of GRUB for BIOS and returns their folder: boot.img,
// core.img, and cd.img, which an optical disc starts.
func (b *builder) grub(ctx context.Context) (string, error) {
	mkimage, err := b.tool(ctx, "grub-common", "/usr/bin/grub-mkimage")
	if err != nil {
		return "", err
	}

	if err := b.machine.add(ctx, grubPackage); err != nil {
		return "", err
	}

	key := cache.Key("grub", grubRecipe, mkimage.version, b.machine.packages[grubPackage].SHA256, cdConfig,
		strings.Join(grubModules(), " "))

	return b.cache.Get(ctx, "grub", key, func(ctx context.Context, dir string) error {
		unpacked, err := b.unpack(ctx, b.machine, grubPackage)
		if err != nil {
			return err
		}

		folder := filepath.Join(unpacked, "usr/lib/grub/i386-pc")

		return b.timed("GRUB", func(func()) error { return makeGRUB(ctx, mkimage, folder, dir) }, nil)
	})
}

// makeGRUB makes the images in dir from the modules in folder.
func makeGRUB(ctx context.Context, mkimage tool, folder, dir string) error {
	if err := copyFile(filepath.Join(folder, "boot.img"), filepath.Join(dir, "boot.img")); err != nil {
		return err
	}

	// The EFI system partition is the first of every disk that we make.
	args := []string{"--format=i386-pc", "--directory=" + folder, "--prefix=(,gpt1)/grub", "--output=" + filepath.Join(dir, "core.img")}
	if err := mkimage.run(ctx, append(args, grubModules()...)...); err != nil {
		return fmt.Errorf("making GRUB's core: %w", err)
	}

	config := filepath.Join(dir, "cd.cfg")
	if err := os.WriteFile(config, []byte(cdConfig), 0o644); err != nil {
		return err
	}

	args = []string{
		"--format=i386-pc-eltorito", "--directory=" + folder, "--prefix=(efi)/grub", "--config=" + config,
		"--output=" + filepath.Join(dir, "cd.img"),
	}
	if err := mkimage.run(ctx, append(append(args, grubModules()...), "iso9660")...); err != nil {
		return fmt.Errorf("making GRUB's core for optical discs: %w", err)
	}

	return nil
}
