package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/initramfs"
	"github.com/basalt-os/basalt/internal/squashfs"
)

// Recipes of the steps in this file, for their cache keys.
const (
	squashRecipe    = "3"
	initramfsRecipe = "1"
)

// Debian packages of the machines' suite, beside those of a kernel.
const (
	bootPackage    = "systemd-boot-efi"
	grubPackage    = "grub-pc-bin"
	devicesPackage = "pci.ids" // the names of PCI devices
)

// machineParts are what images of machines are put together from.
type machineParts struct {
	kernel    kernel
	root      *tree.Tree
	initramfs string // path
	uki       string // path
	grub      string // folder
	profile   kernelProfile
	boot      string // folder of the package with systemd-boot and its stub
}

// grubFile is GRUB's "boot", "core", or, for discs, "cd".
func (m machineParts) grubFile(name string) string { return filepath.Join(m.grub, name+".img") }

func (m machineParts) systemdBoot() string {
	return filepath.Join(m.boot, bootFolder, "systemd-bootx64.efi")
}
func (m machineParts) systemdStub() string {
	return filepath.Join(m.boot, bootFolder, "linuxx64.efi.stub")
}

const bootFolder = "usr/lib/systemd/boot/efi"

// makeMachines makes the parts of machines, and the images that install them.
func (b *builder) makeMachines(ctx context.Context, programs map[string]compiled, root *tree.Tree) ([]machineParts, []image, error) {
	if len(b.kernels) == 0 {
		return nil, nil, nil
	}

	if err := b.openMachineSuite(ctx); err != nil {
		return nil, nil, explain("the Debian parts of machines", err)
	}

	var (
		machines   []machineParts
		installers []image
	)

	for _, profile := range b.kernels {
		m, err := b.machineParts(ctx, profile, programs, root)
		if err != nil {
			return nil, nil, err
		}

		installer, err := b.installer(m, programs)
		if err != nil {
			return nil, nil, err
		}

		machines, installers = append(machines, m), append(installers, installer)
	}

	return machines, installers, nil
}

// writeMachines writes what machines boot from, and the emulator to try it.
func (b *builder) writeMachines(ctx context.Context, result *Result, machines []machineParts, programs map[string]compiled) error {
	emulator, err := b.emulator(ctx)
	if err != nil {
		return err
	}

	unlock, err := cache.Lock(ctx, filepath.Join(b.options.Output, ".lock"))
	if err != nil {
		return err
	}
	defer unlock()

	if err := b.writeFolder("qemu", tree.New().Existing("", emulator)); err != nil {
		return fmt.Errorf("writing the emulator: %w", err)
	}

	for _, m := range machines {
		media, err := b.writeMedia(ctx, m, programs)
		if err != nil {
			return err
		}

		result.Media = append(result.Media, media...)
	}

	result.Budget, err = readBudget(filepath.Join(b.options.Root, budgetFile))
	if err != nil {
		return err
	}

	for _, medium := range result.Budget.without(result.Media) {
		b.display.Printf("%s", missing(medium))
	}

	return result.Budget.check(result.Media)
}

// machineParts makes the parts for a kernel. root is the root tree of container
// nodes, which machines have with modules and a few programs.
func (b *builder) machineParts(ctx context.Context, profile kernelProfile, programs map[string]compiled, root *tree.Tree) (machineParts, error) {
	m := machineParts{profile: profile}

	if err := b.machine.add(ctx, bootPackage); err != nil {
		return m, err
	}

	var err error

	if m.boot, err = b.unpack(ctx, b.machine, bootPackage); err != nil {
		return m, explain("systemd-boot", err)
	}

	if m.grub, err = b.grub(ctx); err != nil {
		return m, explain("GRUB", err)
	}

	if m.kernel, err = b.kernel(ctx, profile); err != nil {
		return m, err
	}

	mkfs, err := b.mkfsTree(ctx)
	if err != nil {
		return m, err
	}

	names, err := b.deviceNames(ctx)
	if err != nil {
		return m, err
	}

	m.root = tree.New().Merge(root).Merge(m.kernel.tree()).Merge(mkfs).Merge(names)
	one(m.root, "usr/sbin/modprobe", programs["modprobe"].program("modprobe"))

	if err := m.root.Err(); err != nil {
		return m, fmt.Errorf("putting the root file system of machines together: %w", err)
	}

	image, err := b.squash(ctx, profile.name, m.root)
	if err != nil {
		return m, explain("the root file system", err)
	}

	m.initramfs, err = b.initramfs(ctx, profile.name, m.kernel, programs["stage1"].program("stage1"), image)
	if err != nil {
		return m, explain("the initramfs", err)
	}

	m.uki, err = b.uki(ctx, m)

	return m, explain("the unified kernel image", err)
}

