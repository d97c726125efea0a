package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/build/debian"
	"github.com/basalt-os/basalt/internal/build/tree"
	"github.com/basalt-os/basalt/internal/kmod"
)

const kernelRecipe = "1"

// listsDir is where the lists of kernel modules are in the repository.
const listsDir = "build/kernel"

// kernelProfile is a kernel and the modules that a kind of machine needs.
type kernelProfile struct {
	name    string   // of the list beside "system", and of the output folder
	meta    string   // Debian's package that names the kernel's package
	modules []string // lists of modules

	// Debian packages with the firmware that its modules ask for.
	firmware []string
}

// DefaultKernel is the kernel of machines when nobody asks for another.
const DefaultKernel = "cloud"

// kernelProfiles are the kernels by name.
func kernelProfiles() map[string]kernelProfile {
	return map[string]kernelProfile{
		DefaultKernel: {name: DefaultKernel, meta: "linux-image-cloud-amd64", modules: []string{"system", "cloud"}},
		"metal": {
			name: "metal", meta: "linux-image-amd64", modules: []string{"system", "metal"},
			firmware: []string{
				"firmware-bnx2", "firmware-bnx2x", "firmware-cavium", "firmware-intel-misc", "firmware-linux-free",
				"firmware-misc-nonfree", "firmware-myricom", "firmware-netronome", "firmware-netxen", "firmware-qlogic",
				"firmware-realtek",
			},
		},
	}
}

// kernelsOf are the kernels with these names. An unknown name is a Problem.
func kernelsOf(names []string) ([]kernelProfile, error) {
	var result []kernelProfile

	for _, name := range names {
		profile, ok := kernelProfiles()[name]
		if !ok {
			known := slices.Sorted(maps.Keys(kernelProfiles()))

			return nil, &Problem{
				Component: "images", What: fmt.Sprintf("there is no kernel %q", name),
				Remedy: "take one of " + strings.Join(known, ", "),
			}
		}

		result = append(result, profile)
	}

	return result, nil
}

// bootModules are what stage 1 loads: to mount the root file system, and before
// that the watchdogs that it arms, which do nothing on machines without.
func bootModules() []string { return []string{"i6300esb", "wdat_wdt", "loop", "squashfs", "overlay"} }

// kernel is a kernel in the cache.
type kernel struct {
	Release  string
	Package  string   // of Debian
	Modules  int      // how many
	Firmware []string // files, below /usr/lib/firmware
	Missing  []string // firmware that modules know of and Debian does not have

	dir string
}

func (k kernel) image() string { return filepath.Join(k.dir, "vmlinuz") }

// modulesDir is the kernel's folder of modules, not compressed, with an index.
func (k kernel) modulesDir() string {
	return filepath.Join(k.dir, "root", kmod.Folder(k.Release))
}

// tree is what the kernel adds to the root file system.
func (k kernel) tree() *tree.Tree { return tree.New().Existing("", filepath.Join(k.dir, "root")) }

// boot returns the modules that stage 1 loads, in that order.
func (k kernel) boot() ([]string, error) {
	index, err := kmod.ReadIndex(os.DirFS(k.modulesDir()))
	if err != nil {
		return nil, err
	}

	entries, err := index.Order(bootModules()...)
	if err != nil {
		return nil, err
	}

	var files []string
	for _, e := range entries {
		files = append(files, filepath.Join(k.modulesDir(), e.Path))
	}

	return files, nil
}

var kernelDependency = regexp.MustCompile(`(?:^|, )(linux-image-[0-9][^ ,]*)`)

// kernelPackage finds the package that a meta package names.
func (b *builder) kernelPackage(ctx context.Context, meta string) (string, error) {
	if err := b.machine.add(ctx, meta); err != nil {
		return "", err
	}

	match := kernelDependency.FindStringSubmatch(b.machine.packages[meta].Depends)
	if match == nil {
		return "", fmt.Errorf("finding the kernel: %s does not name its package", meta)
	}

	return match[1], b.machine.add(ctx, match[1])
}

// kernel takes a kernel and the modules of its lists out of its package.
func (b *builder) kernel(ctx context.Context, profile kernelProfile) (kernel, error) {
	name, err := b.kernelPackage(ctx, profile.meta)
	if err != nil {
		return kernel{}, err
	}

	var lists strings.Builder

	for _, list := range profile.modules {
		text, err := os.ReadFile(filepath.Join(b.options.Root, listsDir, list+".txt"))
		if err != nil {
			return kernel{}, fmt.Errorf("reading a list of kernel modules: %w", err)
		}

		lists.Write(text)
	}

	if err := b.machine.add(ctx, profile.firmware...); err != nil {
		return kernel{}, err
	}

	inputs := []string{"kernel", kernelRecipe, b.machine.packages[name].SHA256, lists.String()}
	for _, p := range profile.firmware {
		inputs = append(inputs, b.machine.packages[p].SHA256)
	}

	dir, err := b.cache.Get(ctx, "kernel-"+profile.name, cache.Key(inputs...), func(ctx context.Context, dir string) error {
		unpacked, err := b.unpackModules(ctx, name)
		if err != nil {
			return err
		}

		firmware, err := b.pool(ctx, b.machine, profile.firmware)
		if err != nil {
			return err
		}

		return takeKernel(unpacked, name, lists.String(), firmware, dir)
	})
	if err != nil {
		return kernel{}, explain("the kernel", err)
	}

	k := kernel{dir: dir}

	return k, readJSON(filepath.Join(dir, "kernel.json"), &k)
}

