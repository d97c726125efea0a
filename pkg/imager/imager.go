// Package imager makes what a machine boots from: a unified kernel image, a disk
// image, an ISO, or a kernel with its initramfs for booting from the network; and
// the installer image that belongs to it.
//
// It works on plain files, without privileges, loop devices or mounts, and the
// same profile and the same inputs give the same bytes.
package imager

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"time"

	"github.com/google/renameio/v2"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/basalt-os/basalt/internal/uki"
	"github.com/basalt-os/basalt/internal/version"
)

// FileName is the name of the file that a profile gives.
func (p Profile) FileName() string {
	p = p.withDefaults()
	target := p.Platform + "-" + p.Arch

	switch p.Output.Kind {
	case KindISO:
		return target + ".iso"
	case KindUKI:
		return target + "-uki.efi"
	case KindKernel:
		return "kernel-" + p.Arch
	case KindInitramfs:
		return "initramfs-" + target
	case KindCmdline:
		return "cmdline-" + target
	case KindIPXE:
		return target + ".ipxe"
	case KindInstaller:
		return p.installerName() + ".tar"
	}

	name := target + "." + string(p.Output.ImageOptions.DiskFormat)

	switch p.Output.OutFormat {
	case FormatRaw:
		return name
	case FormatTarGzip:
		return target + string(FormatTarGzip)
	}

	return name + string(p.Output.OutFormat)
}

// installerName says for which platform an installer is, unless it is for metal.
func (p Profile) installerName() string {
	if p.Platform == "metal" {
		return "installer-" + p.Arch
	}

	return p.Platform + "-installer-" + p.Arch
}

// Build makes the profile's output in the folder dir and returns the path of
// the file, which is complete or, after an error, what it was before.
func Build(p Profile, dir string) (string, error) {
	p = p.withDefaults()
	if err := p.check(); err != nil {
		return "", err
	}

	name := filepath.Join(dir, p.FileName())

	file, err := renameio.NewPendingFile(name, renameio.WithPermissions(0o644))
	if err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}
	defer file.Cleanup()

	work, err := os.MkdirTemp(dir, ".imager-")
	if err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}
	defer os.RemoveAll(work)

	if p, err = p.withLayers(work); err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}

	p.making.step(p.title())

	if err := p.write(file.File, work); err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}

	if err := file.CloseAtomicallyReplace(); err != nil {
		return "", fmt.Errorf("making %s: %w", p.FileName(), err)
	}

	return name, nil
}

// title is what people are told that is being made.
func (p Profile) title() string {
	if p.Name != "" {
		return p.FileName() + " of " + p.Name
	}

	return p.FileName()
}

func (p Profile) write(file *os.File, work string) error {
	switch p.Output.Kind {
	case KindKernel:
		return copyInto(file, p.Input.Kernel.Path)
	case KindInitramfs:
		return copyInto(file, p.Input.Initramfs.Path)
	case KindCmdline:
		_, err := io.WriteString(file, p.Cmdline())

		return err
	case KindIPXE:
		_, err := io.WriteString(file, p.ipxe())

		return err
	case KindUKI:
		image, err := p.uki()
		if err != nil {
			return err
		}

		_, err = file.Write(image)

		return err
	case KindISO:
		return p.writeISO(file)
	case KindInstaller:
		return p.writeInstaller(file, work)
	default:
		return p.writeImage(file)
	}
}

func copyInto(w io.Writer, name string) error {
	source, err := os.Open(name)
	if err != nil {
		return err
	}
	defer source.Close()

	_, err = io.Copy(w, source)

	return err
}

// uki is the unified kernel image.
func (p Profile) uki() ([]byte, error) {
	sections := map[uki.Section][]byte{
		uki.SBAT: fmt.Appendf(nil, "basalt,1,%s,basalt,%s,https://github.com/basalt-os/basalt\n", version.Name, p.Version),
		uki.OSRelease: fmt.Appendf(nil, "ID=basalt\nNAME=%q\nVERSION_ID=%s\nPRETTY_NAME=%q\n",
			version.Name, p.Version, version.Name+" "+p.Version),
		uki.Cmdline: []byte(p.Cmdline()),
	}

	stub, err := os.ReadFile(p.Input.SDStub.Path)
	if err != nil {
		return nil, err
	}

	for section, file := range map[uki.Section]File{uki.Linux: p.Input.Kernel, uki.Initrd: p.Input.Initramfs} {
		if sections[section], err = os.ReadFile(file.Path); err != nil {
			return nil, err
		}
	}

	if release := kernelRelease(sections[uki.Linux]); release != "" {
		sections[uki.Uname] = []byte(release)
	}

	return uki.Build(uki.Image{Stub: stub, Sections: sections, Profiles: []uki.Profile{{ID: "main"}}})
}