// mkfsTree is the programs that make file systems.
func (b *builder) mkfsTree(ctx context.Context) (*tree.Tree, error) {
	pool, err := b.pool(ctx, b.host, mkfsPackages)
	if err != nil {
		return nil, err
	}

	programs, err := pool.Programs("/usr/sbin/mkfs.xfs", "/sbin/mke2fs")
	if err != nil {
		return nil, fmt.Errorf("taking mkfs out of its packages: %w", err)
	}

	return programs.Symlink("usr/sbin/mkfs.ext4", "mke2fs"), nil
}

// deviceNames is the list of the names of PCI devices.
func (b *builder) deviceNames(ctx context.Context) (*tree.Tree, error) {
	if err := b.machine.add(ctx, devicesPackage); err != nil {
		return nil, err
	}

	dir, err := b.unpack(ctx, b.machine, devicesPackage)
	if err != nil {
		return nil, explain("the names of devices", err)
	}

	return tree.New().Existing("usr/share/misc", filepath.Join(dir, "usr/share/misc")), nil
}

// squash makes a squashfs of a tree and returns its path. It stays in memory, so
// it is worth to make it small: zstd takes a third less than lz4, and an
// emulated machine one second more until the node runs.
func (b *builder) squash(ctx context.Context, name string, t *tree.Tree) (string, error) {
	key := cache.Key("squash", squashRecipe, t.Digest())

	dir, err := b.cache.Get(ctx, "squash-"+name, key, func(_ context.Context, dir string) error {
		return b.timed("root file system of "+name, func(func()) error {
			file, err := os.Create(filepath.Join(dir, "rootfs.sqsh"))
			if err != nil {
				return err
			}

			return errors.Join(squashfs.Write(file, squashEntries(t)), file.Close())
		}, nil)
	})

	return filepath.Join(dir, "rootfs.sqsh"), err
}

// squashEntries are a tree's entries as squashfs knows them.
func squashEntries(t *tree.Tree) []squashfs.Entry {
	var entries []squashfs.Entry

	for name, e := range t.All() {
		entries = append(entries, squashfs.Entry{
			Name: name, Mode: e.Mode, UID: uint32(e.UID), GID: uint32(e.GID), Link: e.Link, Size: e.Size, Open: e.Open,
		})
	}

	return entries
}

// initramfs makes the archive with stage 1, its modules and the root file
// system, and returns its path. It is not compressed: all but two megabytes of
// it are compressed already.
func (b *builder) initramfs(ctx context.Context, name string, k kernel, stage1 program, root string) (string, error) {
	modules, err := k.boot()
	if err != nil {
		return "", err
	}

	sum, err := fileSum(root)
	if err != nil {
		return "", err
	}

	inputs := []string{"initramfs", initramfsRecipe, stage1.Sum, sum}

	for _, file := range modules {
		sum, err := fileSum(file)
		if err != nil {
			return "", err
		}

		inputs = append(inputs, filepath.Base(file), sum)
	}

	dir, err := b.cache.Get(ctx, "initramfs-"+name, cache.Key(inputs...), func(_ context.Context, dir string) error {
		file, err := os.Create(filepath.Join(dir, "initramfs"))
		if err != nil {
			return err
		}
		defer file.Close()

		if err := writeInitramfs(file, stage1.path, modules, root); err != nil {
			return err
		}

		return file.Close()
	})

	return filepath.Join(dir, "initramfs"), err
}

func writeInitramfs(to *os.File, stage1 string, modules []string, root string) error {
	w := initramfs.NewWriter(to)

	add := func(name string, executable bool, source string) error {
		file, err := os.Open(source)
		if err != nil {
			return err
		}
		defer file.Close()

		info, err := file.Stat()
		if err != nil {
			return err
		}

		mode := os.FileMode(0o644)
		if executable {
			mode = 0o755
		}

		return w.File(name, mode, info.Size(), file)
	}

	if err := add("init", true, stage1); err != nil {
		return err
	}

	for i, module := range modules {
		if err := add(fmt.Sprintf("modules/%02d-%s", i, filepath.Base(module)), false, module); err != nil {
			return err
		}
	}

	if err := add("rootfs.sqsh", false, root); err != nil {
		return err
	}

	return w.Close()
}

// arch is the architecture that is built for, as Go calls it.
const arch = runtime.GOARCH