// unpackModules unpacks a kernel's package, and the modules in it.
func (b *builder) unpackModules(ctx context.Context, name string) (string, error) {
	xz, err := b.tool(ctx, "xz-utils", "/usr/bin/xz")
	if err != nil {
		return "", err
	}

	key := cache.Key("modules", kernelRecipe, b.machine.packages[name].SHA256, xz.version)

	return b.cache.Get(ctx, "modules-"+name, key, func(ctx context.Context, dir string) error {
		packed, err := b.unpack(ctx, b.machine, name)
		if err != nil {
			return err
		}

		return b.timed("modules of "+name, func(func()) error {
			return expand(ctx, xz, packed, dir)
		}, nil)
	})
}

// expand copies a kernel's package with its modules decompressed. The program
// takes a twentieth of the time of the library.
func expand(ctx context.Context, xz tool, packed, dir string) error {
	var files []string

	err := filepath.WalkDir(packed, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}

		relative, err := filepath.Rel(packed, name)
		if err != nil {
			return err
		}

		target := filepath.Join(dir, relative)
		if strings.HasSuffix(name, ".ko.xz") {
			files = append(files, target)
		}

		return copyFile(name, target)
	})
	if err != nil {
		return err
	}

	for some := range slices.Chunk(files, 500) { // not too many for a command line
		if err := xz.run(ctx, append([]string{"--decompress", "--threads=1"}, some...)...); err != nil {
			return fmt.Errorf("decompressing kernel modules: %w", err)
		}
	}

	return nil
}

func copyFile(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}

	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()

	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}

	_, err = target.ReadFrom(source)

	return errors.Join(err, target.Close())
}

// takeKernel copies a kernel, its modules and their firmware from unpacked
// packages to dir.
func takeKernel(unpacked, name, lists string, firmware debian.Pool, dir string) error {
	k := kernel{Release: strings.TrimPrefix(name, "linux-image-"), Package: name, dir: dir}

	image, err := os.ReadFile(filepath.Join(unpacked, "boot", "vmlinuz-"+k.Release))
	if err != nil {
		return err
	}

	if err := os.WriteFile(k.image(), image, 0o644); err != nil {
		return err
	}

	from := filepath.Join(unpacked, kmod.Folder(k.Release))

	modules, err := selectModules(from, lists)
	if err != nil {
		return err
	}

	k.Modules = len(modules)

	if err := writeModules(modules, from, k.modulesDir()); err != nil {
		return fmt.Errorf("writing kernel modules: %w", err)
	}

	if len(firmware) > 0 {
		if err := k.takeFirmware(modules, firmware); err != nil {
			return fmt.Errorf("copying firmware: %w", err)
		}
	}

	return writeJSON(filepath.Join(dir, "kernel.json"), k)
}

// takeFirmware copies what modules say that they may ask for. They know more
// names than there are files: those of old versions, of devices that never were,
// and of what its maker does not let others ship.
func (k *kernel) takeFirmware(modules []kmod.Module, firmware debian.Pool) error {
	var names []string
	for _, m := range modules {
		names = append(names, m.Firmware...)
	}

	slices.Sort(names)

	for _, name := range slices.Compact(names) {
		source, err := firmware.Find("/usr/lib/firmware/" + name)
		if errors.Is(err, fs.ErrNotExist) {
			k.Missing = append(k.Missing, name)

			continue
		}

		if err != nil {
			return err
		}

		if err := copyFile(source, filepath.Join(k.dir, "root", "usr/lib/firmware", name)); err != nil {
			return err
		}

		k.Firmware = append(k.Firmware, name)
	}

	return nil
}

// selectModules reads the modules that the lists name and all that they need.
func selectModules(from, lists string) ([]kmod.Module, error) {
	set, err := kmod.Open(os.DirFS(from))
	if err != nil {
		return nil, err
	}

	names, err := kmod.ParseList(lists)
	if err != nil {
		return nil, err
	}

	if names, err = set.Expand(names); err != nil {
		return nil, err
	}

	return set.Closure(names...)
}

// writeModules writes modules with their index into a kernel's folder.
func writeModules(modules []kmod.Module, from, to string) error {
	builtin, err := os.ReadFile(filepath.Join(from, kmod.BuiltinFile))
	if err != nil {
		return err
	}

	index, err := kmod.NewIndex(modules, builtin)
	if err != nil {
		return err
	}

	files := index.Files()
	files[kmod.BuiltinFile] = builtin

	for _, m := range modules {
		files[strings.TrimSuffix(m.Path, ".xz")] = m.Data
	}

	for name, data := range files {
		if err := os.MkdirAll(filepath.Join(to, path.Dir(name)), 0o755); err != nil {
			return err
		}

		if err := os.WriteFile(filepath.Join(to, name), data, 0o644); err != nil {
			return err
		}
	}

	return nil
}
