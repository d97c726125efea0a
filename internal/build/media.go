package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"github.com/basalt-os/basalt/internal/build/cache"
	"github.com/basalt-os/basalt/internal/version"
	"github.com/basalt-os/basalt/pkg/imager"
)

const mediaRecipe = "2"

// imageFolder is where images with this kernel are in the output folder.
func (k kernelProfile) imageFolder() string { return k.named("image") }

// Medium is a file that machines boot from.
type Medium struct {
	File   string // in the output folder
	Size   int64  // bytes
	Disk   int64  // bytes of it that are written, and not holes
	SHA256 string // hexadecimal

	Key string // digest of what it was made from
}

// baseProfile is what all images of the parts of a machine have in common.
func (m machineParts) baseProfile() imager.Profile {
	return imager.Profile{
		Arch: arch, Platform: "metal", Version: version.Version,
		Input: imager.Input{
			Kernel:    imager.File{Path: m.kernel.image()},
			Initramfs: imager.File{Path: m.initramfs},
			SDStub:    imager.File{Path: m.systemdStub()},
			SDBoot:    imager.File{Path: m.systemdBoot()},
			GRUBBoot:  imager.File{Path: m.grubFile("boot")},
			GRUBCore:  imager.File{Path: m.grubFile("core")},
			GRUBDisc:  imager.File{Path: m.grubFile("cd")},
		},
	}
}

// mediaProfiles are the images of a machine's parts.
func (m machineParts) mediaProfiles() []imager.Profile {
	var profiles []imager.Profile

	for _, output := range []imager.Output{
		{Kind: imager.KindCmdline},
		{Kind: imager.KindImage},
		{Kind: imager.KindImage, ImageOptions: imager.ImageOptions{DiskFormat: imager.DiskQCOW2}},
		{Kind: imager.KindISO},
		{Kind: imager.KindIPXE, IPXEOptions: imager.IPXEOptions{Kernel: kernelFile, Initramfs: initramfsFile}},
	} {
		profile := m.baseProfile()
		profile.Output = output
		profiles = append(profiles, profile)
	}

	return profiles
}

// uki makes the unified kernel image in the cache and returns its path.
func (b *builder) uki(ctx context.Context, m machineParts) (string, error) {
	key, err := mediaKey(m)
	if err != nil {
		return "", err
	}

	profile := m.baseProfile()
	profile.Output.Kind = imager.KindUKI

	dir, err := b.cache.Get(ctx, "uki-"+m.profile.name, cache.Key("uki", key), func(_ context.Context, dir string) error {
		_, err := imager.Build(profile, dir)

		return err
	})

	return filepath.Join(dir, profile.FileName()), err
}

// The names of the files that a machine is started with without a boot loader.
const (
	kernelFile    = "vmlinuz-" + arch
	initramfsFile = "initramfs-" + arch
)

// writeMedia brings the folder of images up to date, and what is written beside
// each: its checksum and its bill of materials.
func (b *builder) writeMedia(ctx context.Context, m machineParts, programs map[string]compiled) ([]Medium, error) {
	dir := filepath.Join(b.options.Output, m.profile.imageFolder())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder of images: %w", err)
	}

	inputs, err := mediaKey(m)
	if err != nil {
		return nil, err
	}

	var media []Medium

	for _, plain := range []struct{ name, source string }{
		{kernelFile, m.kernel.image()}, {initramfsFile, m.initramfs},
		{filepath.Base(m.uki), m.uki},
		{"systemd-stub-" + arch + ".efi", m.systemdStub()}, {"systemd-boot-" + arch + ".efi", m.systemdBoot()},
		{"grub-boot-" + arch + ".img", m.grubFile("boot")}, {"grub-core-" + arch + ".img", m.grubFile("core")},
		{"grub-cd-" + arch + ".img", m.grubFile("cd")},
	} {
		done, err := b.medium(ctx, dir, plain.name, cache.Key(inputs, plain.name), func() error {
			return replaceFile(filepath.Join(dir, plain.name), plain.source)
		})
		if err != nil {
			return nil, err
		}

		media = append(media, done)
	}

	for _, profile := range m.mediaProfiles() {
		name := profile.FileName()

		done, err := b.medium(ctx, dir, name, cache.Key(inputs, fmt.Sprintf("%+v", profile.Customization), name), func() error {
			_, err := imager.Build(profile, dir)

			return err
		})
		if err != nil {
			return nil, explain(name, err)
		}

		media = append(media, done)
	}

	for _, medium := range media {
		if err := b.writeDocuments(m, medium, programs); err != nil {
			return nil, explain(medium.File, err)
		}
	}

	return media, nil
}

// mediaKey is the digest of the parts, and of the code that puts them together:
// the build's own program.
func mediaKey(m machineParts) (string, error) {
	inputs := []string{"media", mediaRecipe, version.Version}

	own, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding the build's own program: %w", err)
	}

	for _, file := range []string{
		own, m.kernel.image(), m.initramfs, m.systemdStub(), m.systemdBoot(), m.grubFile("boot"), m.grubFile("core"), m.grubFile("cd"),
	} {
		sum, err := fileSum(file)
		if err != nil {
			return "", fmt.Errorf("reading the parts of images: %w", err)
		}

		inputs = append(inputs, sum)
	}

	return cache.Key(inputs...), nil
}

// medium makes a file in dir unless it is there and made from the same. Files
// are too large to be kept in the cache as well.
func (b *builder) medium(ctx context.Context, dir, name, key string, build func() error) (Medium, error) {
	var done Medium

	path, stamp := filepath.Join(dir, name), filepath.Join(dir, "."+name+".json")

	if readJSON(stamp, &done) == nil && done.Key == key {
		if info, err := os.Stat(path); err == nil && info.Size() == done.Size {
			return done, nil
		}
	}

	if err := ctx.Err(); err != nil {
		return Medium{}, err
	}

	if err := os.RemoveAll(stamp); err != nil {
		return Medium{}, fmt.Errorf("making %s: %w", name, err)
	}

	err := b.timed(name, func(func()) error { return build() }, func() (err error) {
		done = Medium{File: filepath.Join(filepath.Base(dir), name), Key: key}

		if done.Size, done.Disk, err = sizes(path); err != nil {
			return err
		}

		done.SHA256, err = fileSum(path)

		return err
	})
	if err != nil {
		return Medium{}, err
	}

	return done, writeJSON(stamp, done)
}

// replaceFile puts a copy of source in the place of name.
func replaceFile(name, source string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()

	to, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer to.Cleanup()

	if _, err := to.ReadFrom(from); err != nil {
		return err
	}

	return to.CloseAtomicallyReplace()
}

// sizes are a file's size and how much of it takes room on the disk.
func sizes(name string) (size, disk int64, err error) {
	const block = 512

	var info unix.Stat_t

	err = unix.Stat(name, &info)

	return info.Size, info.Blocks * block, err
}