// kernelRelease is the release of an x86 kernel as its boot header says it,
// empty for other kernels, which do not say.
func kernelRelease(kernel []byte) string {
	const magicAt, pointerAt, base, longest = 0x202, 0x20e, 0x200, 256

	if len(kernel) < pointerAt+2 || string(kernel[magicAt:magicAt+4]) != "HdrS" {
		return ""
	}

	at := base + int(binary.LittleEndian.Uint16(kernel[pointerAt:]))
	if at >= len(kernel) {
		return ""
	}

	release, _, _ := bytes.Cut(kernel[at:min(at+longest, len(kernel))], []byte{0})
	release, _, _ = bytes.Cut(release, []byte{' '})

	return string(release)
}

// ipxe is a script for iPXE. Paths that are no URLs are relative to its own.
func (p Profile) ipxe() string {
	kernel, initrd := p, p
	kernel.Output.Kind, initrd.Output.Kind = KindKernel, KindInitramfs

	options := p.Output.IPXEOptions
	kernelURL, initrdURL := cmp.Or(options.Kernel, kernel.FileName()), cmp.Or(options.Initramfs, initrd.FileName())

	return fmt.Sprintf("#!ipxe\nimgfree\nkernel %s initrd=%s %s\ninitrd %s\nboot\n",
		kernelURL, path.Base(initrdURL), p.Cmdline(), initrdURL)
}

// writeImage makes a disk image in the form and packed as the profile says.
func (p Profile) writeImage(file *os.File) error {
	switch p.Output.ImageOptions.DiskFormat {
	case DiskRaw:
		return p.writePacked(file, p.writeDisk)
	case DiskVHD:
		return p.writePacked(file, func(file *os.File) error {
			if err := p.writeDisk(file); err != nil {
				return err
			}

			info, err := file.Stat()
			if err != nil {
				return err
			}

			return writeVHD(file, info.Size())
		})
	}

	return p.writePacked(file, func(file *os.File) error {
		return with(file, p.writeDisk, func(disk *os.File) error {
			info, err := disk.Stat()
			if err != nil {
				return err
			}

			return writeQCOW2(file, disk, info.Size())
		})
	})
}

// writePacked compresses what write makes if the profile says so.
func (p Profile) writePacked(file *os.File, write func(*os.File) error) error {
	if p.Output.OutFormat == FormatRaw {
		return write(file)
	}

	return with(file, write, func(raw *os.File) error {
		size, err := raw.Seek(0, io.SeekEnd)
		if err != nil {
			return err
		}

		if _, err := raw.Seek(0, io.SeekStart); err != nil {
			return err
		}

		p.making.step("compressing")

		return p.pack(file, p.making.reader(raw, size), size)
	})
}

// with uses what write makes in a file beside another, which is then removed.
func with(beside *os.File, write, use func(*os.File) error) error {
	file, err := os.CreateTemp(filepath.Dir(beside.Name()), ".disk-")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()

	if err := write(file); err != nil {
		return err
	}

	return use(file)
}

// diskName is the name of a disk in an archive, which clouds look for.
const diskName = "disk.raw"

// pack compresses what is in the file r.
func (p Profile) pack(w io.Writer, r io.Reader, size int64) error {
	packer, err := p.packer(w)
	if err != nil {
		return err
	}

	if p.Output.OutFormat != FormatTarGzip {
		_, err = io.Copy(packer, r)

		return errors.Join(err, packer.Close())
	}

	archive := tar.NewWriter(packer)

	// Clouds that take archives read only the old GNU form.
	err = archive.WriteHeader(&tar.Header{
		Name: diskName, Typeflag: tar.TypeReg, Mode: 0o644, Size: size, ModTime: time.Unix(0, 0), Format: tar.FormatGNU,
	})
	if err == nil {
		_, err = io.Copy(archive, r)
	}

	return errors.Join(err, archive.Close(), packer.Close())
}

func (p Profile) packer(w io.Writer) (io.WriteCloser, error) {
	switch p.Output.OutFormat {
	case FormatGzip, FormatTarGzip:
		return gzip.NewWriter(w), nil
	case FormatXZ:
		return xz.NewWriter(w)
	}

	// One thread: with more, the bytes could depend on the machine.
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}
